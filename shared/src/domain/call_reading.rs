//! What a platform's answer to a call of its API means, for whoever made the call and for the
//! quotas.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What the answer means for whoever made the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallVerdict {
    /// The platform did what it was asked for.
    Accepted,
    /// The platform refuses this very request.
    Rejected,
    /// The platform refuses the access token.
    TokenRefused,
    /// The platform asks to wait.
    Throttled,
    /// The token lives, and may not do this.
    PermissionLost,
    /// The owner of the account must do something on the platform itself.
    PlatformActionNeeded,
    /// The platform refuses our application, whatever the integration.
    AppMisconfigured,
    /// The platform failed.
    Transient,
}

impl CallVerdict {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::TokenRefused => "token_refused",
            Self::Throttled => "throttled",
            Self::PermissionLost => "permission_lost",
            Self::PlatformActionNeeded => "platform_action_needed",
            Self::AppMisconfigured => "app_misconfigured",
            Self::Transient => "transient",
        }
    }

    /// Says what to do.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Accepted => "Nothing is to be done.",
            Self::Rejected => "Look at the platform's answer: it refuses this very request.",
            Self::TokenRefused => {
                "Ask for an access token with this one's generation as rejected_generation, and \
                 repeat the call once."
            }
            Self::Throttled => "Wait until then; permits are refused until then.",
            Self::PermissionLost => {
                "The integration is checked now. If the check confirms it, the account must be \
                 reconnected with this permission."
            }
            Self::PlatformActionNeeded => {
                "The integration is checked now. If the check confirms it, its owner is told what \
                 to do on the platform."
            }
            Self::AppMisconfigured => {
                "The platform refuses our application: tell whoever runs Token Warden."
            }
            Self::Transient => "The platform failed: try again later.",
        }
    }

    /// Whether the integration itself may be in trouble, which only a request of our own shows.
    #[must_use]
    pub const fn asks_for_check(self) -> bool {
        matches!(
            self,
            Self::TokenRefused | Self::PermissionLost | Self::PlatformActionNeeded
        )
    }
}

/// Whose quota the platform means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UsageScope {
    /// All integrations of our application.
    Application,
    /// One integration.
    Integration,
}

/// How much of one of its own quotas the platform says is used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    /// The header, in lower case.
    pub header: String,
    /// What within the header this is about, such as a business object's id and the kind of use;
    /// empty if the header is about one thing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub entry: String,
    /// In whole percent, rounded down. A platform may say more than 100.
    pub percent: u32,
    pub scope: UsageScope,
    /// Whether no more calls should be made.
    pub is_used_up: bool,
    /// When calls are possible again, if the platform says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<DateTime<Utc>>,
}

/// What an answer says of the platform's own quotas, and of the call.
#[derive(Debug, Clone, PartialEq)]
pub struct CallReading {
    pub verdict: CallVerdict,
    /// The platform's error code, of a form that cannot hold a token.
    pub code: Option<String>,
    /// Whom the platform asks to wait, and until when. Present with [`CallVerdict::Throttled`].
    pub throttle: Option<(UsageScope, DateTime<Utc>)>,
    pub usage: Vec<Usage>,
}
