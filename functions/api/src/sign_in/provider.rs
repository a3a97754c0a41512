//! The issuer, and our client there.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use shared::openid::{FetchError, Issuer, Metadata};
use shared::runtime::variables::InvalidVariable;
use shared::{Clock, Variables};
use tokio::sync::Mutex;
use url::form_urlencoded;

/// For how long the issuer's addresses are remembered.
const MAX_AGE: TimeDelta = TimeDelta::hours(1);

/// The issuer, and our client there. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Provider {
    pub(super) issuer: Arc<Issuer>,
    pub(super) client_id: String,
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
    /// Reads `AUTH_ISSUER`, `SIGN_IN_CLIENT_ID`, and optionally `SIGN_IN_PARAMETERS`; without a
    /// client nobody is signed in here.
    pub(crate) fn from_variables(
        variables: &Variables,
        clock: &Clock,
    ) -> Result<Option<Self>, InvalidVariable> {
        let Some(client_id) = variables.get("SIGN_IN_CLIENT_ID") else {
            return Ok(None);
        };
        let issuer = Issuer::new(variables.required("AUTH_ISSUER")?);
        let issuer = issuer.map_err(|error| variables.invalid("AUTH_ISSUER", error))?;
        let parameters = variables.get("SIGN_IN_PARAMETERS").unwrap_or_default();
        Ok(Some(Self {
            issuer: Arc::new(issuer),
            client_id: client_id.to_owned(),
            parameters: form_urlencoded::parse(parameters.as_bytes())
                .into_owned()
                .collect(),
            known: Arc::default(),
            clock: clock.clone(),
        }))
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
