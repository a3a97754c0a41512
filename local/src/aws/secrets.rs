//! Secrets Manager: `GetSecretValue`. The platforms' credentials are generated
//! once, because the simulated platforms accept whichever they are given.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use shared::Platform;

use super::protocol::{AwsError, answer_json, parse_input};
use crate::template::Secret;
use crate::uuid::random_uuid;

/// A person fills this secret in AWS; the stack fills it here.
pub(crate) const PLATFORM_SECRET: &str = "PlatformSecret";

#[derive(Clone)]
pub(crate) struct Secrets(Arc<Vec<Secret>>);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SecretsRequest {
    secret_id: String,
}

/// Generates a client id and secret for every platform.
pub(crate) fn generated_credentials() -> Value {
    let credentials = Platform::ALL.map(|platform| {
        let credentials = json!({
            "client_id": format!("local-{}", platform.name()),
            "client_secret": random_uuid(),
        });
        (platform.name().to_owned(), credentials)
    });
    Value::Object(Map::from_iter(credentials))
}

impl Secrets {
    pub(crate) fn new(mut secrets: Vec<Secret>, platform_credentials: &str) -> Self {
        for secret in &mut secrets {
            if secret.logical_id == PLATFORM_SECRET {
                platform_credentials.clone_into(&mut secret.value);
            }
        }
        Self(Arc::new(secrets))
    }

    pub(crate) fn router(self) -> Router {
        Router::new().route("/", post(serve)).with_state(self)
    }

    fn operation(&self, name: &str, request: Value) -> Result<Value, AwsError> {
        if name != "GetSecretValue" {
            return Err(AwsError::unknown_operation(name));
        }
        let SecretsRequest { secret_id } = parse_input(request)?;
        let named = |secret: &&Secret| secret.arn == secret_id || secret.name == secret_id;
        let secret = self.0.iter().find(named).ok_or_else(|| AwsError {
            status: StatusCode::BAD_REQUEST,
            code: "ResourceNotFoundException",
            message: "Secrets Manager can't find the specified secret.".to_owned(),
        })?;
        Ok(json!({
            "ARN": secret.arn,
            "Name": secret.name,
            "SecretString": secret.value,
            "VersionStages": ["AWSCURRENT"],
        }))
    }
}

async fn serve(State(secrets): State<Secrets>, headers: HeaderMap, body: Bytes) -> Response {
    answer_json(&headers, &body, |name, input| {
        secrets.operation(name, input)
    })
}
