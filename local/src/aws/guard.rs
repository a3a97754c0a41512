//! A proxy between the functions and the AWS services: it forwards the calls that
//! a function's policies allow, refuses the others as IAM does, and records all.
//!
//! Each function has its own addresses, `/{logical id}/{service}`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, StatusCode, header};
use serde_json::{Value, json};

use crate::addresses::Addresses;
use crate::template::{ACCOUNT, AwsCall, Model, REGION};

/// No request to these services comes near this size.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

/// Records the distinct calls that functions made, with their logical ids.
#[derive(Debug, Clone, Default)]
pub struct Calls(Arc<Mutex<BTreeSet<(String, AwsCall)>>>);

impl Calls {
    #[must_use]
    pub fn all(&self) -> BTreeSet<(String, AwsCall)> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn add(&self, function: &str, call: AwsCall) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.insert((function.to_owned(), call));
    }
}

struct Guard {
    http: reqwest::Client,
    services: BTreeMap<&'static str, String>,
    model: Arc<Model>,
    calls: Calls,
}

/// Returns the router of a guard in front of the services at `addresses`.
pub(crate) fn router(
    addresses: &Addresses,
    model: Arc<Model>,
    calls: Calls,
) -> anyhow::Result<Router> {
    let guard = Arc::new(Guard {
        http: reqwest::Client::builder().no_proxy().build()?,
        services: addresses.services().into(),
        model,
        calls,
    });
    Ok(Router::new().fallback(handle).with_state(guard))
}

async fn handle(State(guard): State<Arc<Guard>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY_BYTES).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut parts = path.splitn(4, '/').skip(1);
    let (function, service) = (parts.next(), parts.next());
    let path = format!("/{}", parts.next().unwrap_or_default());
    let (Some(function), Some((service, base))) = (
        function,
        service.and_then(|service| guard.services.get_key_value(service)),
    ) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    for call in guard.calls_of(service, &head, &path, &body) {
        if let Some(refusal) = guard.refuse(function, service, call) {
            return refusal;
        }
    }
    let answer = guard.forward(&head, &format!("{base}{path}"), body).await;
    // S3 answers 404 only to a caller that may list the bucket.
    if *service == "S3" && answer.status() == StatusCode::NOT_FOUND {
        let bucket = path.split('/').nth(1).unwrap_or_default();
        let list = call("s3:ListBucket", format!("arn:aws:s3:::{bucket}"));
        if let Some(refusal) = guard.refuse(function, service, list) {
            return refusal;
        }
    }
    answer
}

fn call(action: impl Into<String>, resource: impl Into<String>) -> AwsCall {
    AwsCall {
        action: action.into(),
        resource: resource.into(),
        leading_key: None,
        via: None,
    }
}

impl Guard {
    /// Records an allowed call, or returns the answer to one that is not allowed.
    fn refuse(&self, function: &str, service: &str, call: AwsCall) -> Option<Response> {
        let statements = self.model.functions.get(function);
        let mut statements = statements.into_iter().flat_map(|of| &of.statements);
        if statements.any(|statement| statement.allows(&call)) {
            self.calls.add(function, call);
            return None;
        }
        tracing::error!(function, ?call, "its policies do not allow this");
        let AwsCall {
            action, resource, ..
        } = call;
        let message =
            format!("{function} is not authorized to perform: {action} on resource: {resource}");
        let code = "AccessDeniedException";
        Some(match service {
            "S3" => {
                let body =
                    format!("<Error><Code>AccessDenied</Code><Message>{message}</Message></Error>");
                (StatusCode::FORBIDDEN, body).into_response()
            }
            "SNS" => {
                let body = format!(
                    "<ErrorResponse><Error><Type>Sender</Type><Code>AuthorizationError</Code>\
                     <Message>{message}</Message></Error></ErrorResponse>"
                );
                (StatusCode::FORBIDDEN, body).into_response()
            }
            _ => {
                let headers = [
                    (header::CONTENT_TYPE, "application/x-amz-json-1.0"),
                    (HeaderName::from_static("x-amzn-errortype"), code),
                ];
                let body = json!({"__type": code, "message": message, "Message": message});
                (StatusCode::BAD_REQUEST, headers, body.to_string()).into_response()
            }
        })
    }

