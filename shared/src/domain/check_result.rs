//! What a refresh, a probe or a check comes to: one name for logs, metrics, reports, audit
//! rows, the API and the exit codes of `warden`.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::verdict::Verdict;

/// Defines the variants with their names, so that what is serialised is what
/// [`CheckResult::name`] says.
macro_rules! check_results {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// The result of an attempt at an integration, or why there was no attempt.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize,
        )]
        pub enum CheckResult {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
        }

        impl CheckResult {
            /// Returns the serialised name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }

        impl PartialSchema for CheckResult {
            fn schema() -> RefOr<Schema> {
                let name = ObjectBuilder::new().schema_type(Type::String);
                name.enum_values(Some([$($name),*])).into()
            }
        }

        impl ToSchema for CheckResult {}
    };
}

check_results! {
    /// A new token is stored.
    Renewed = "renewed",
    /// A new token that an earlier attempt left in the credential fallback is stored.
    StoredFromFallback = "stored_from_fallback",
    /// The platform accepted the token and left its end as it was.
    Unchanged = "unchanged",
    /// The platform accepted the token and gave one that ends sooner.
    Shortened = "shortened",
    /// A probe showed that the token works.
    Alive = "alive",

    // The verdicts of these names.
    AppMisconfigured = "app_misconfigured",
    PermissionLost = "permission_lost",
    PlatformActionNeeded = "platform_action_needed",
    ReconnectNeeded = "reconnect_needed",
    Throttled = "throttled",
    Transient = "transient",
    ProbeNotApplicable = "probe_not_applicable",

    /// Whether the platform replaced the token is not known.
    InDoubt = "in_doubt",
    /// The platform replaced the token and its answer is gone.
    RotationLost = "rotation_lost",
    /// The new token is in the credential fallback; the next attempt stores it.
    InFallback = "in_fallback",
    /// The new token could be stored nowhere.
    StoreFailed = "store_failed",
    /// Somebody else changed the integration at the same moment.
    Superseded = "superseded",

    /// Nothing was sent: the row could not be written before.
    ClaimFailed = "claim_failed",
    /// Nothing was sent: too little time was left to store an answer.
    OutOfTime = "out_of_time",
    /// Nothing was sent: there was no key to seal an answer with.
    NoKey = "no_key",
    /// Nothing was sent: whether the credential fallback holds an answer is not known.
    FallbackUnknown = "fallback_unknown",
    /// Nothing was sent: the key that opens the credential could not be had.
    DecryptionFailed = "decryption_failed",
    /// Nothing was sent: the credential will never open again.
    CredentialDamaged = "credential_damaged",

    /// Nothing was tried: there is no such integration.
    NotFound = "not_found",
    /// Nothing was tried: a person has disconnected it.
    Disconnected = "disconnected",
    /// Nothing was tried: another process is refreshing it.
    Busy = "busy",
    /// Nothing was tried: the platform asks us to wait.
    HeldBack = "held_back",
    /// Nothing was tried: the circuit breaker of the platform is open.
    BreakerOpen = "breaker_open",
    /// Nothing was tried: there is nothing to refresh, and no free probe.
    NothingToCheck = "nothing_to_check",
}

impl CheckResult {
    /// Whether the platform accepts the token, by its own answer just now.
    #[must_use]
    pub const fn is_accepted(self) -> bool {
        matches!(
            self,
            Self::Renewed | Self::StoredFromFallback | Self::Unchanged | Self::Alive
        )
    }
}

impl Verdict {
    /// Returns the name of the [`CheckResult`] that the verdict becomes.
    #[must_use]
    pub fn name(&self) -> &'static str {
        CheckResult::from(self).name()
    }
}

impl From<&Verdict> for CheckResult {
    fn from(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Transient(_) => Self::Transient,
            Verdict::Throttled { .. } => Self::Throttled,
            Verdict::ReconnectNeeded(_) => Self::ReconnectNeeded,
            Verdict::PlatformActionNeeded(_) => Self::PlatformActionNeeded,
            Verdict::PermissionLost(_) => Self::PermissionLost,
            Verdict::AppMisconfigured => Self::AppMisconfigured,
            Verdict::ProbeNotApplicable => Self::ProbeNotApplicable,
        }
    }
}

/// Writes the name as words.
impl fmt::Display for CheckResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name().replace('_', " "))
    }
}
