//! Authorization codes.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use shared::UserId;
use shared::runtime::random_id;
use url::Url;

/// For how long a code can be exchanged (RFC 6749, 4.1.2: at most ten minutes).
const LIFETIME: TimeDelta = TimeDelta::seconds(60);

/// The codes that can still be exchanged, each once, and until when.
#[derive(Debug, Default)]
pub(super) struct Codes(HashMap<String, (Authorization, DateTime<Utc>)>);

/// What a code stands for.
#[derive(Debug)]
pub(super) struct Authorization {
    pub(super) user: UserId,
    pub(super) redirect_uri: Url,
    pub(super) code_challenge: String,
    pub(super) nonce: Option<String>,
    pub(super) scope: String,
}

impl Codes {
    pub(super) fn add(&mut self, authorization: Authorization, now: DateTime<Utc>) -> String {
        self.0.retain(|_, (_, until)| *until > now);
        let code = random_id();
        self.0.insert(code.clone(), (authorization, now + LIFETIME));
        code
    }

    /// Returns what a code stands for, and makes it worthless.
    pub(super) fn take(&mut self, code: &str, now: DateTime<Utc>) -> Option<Authorization> {
        let (authorization, until) = self.0.remove(code)?;
        (until > now).then_some(authorization)
    }
}
