//! What a request asks for, read off the wire: of which service, for which
//! step of a sweep, about which integration.

use std::fmt;

use axum::body::Bytes;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;
use shared::domain::integration::Sealed;
use shared::domain::refresh::Renewed;
use test_support::StepKinds;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Service {
    Dynamodb,
    Kms,
    S3,
    Sns,
    Secrets,
    Platform,
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dynamodb => "DynamoDB",
            Self::Kms => "KMS",
            Self::S3 => "S3",
            Self::Sns => "SNS",
            Self::Secrets => "Secrets Manager",
            Self::Platform => "platform",
        })
    }
}

/// The kinds of requests that a sweep makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RequestKind {
    Query,
    ReadRow,
    Claim,
    Store,
    Record,
    Audit,
    Application,
    DataKey,
    Decrypt,
    StoreFallback,
    FindFallback,
    RemoveFallback,
    Exchange,
    Probe,
    Publish,
    Secret,
}

impl StepKinds for RequestKind {
    const ALL: &'static [Self] = &[
        Self::Query,
        Self::ReadRow,
        Self::DataKey,
        Self::Decrypt,
        Self::Claim,
        Self::FindFallback,
        Self::Exchange,
        Self::Store,
        Self::StoreFallback,
        Self::RemoveFallback,
        Self::Probe,
        Self::Record,
        Self::Application,
        Self::Audit,
        Self::Publish,
        Self::Secret,
    ];
}

/// A sealed refresh token on its way to a place where it lasts.
#[derive(Debug, Clone)]
pub(super) struct SealedCopy {
    pub(super) generation: u64,
    pub(super) refresh_token: Sealed,
}

#[derive(Debug, Clone)]
pub(super) struct ObservedRequest {
    pub(super) service: Service,
    pub(super) kind: RequestKind,
    /// The index of the integration among those of the run.
    pub(super) integration: Option<usize>,
    /// The attempt that holds the lease in a write of a row, and whether an earlier attempt's
    /// end is unknown.
    pub(super) lease: Option<(String, bool)>,
    /// The version that the write gives a row.
    pub(super) version: Option<u64>,
    pub(super) copy: Option<SealedCopy>,
    /// The refresh token that is exchanged.
    pub(super) token: Option<String>,
}

/// What a process claimed of an integration last, and what it has stored since.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claimed {
    pub(super) generation: u64,
    /// The version of the row with new tokens.
    pub(super) stored: Option<u64>,
}

/// The ids of a run's integrations: `c0`, `c1`, ...
pub(super) fn id_of(integration: usize) -> String {
    format!("c{integration}")
}

fn integration_of(id: &str) -> Option<usize> {
    id.strip_prefix('c')?.parse().ok()
}

impl ObservedRequest {
    fn new(service: Service, kind: RequestKind, integration: Option<usize>) -> Self {
        Self {
            service,
            kind,
            integration,
            lease: None,
            version: None,
            copy: None,
            token: None,
        }
    }

    /// Reads a request to AWS; `claimed` is what a process last claimed of an integration.
    pub(super) fn of_aws(
        head: &Parts,
        path: &str,
        body: &Bytes,
        tables: &Tables,
        claimed: impl Fn(usize) -> Option<Claimed>,
    ) -> Self {
        let target = head.headers.get("x-amz-target");
        let target = target.and_then(|target| target.to_str().ok());
        match target.and_then(|target| target.split_once('.')) {
            Some(("DynamoDB_20120810", operation)) => {
                let body = serde_json::from_slice(body).unwrap();
                Self::of_dynamodb(operation, &body, tables, claimed)
            }
            Some(("TrentService", "Decrypt")) => {
                Self::new(Service::Kms, RequestKind::Decrypt, None)
            }
            Some(("TrentService", _)) => Self::new(Service::Kms, RequestKind::DataKey, None),
            Some(_) => Self::new(Service::Secrets, RequestKind::Secret, None),
            None if path.contains("/fallback/") => Self::of_s3(head, path, body),
            None => {
                let body = String::from_utf8_lossy(body);
                let id = body.split("integration_id%22%3A%22").nth(1);
                let id = id.and_then(|rest| rest.split('%').next());
                Self::new(
                    Service::Sns,
                    RequestKind::Publish,
                    id.and_then(integration_of),
                )
            }
        }
    }

