//! The row of an integration: its account, its sealed credential, its expiry and its state. The
//! module `schedule` says what time does to the row.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::account::Account;
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

/// A salted digest of a credential as it was handed over, first of its platform and tokens,
/// then of its dates and scopes. It lies in the clear beside the sealed tokens. Tokens are long
/// and random, so nobody finds one by guessing. Each row has its own salt, so nobody can
/// compare two rows.
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
    pub org_id: OrgId,
    /// Unique within the organisation.
    pub integration_id: IntegrationId,
    pub platform: Platform,
    /// This user made the integration, and gets its alerts.
    pub created_by: UserId,
    /// The owner keeps anything here; Token Warden does not read it.
    #[serde(
        with = "json_text",
        default,
        skip_serializing_if = "serde_json::Map::is_empty"
    )]
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// Counts writes. Every write is conditional on the version that it read.
    pub version: u64,
    #[serde(flatten)]
    pub account: Account,
    #[serde(flatten)]
    pub credential: Credential,
    #[serde(flatten)]
    pub permissions: Permissions,
    #[serde(flatten)]
    pub expiry: Expiry,
    #[serde(flatten)]
    pub refresh: RefreshState,
    pub state: State,
    #[serde(default)]
    pub sent_alerts: SentAlerts,

    /// The key of the index `by_reconnect_by`. [`Integration::derive_index_keys`] derives it
    /// and the next two fields.
    #[serde(with = "seconds", default, skip_serializing_if = "Option::is_none")]
    pub reconnect_by: Option<DateTime<Utc>>,
    /// A sweep must look at the row at this instant, the key of the index `by_next_action`.
    #[serde(with = "seconds", default, skip_serializing_if = "Option::is_none")]
    pub next_action_at: Option<DateTime<Utc>>,
    /// The row's partition of `by_next_action`.
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

/// A grant's tokens, sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// Counts credentials. Each refresh, import, reconnect and erasure adds one.
    pub generation: u64,
    /// Counts grants. Only a person's action adds one.
    pub grant: u64,
    /// We took over the current grant at this instant.
    #[serde(with = "chrono::serde::ts_seconds")]
    pub granted_at: DateTime<Utc>,
    /// Absent once the integration is disconnected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token: Option<Sealed>,
    /// Absent where the platform gave none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<Sealed>,
    /// A sealed digest of the credential last imported. It recognises the same line in the next
    /// import, and shows a reader of the table nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<Sealed>,
    /// Recognises the credential that was last registered or imported. If somebody hands it over
    /// again, it must not replace the credential that we exchanged it for since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered: Option<Fingerprint>,
}

/// What a grant allows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permissions {
    /// The grant has these scopes, as far as we know.
    #[serde(rename = "scopes", default, skip_serializing_if = "Vec::is_empty")]
    pub granted: Vec<String>,
    /// The grant once had these scopes, and no longer has them.
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
    /// Absent if nobody knows when the access token was issued.
    #[serde(with = "seconds", default, skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<DateTime<Utc>>,
    /// Absent if the access token does not end, or nobody knows when.
    #[serde(
        rename = "access_expires_at",
        with = "seconds",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub access_token: Option<DateTime<Utc>>,
    #[serde(
        rename = "refresh_expires_at",
        with = "seconds",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub refresh_token: Option<DateTime<Utc>>,
    /// The platform lets us read the person's data until this instant (Meta).
    #[serde(
        rename = "data_access_expires_at",
        with = "seconds",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub data_access: Option<DateTime<Utc>>,
    /// The grant ends at this instant if nothing uses it (Google).
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
    /// We last probed the access token outside a refresh at this instant.
    #[serde(with = "seconds", default, skip_serializing_if = "Option::is_none")]
    pub probed_at: Option<DateTime<Utc>>,
    /// The platform last confirmed at this instant that the access token lives.
    #[serde(with = "seconds", default, skip_serializing_if = "Option::is_none")]
    pub alive_at: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    /// An exchange whose end nobody has recorded. Once no lease protects it,
    /// the integration is in doubt: the platform may have replaced the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// The last exchange that an attempt began in doubt. It explains a refusal of the credential
    /// that came next: a platform that sees a single-use token twice may revoke what it gave for
    /// it.
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
        /// Counts failures in a row.
        failures: u32,
        #[serde(with = "chrono::serde::ts_seconds")]
        since: DateTime<Utc>,
        reason: RetryReason,
        #[serde(with = "chrono::serde::ts_seconds")]
        next_attempt_at: DateTime<Utc>,
        /// The platform asks us to wait until this instant. An integration that ends before is
        /// tried earlier all the same.
        #[serde(with = "seconds", default, skip_serializing_if = "Option::is_none")]
        wait_until: Option<DateTime<Utc>>,
        /// The last error code, the platform's or one of ours.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<String>,
    },
    /// The grant is dead; only reconnecting helps.
    ReconnectRequired {
        reason: ReconnectReason,
        #[serde(with = "chrono::serde::ts_seconds")]
        since: DateTime<Utc>,
    },
    /// The person must first do something on the platform.
    PlatformActionRequired {
        action: PlatformAction,
        #[serde(with = "chrono::serde::ts_seconds")]
        since: DateTime<Utc>,
        /// A sweep looks again at this instant whether the person has acted.
        #[serde(with = "chrono::serde::ts_seconds")]
        next_check_at: DateTime<Utc>,
    },
    /// A person has switched the integration off, and its tokens are erased.
    Disconnected {
        #[serde(with = "chrono::serde::ts_seconds")]
        since: DateTime<Utc>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RetryReason {
    /// The platform or the way to it failed.
    Transient,
    /// The platform asked us to wait.
    Throttled,
    /// The platform refused the grant once; a second refusal in a later sweep confirms it.
    Refused,
    /// An exchange without a clear answer may have replaced the token.
    InDoubt,
}

/// The right to refresh an integration, for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The id of the attempt that holds the lease.
    pub attempt: String,
    /// The lease ends at this instant, unless it is released before.
    #[serde(with = "chrono::serde::ts_seconds")]
    pub until: DateTime<Utc>,
}

/// Records that an attempt is about to send a single-use refresh token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The id of the attempt that recorded the intent.
    pub attempt: String,
    #[serde(with = "chrono::serde::ts_seconds")]
    pub at: DateTime<Utc>,
    /// The generation of the credential that the attempt sends.
    pub generation: u64,
    /// Whether the platform has answered in a way that left the integration in doubt.
    #[serde(default)]
    pub answered: bool,
}
