//! The row of an integration: its account, its sealed credential, its expiry and
//! its state. What time does to it is in `schedule`.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::encoding::{self, json_text, seconds};
use crate::domain::sent_alerts::SentAlerts;
use crate::domain::verdict::{PlatformAction, ReconnectReason};
use crate::{IntegrationId, IntegrationKey, OrgId, Platform, UserId};

/// A sealed value, as `aws::token_cipher` makes it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(
    #[serde(
        serialize_with = "serde_bytes::serialize",
        deserialize_with = "encoding::bytes"
    )]
    pub Vec<u8>,
);

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

/// A salted digest of a credential as it was handed over, first of its platform
/// and tokens, then of its dates and scopes. It lies in the clear beside the
/// sealed tokens: a token is long and random, so that nobody finds it by
/// guessing, and the salt is this row's own, so that no two rows can be compared.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(
    #[serde(
        serialize_with = "serde_bytes::serialize",
        deserialize_with = "encoding::bytes"
    )]
    pub(crate) Vec<u8>,
);

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint")
    }
}

/// An integration, as one row of the integrations table. Its groups are flat in the
/// table, so that each attribute can be projected, indexed and repaired by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Integration {
    /// The organisation that owns it.
    pub org_id: OrgId,
    /// Its id within the organisation.
    pub integration_id: IntegrationId,
    /// The platform it connects to.
    pub platform: Platform,
    /// Who made the integration, and is alerted about it.
    pub created_by: UserId,
    /// Whatever its owner keeps with it; Token Warden does not read it.
    #[serde(
        with = "json_text",
        default,
        skip_serializing_if = "serde_json::Map::is_empty"
    )]
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// Counts writes: every write is conditional on the one it read.
    pub version: u64,
    /// The account on the platform.
    #[serde(flatten)]
    pub account: Account,
    /// The sealed tokens of the current grant.
    #[serde(flatten)]
    pub credential: Credential,
    /// What the grant allows.
    #[serde(flatten)]
    pub permissions: Permissions,
    /// When each part of the credential ends.
    #[serde(flatten)]
    pub expiry: Expiry,
    /// What refreshes and probes have shown, and who is refreshing now.
    #[serde(flatten)]
    pub refresh: RefreshState,
    /// Whether it works, and if not, why.
    pub state: State,
    /// The alerts that were sent, and a recovery that is pending.
    #[serde(default)]
    pub sent_alerts: SentAlerts,

    /// Until when a person must act, or it stops working: key of `by_reconnect_by`.
    /// Derived by [`Integration::settle`], as are the next two.
    #[serde(with = "seconds", default, skip_serializing_if = "Option::is_none")]
    pub reconnect_by: Option<DateTime<Utc>>,
    /// When a sweep must next look at it: key of `by_next_action`.
    #[serde(with = "seconds", default, skip_serializing_if = "Option::is_none")]
    pub next_action_at: Option<DateTime<Utc>>,
    /// Its partition of `by_next_action`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_action_shard: Option<String>,
}

impl From<&Integration> for IntegrationKey {
    fn from(row: &Integration) -> Self {
        Self {
            org_id: row.org_id.clone(),
            integration_id: row.integration_id.clone(),
        }
    }
}

/// An account on a platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its id on the platform.
    #[serde(rename = "account_id")]
    pub id: String,
    /// Its name, as people know it.
    pub username: String,
}

/// A grant's tokens, sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// Counts credentials: refreshes, imports, reconnects, erasures.
    pub generation: u64,
    /// Counts grants: only a person's acts advance it.
    pub grant: u64,
    /// When we took over the current grant.
    #[serde(with = "chrono::serde::ts_seconds")]
    pub granted_at: DateTime<Utc>,
    /// The access token; absent once disconnected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token: Option<Sealed>,
    /// The refresh token, where the platform gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<Sealed>,
    /// A digest of the credential last imported, sealed: it recognises the
    /// same line in the next import, and shows a reader of the table nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<Sealed>,
    /// Recognises the credential that was last registered or imported: handed
    /// over again, it must not replace what it has been exchanged for since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered: Option<Fingerprint>,
}

/// What a grant allows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permissions {
    /// The scopes that it has, as far as known.
    #[serde(rename = "scopes", default, skip_serializing_if = "Vec::is_empty")]
    pub granted: Vec<String>,
    /// The scopes that it once had and no longer has.
    #[serde(
        rename = "missing_scopes",
        default,
        skip_serializing_if = "Vec::is_empty"
    )]
    pub missing: Vec<String>,
    /// Since when a permission is missing.
    #[serde(
        rename = "permission_lost_at",
        with = "seconds",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub lost_at: Option<DateTime<Utc>>,
}