    fn of_dynamodb(
        operation: &str,
        body: &Value,
        tables: &Tables,
        claimed: impl Fn(usize) -> Option<Claimed>,
    ) -> Self {
        let table = body["TableName"].as_str().unwrap();
        let of = |kind, integration| Self::new(Service::Dynamodb, kind, integration);
        let id = |item: &Value| {
            item["integration_id"]["S"]
                .as_str()
                .and_then(integration_of)
        };
        if table == tables.audit {
            let stream = body["Item"]["stream"]["S"].as_str().unwrap_or_default();
            return of(
                RequestKind::Audit,
                stream.rsplit('#').next().and_then(integration_of),
            );
        }
        if table == tables.quotas {
            return of(RequestKind::Application, None);
        }
        match operation {
            "Query" => of(RequestKind::Query, None),
            "GetItem" => of(RequestKind::ReadRow, id(&body["Key"])),
            _ => Self::of_row(&body["Item"], id(&body["Item"]), claimed),
        }
    }

    fn of_row(
        item: &Value,
        integration: Option<usize>,
        claimed: impl Fn(usize) -> Option<Claimed>,
    ) -> Self {
        let text = |at: &str| item.pointer(at).and_then(Value::as_str);
        let number = |at| text(at).and_then(|number| number.parse::<u64>().ok());
        let (generation, version) = (number("/generation/N"), number("/version/N"));
        let lease = text("/lease/M/attempt/S");
        let in_doubt = text("/intent/M/attempt/S").is_some_and(|of| Some(of) != lease);
        let kind = match integration.and_then(claimed) {
            _ if lease.is_some() => RequestKind::Claim,
            Some(claimed)
                if generation > Some(claimed.generation)
                    && claimed.stored.is_none_or(|stored| version <= Some(stored)) =>
            {
                RequestKind::Store
            }
            _ => RequestKind::Record,
        };
        let sealed = text("/refresh_token/B").map(|text| BASE64.decode(text).unwrap());
        Self {
            lease: lease.map(|attempt| (attempt.to_owned(), in_doubt)),
            version,
            copy: generation
                .zip(sealed)
                .map(|(generation, sealed)| SealedCopy {
                    generation,
                    refresh_token: Sealed(sealed),
                }),
            ..Self::new(Service::Dynamodb, kind, integration)
        }
    }

    /// Reads a request for `/{bucket}/fallback/{org}/{integration}/{generation}`.
    fn of_s3(head: &Parts, path: &str, body: &Bytes) -> Self {
        let kind = match head.method.as_str() {
            "PUT" => RequestKind::StoreFallback,
            "GET" => RequestKind::FindFallback,
            _ => RequestKind::RemoveFallback,
        };
        let path = path.split('?').next().unwrap_or_default();
        let mut parts = path.rsplit('/');
        let generation = parts.next().and_then(|part| part.parse().ok());
        let integration = parts.next().and_then(integration_of);
        let renewed = serde_json::from_slice::<Renewed>(body).ok();
        let sealed = renewed.and_then(|renewed| renewed.refresh_token);
        Self {
            copy: generation
                .zip(sealed)
                .map(|(generation, refresh_token)| SealedCopy {
                    generation,
                    refresh_token,
                }),
            ..Self::new(Service::S3, kind, integration)
        }
    }

    /// Reads a request to a platform; `owner` says whose a token is.
    pub(super) fn of_platform(body: &Bytes, owner: impl Fn(&str) -> Option<usize>) -> Self {
        let token = refresh_token(body);
        let kind = match token {
            Some(_) => RequestKind::Exchange,
            None => RequestKind::Probe,
        };
        Self {
            token: token.clone(),
            ..Self::new(Service::Platform, kind, token.as_deref().and_then(owner))
        }
    }
}

/// Reads a form or a JSON object; the simulators' tokens need no escapes.
fn refresh_token(body: &Bytes) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    if let Ok(json) = serde_json::from_str::<Value>(text) {
        return json["refresh_token"].as_str().map(str::to_owned);
    }
    let mut fields = text.split('&').filter_map(|field| field.split_once('='));
    fields
        .find(|(name, _)| *name == "refresh_token")
        .map(|(_, value)| value.to_owned())
}

#[derive(Debug, Clone)]
pub(super) struct Tables {
    pub(super) audit: String,
    pub(super) quotas: String,
}
