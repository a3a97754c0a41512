//! What a platform's answer to a refresh means for the integration.

use std::fmt;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Says why a refresh brought no new token. Status codes alone decide nothing, and an answer
/// that we do not understand is transient: no integration changes its state without evidence
/// that its grant is dead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The same request may work next time.
    Transient(Transient),
    /// The platform wants us to wait.
    Throttled {
        /// `None` if the platform does not say for how long.
        wait: Option<TimeDelta>,
        scope: ThrottleScope,
    },
    /// The grant is dead.
    ReconnectNeeded(ReconnectReason),
    /// The grant waits for its owner to do something on the platform itself.
    PlatformActionNeeded(PlatformAction),
    /// The token lives, but may no longer do what we need. Among these words of the platform may be
    /// the names of permissions.
    PermissionLost(Vec<String>),
    /// The platform refuses our application, whatever the integration: only we can repair that.
    AppMisconfigured,
    /// The platform does not answer a probe's question for this account. That says nothing of the
    /// token, the grant, or our application.
    ProbeNotApplicable,
}

/// Whom a platform holds back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThrottleScope {
    /// The platform holds back our application, with every integration.
    Application,
    /// The platform holds back one integration: its user, page, or ad account.
    Integration,
    /// The platform fails, and says when to come back (RFC 9110, 10.2.3). Unlike a platform that
    /// only counts requests, it may have acted before it failed.
    Platform,
}

/// The ways in which an exchange can fail for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transient {
    /// No connection could be made.
    Unreachable,
    /// No complete answer came in time.
    NoAnswer,
    /// The platform said that it failed.
    ServerError,
    /// The answer does not have the documented shape.
    Unintelligible,
    /// Nothing was asked: the stored credential could not be opened.
    DecryptionFailed,
}

/// Why a grant is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReconnectReason {
    /// The platform refuses the grant without saying why.
    GrantRefused,
    /// The token's or refresh token's time ran out.
    Expired,
    /// The person or the platform withdrew the grant.
    Revoked,
    /// The person removed the application.
    AppRemoved,
    PasswordChanged,
    /// Nobody used the grant for too long.
    Inactive,
    /// The platform replaced the refresh token, and its answer was lost before
    /// we had stored it: our fault.
    RotationLost,
    /// We cannot open the stored credential: our fault.
    CredentialDamaged,
}

/// What a person must do on the platform before anything else helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlatformAction {
    /// The person must log in on the platform and follow its security checkpoint.
    LogIn,
    /// The account is not confirmed.
    ConfirmAccount,
    /// The organisation's administrator demands a new sign-in.
    AdministratorPolicy,
    /// The organisation's administrator does not let our application in, or has
    /// restricted the account: a new grant would be refused as well.
    AdministratorApproval,
    /// The account's own protection keeps applications out, ours too.
    AccountProtection,
    /// The platform asks this account for a stronger sign-in than it has.
    StrongerSignIn,
    /// The platform bills the account for our requests, and the account is not enrolled.
    Enrol,
}

impl Transient {
    const fn may_have_acted(self) -> bool {
        match self {
            Self::NoAnswer | Self::ServerError | Self::Unintelligible => true,
            Self::Unreachable | Self::DecryptionFailed => false,
        }
    }
}

impl Verdict {
    /// Whether the platform may have done what it was asked for: then a
    /// single-use token may be used up.
    #[must_use]
    pub const fn may_have_acted(&self) -> bool {
        match self {
            Self::Transient(transient) => transient.may_have_acted(),
            Self::Throttled { scope, .. } => matches!(scope, ThrottleScope::Platform),
            Self::ReconnectNeeded(_)
            | Self::PlatformActionNeeded(_)
            | Self::PermissionLost(_)
            | Self::AppMisconfigured
            | Self::ProbeNotApplicable => false,
        }
    }
}

impl fmt::Display for Transient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "the platform could not be reached",
            Self::NoAnswer => "the platform did not answer in time",
            Self::ServerError => "the platform failed",
            Self::Unintelligible => "the platform's answer made no sense",
            Self::DecryptionFailed => "the stored credential could not be opened",
        })
    }
}

impl fmt::Display for ReconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GrantRefused => "the platform no longer accepts this connection",
            Self::Expired => "the connection's time ran out",
            Self::Revoked => "access was withdrawn",
            Self::AppRemoved => "the application was removed from the account",
            Self::PasswordChanged => "the account's password was changed",
            Self::Inactive => "the account was not used for too long",
            Self::RotationLost => {
                "the platform replaced the token in an answer that did not reach us or could not be read"
            }
            Self::CredentialDamaged => "the stored token can no longer be read",
        })
    }
}

impl fmt::Display for PlatformAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LogIn => "log in on the platform itself first and follow its security check",
            Self::ConfirmAccount => "confirm the account on the platform first",
            Self::AdministratorPolicy => {
                "the organisation's administrator limits how long a sign-in lasts; reconnect, and \
                 ask them to exempt this application, or it ends again"
            }
            Self::AdministratorApproval => {
                "the organisation's administrator does not let this application in; ask them to \
                 allow it, reconnecting alone does not help"
            }
            Self::AccountProtection => {
                "the account's own protection keeps this application out, such as Google's \
                 Advanced Protection; change that on the platform, reconnecting alone does not help"
            }
            Self::StrongerSignIn => {
                "turn on the stronger sign-in that the platform asks this account for, such as \
                 2-step verification"
            }
            Self::Enrol => {
                "enrol this account at the platform's developer console first: what is asked \
                 there is billed to it"
            }
        })
    }
}
