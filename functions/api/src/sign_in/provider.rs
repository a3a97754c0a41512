//! The issuer at which people sign in, and our client there.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use chrono::{DateTime, TimeDelta, Utc};
use edge::problem::Problem;
use http::request::Parts;
use lambda_http::RequestExt;
use shared::openid::{FetchError, Issuer, Metadata};
use shared::runtime::variables::InvalidVariable;
use shared::{Clock, Variables};
use tokio::sync::Mutex;
use url::form_urlencoded;

/// For how long the issuer's addresses are remembered.
const MAX_AGE: TimeDelta = TimeDelta::hours(1);

/// The issuer. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Provider {
    pub(super) issuer: Arc<Issuer>,
    /// What the issuer wants in an authorization request besides, such as an audience.
    pub(super) parameters: Vec<(String, String)>,
    known: Arc<Mutex<Option<Known>>>,
    clock: Clock,
}

#[derive(Debug)]
struct Known {
    at: DateTime<Utc>,
    metadata: Metadata,
}

impl Provider {
    /// Reads `AUTH_ISSUER`, and optionally `SIGN_IN_PARAMETERS`.
    pub(crate) fn from_variables(
        variables: &Variables,
        clock: &Clock,
    ) -> Result<Self, InvalidVariable> {
        let issuer = Issuer::new(variables.required("AUTH_ISSUER")?);
        let issuer = issuer.map_err(|error| variables.invalid("AUTH_ISSUER", error))?;
        let parameters = variables.get("SIGN_IN_PARAMETERS").unwrap_or_default();
        Ok(Self {
            issuer: Arc::new(issuer),
            parameters: form_urlencoded::parse(parameters.as_bytes())
                .into_owned()
                .collect(),
            known: Arc::default(),
            clock: clock.clone(),
        })
    }

    /// Returns what the issuer says of itself. Whoever comes while it is asked waits.
    pub(super) async fn metadata(&self) -> Result<Metadata, FetchError> {
        let mut known = self.known.lock().await;
        let now = self.clock.now();
        if let Some(Known { at, metadata }) = known.as_ref()
            && (now - *at).abs() < MAX_AGE
        {
            return Ok(metadata.clone());
        }
        let metadata = self.issuer.metadata().await?;
        *known = Some(Known {
            at: now,
            metadata: metadata.clone(),
        });
        Ok(metadata)
    }
}

/// Our client at the issuer, by the stage's variable `sign_in_client_id`. A stack without a client
/// signs nobody in.
#[derive(Debug)]
pub(crate) struct ClientId(pub(super) String);

impl<S: Sync> FromRequestParts<S> for ClientId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let variables = parts.extensions.stage_variables_ref();
        let id = variables.and_then(|variables| variables.first("sign_in_client_id"));
        id.map(|id| Self(id.to_owned())).ok_or_else(|| {
            Problem::not_found(
                "Nobody can sign in here: SignInClientId is not set in the deployment.",
            )
        })
    }
}