/// When each part of a credential ends.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expiry {
    /// When the access token was issued, if known.
    #[serde(with = "seconds", default, skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<DateTime<Utc>>,
    /// When the access token ends; absent if it does not, or nobody knows.
    #[serde(
        rename = "access_expires_at",
        with = "seconds",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub access_token: Option<DateTime<Utc>>,
    /// When the refresh token ends.
    #[serde(
        rename = "refresh_expires_at",
        with = "seconds",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub refresh_token: Option<DateTime<Utc>>,
    /// Until when the platform lets us read the person's data (Meta).
    #[serde(
        rename = "data_access_expires_at",
        with = "seconds",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub data_access: Option<DateTime<Utc>>,
    /// When the grant ends if nothing uses it (Google).
    #[serde(
        rename = "idle_expires_at",
        with = "seconds",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub idle: Option<DateTime<Utc>>,
}

/// What refreshes and probes have shown, and who is refreshing now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshState {
    /// The last refresh of this grant that proved it renewable.
    #[serde(with = "seconds", default, skip_serializing_if = "Option::is_none")]
    pub renewed_at: Option<DateTime<Utc>>,
    /// The last attempt at refreshing this grant, whatever its outcome.
    #[serde(with = "seconds", default, skip_serializing_if = "Option::is_none")]
    pub attempted_at: Option<DateTime<Utc>>,
    /// When the platform was last asked, beside a refresh, whether the access token lives.
    #[serde(with = "seconds", default, skip_serializing_if = "Option::is_none")]
    pub probed_at: Option<DateTime<Utc>>,
    /// When the platform last confirmed that.
    #[serde(with = "seconds", default, skip_serializing_if = "Option::is_none")]
    pub alive_at: Option<DateTime<Utc>>,
    /// Someone is refreshing it right now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    /// An exchange whose end nobody has recorded. Once no lease protects it,
    /// the integration is in doubt: the platform may have replaced the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// The last exchange that was begun in doubt. If the credential that replaces
    /// the one it sent is refused, this is why: a platform that sees a single-use
    /// token twice may revoke what it gave for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub possibly_replayed: Option<Intent>,
}

/// Whether an integration works, and if not, why. Everything that people see
/// beyond this (healthy, expiring, broken, ...) is derived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum State {
    /// Nothing is wrong.
    Active,
    /// Refreshing fails for now.
    Retrying {
        /// Failures in a row.
        failures: u32,
        /// When this began.
        #[serde(with = "chrono::serde::ts_seconds")]
        since: DateTime<Utc>,
        /// Of what kind the last one was.
        reason: RetryReason,
        /// When it is tried again.
        #[serde(with = "chrono::serde::ts_seconds")]
        next_attempt_at: DateTime<Utc>,
        /// Until when the platform asks us to wait. Whoever ends before that is tried
        /// earlier all the same.
        #[serde(with = "seconds", default, skip_serializing_if = "Option::is_none")]
        wait_until: Option<DateTime<Utc>>,
        /// The last error code, the platform's or one of ours.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<String>,
    },
    /// The grant is dead; only reconnecting helps.
    ReconnectRequired {
        /// What ended the grant.
        reason: ReconnectReason,
        /// When this began.
        #[serde(with = "chrono::serde::ts_seconds")]
        since: DateTime<Utc>,
    },
    /// The person must first do something on the platform.
    PlatformActionRequired {
        /// What they must do.
        action: PlatformAction,
        /// When this began.
        #[serde(with = "chrono::serde::ts_seconds")]
        since: DateTime<Utc>,
        /// When we look again whether they have.
        #[serde(with = "chrono::serde::ts_seconds")]
        next_check_at: DateTime<Utc>,
    },
    /// Switched off by a person, tokens erased.
    Disconnected {
        /// When this began.
        #[serde(with = "chrono::serde::ts_seconds")]
        since: DateTime<Utc>,
    },
}

/// Why a refresh is being retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryReason {
    /// The platform or the way to it failed.
    Transient,
    /// The platform asked us to wait.
    Throttled,
    /// The platform refused the grant once; a second refusal in a later sweep confirms it.
    Refused,
    /// No answer came to an exchange that may have replaced the token.
    InDoubt,
}

/// The right to refresh an integration, for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The attempt that holds it.
    pub attempt: String,
    /// When it ends, unless it is released before.
    #[serde(with = "chrono::serde::ts_seconds")]
    pub until: DateTime<Utc>,
}

/// An exchange of a single-use refresh token that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The attempt that began it.
    pub attempt: String,
    /// When it began.
    #[serde(with = "chrono::serde::ts_seconds")]
    pub at: DateTime<Utc>,
    /// The generation of the credential that it sent.
    pub generation: u64,
    /// Whether the platform has answered to it, in a way that left it in doubt.
    #[serde(default)]
    pub answered: bool,
}