    /// Returns the calls that a request amounts to, with those that the service
    /// makes for the caller.
    fn calls_of(&self, service: &str, head: &Parts, path: &str, body: &[u8]) -> Vec<AwsCall> {
        let target = head
            .headers
            .get("x-amz-target")
            .and_then(|t| t.to_str().ok());
        let operation = target
            .and_then(|t| t.rsplit_once('.'))
            .map(|(_, name)| name);
        let operation = operation.unwrap_or_default();
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        match service {
            "DYNAMODB" => vec![self.dynamodb_call(operation, &json)],
            "KMS" => vec![call(format!("kms:{operation}"), text("KeyId"))],
            "SECRETS_MANAGER" => {
                let id = text("SecretId");
                let secret = self.model.secrets.iter().find(|secret| secret.arn == id);
                let key = secret.and_then(|secret| secret.key.clone());
                let under = key.map(|key| via("kms:Decrypt", key, "secretsmanager"));
                let own = call(format!("secretsmanager:{operation}"), id);
                [own].into_iter().chain(under).collect()
            }
            "SNS" => {
                let form: BTreeMap<String, String> =
                    url::form_urlencoded::parse(body).into_owned().collect();
                let field = |name: &str| form.get(name).cloned().unwrap_or_default();
                let arn = field("TopicArn");
                let topic = self.model.topics.iter().find(|topic| topic.arn == arn);
                let key = topic.and_then(|topic| topic.key.clone());
                let under = key.into_iter().flat_map(|key| {
                    ["kms:GenerateDataKey", "kms:Decrypt"]
                        .map(|action| via(action, key.clone(), "sns"))
                });
                let own = call(format!("sns:{}", field("Action")), arn);
                [own].into_iter().chain(under).collect()
            }
            "S3" => {
                let operation = match head.method.as_str() {
                    "GET" => "GetObject",
                    "PUT" => "PutObject",
                    "DELETE" => "DeleteObject",
                    other => other,
                };
                let object = path.split('?').next().unwrap_or_default();
                vec![call(
                    format!("s3:{operation}"),
                    format!("arn:aws:s3::{}", object.replacen('/', ":", 1)),
                )]
            }
            "LAMBDA" => {
                let name = path.split('/').nth(3).unwrap_or_default();
                let function = self
                    .model
                    .functions
                    .values()
                    .find(|of| of.name == name || of.arn == name);
                let arn = function.map_or(name, |function| &function.arn);
                vec![call("lambda:InvokeFunction", arn)]
            }
            other => vec![call(other, path)],
        }
    }

    fn dynamodb_call(&self, operation: &str, body: &Value) -> AwsCall {
        let name = body["TableName"].as_str().unwrap_or_default();
        let index = body["IndexName"].as_str();
        let index = index.map_or_else(String::new, |index| format!("/index/{index}"));
        let table = self.model.tables.iter().find(|table| table.name == name);
        let key = table.and_then(|table| table.create["KeySchema"][0]["AttributeName"].as_str());
        let leading_key = key.and_then(|key| {
            let values = [&body["Key"][key], &body["Item"][key]];
            let value = values.into_iter().find_map(|value| value["S"].as_str())?;
            // Conditions compare only the part before the separator.
            let (kind, _) = value.split_once('#')?;
            Some(format!("{kind}#"))
        });
        let resource = format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}{index}");
        AwsCall {
            leading_key,
            ..call(format!("dynamodb:{operation}"), resource)
        }
    }

    async fn forward(&self, head: &Parts, url: &str, body: Bytes) -> Response {
        let mut headers = head.headers.clone();
        headers.remove(header::HOST);
        let request = self.http.request(head.method.clone(), url);
        let sent = request.headers(headers).body(body).send().await;
        let answer = async {
            let answer = sent?;
            let (status, mut headers): (_, HeaderMap) = (answer.status(), answer.headers().clone());
            for hop in [header::TRANSFER_ENCODING, header::CONNECTION] {
                headers.remove(hop);
            }
            Ok::<_, reqwest::Error>((status, headers, answer.bytes().await?).into_response())
        };
        answer
            .await
            .unwrap_or_else(|error| (StatusCode::BAD_GATEWAY, error.to_string()).into_response())
    }
}

fn via(action: &str, resource: String, service: &str) -> AwsCall {
    AwsCall {
        via: Some(service.to_owned()),
        ..call(action, resource)
    }
}
