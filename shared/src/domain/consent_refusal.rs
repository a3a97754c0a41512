//! Why a step of a consent changed nothing, and in words.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::verdict::Verdict;

/// Makes a refusal's variant, its place in `ALL` and its words from one line.
macro_rules! refusals {
    ($($(#[$attribute:meta])* $variant:ident => $words:expr,)+) => {
        /// Why nothing was changed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum ConsentRefusal {
            $($(#[$attribute])* $variant,)+
        }

        impl ConsentRefusal {
            pub const ALL: [Self; [$(Self::$variant),+].len()] = [$(Self::$variant),+];

            /// Returns what it means, and what to do.
            #[must_use]
            pub const fn words(self) -> &'static str {
                match self {
                    $(Self::$variant => $words,)+
                }
            }
        }
    };
}

refusals! {
    /// We have no client credentials at the platform.
    NotSetUp => "This deployment has no client id of the platform. Ask whoever runs Token Warden.",
    /// A new integration needs a platform, and an old one keeps its own.
    Platform => "A new account needs a platform, and one that is connected keeps its own.",
    /// Nobody began it, it is over, or it was used before.
    Unknown => "This took too long, or was done before. Start again.",
    /// It was begun in another browser, or by somebody else.
    Foreign => "This was begun in another browser, or by somebody else. Start again.",
    /// Whoever began it may not manage integrations any more.
    Forbidden => "You may not manage the integrations of this organisation any more.",
    /// The person denied it, or the platform did not let them.
    Denied => "The platform was told not to connect the account.",
    /// The platform refused the code, which is too old or was used before.
    Expired => "The platform's answer came too late, or was used before. Start again.",
    /// The platform refused our application, or what it asks for.
    AppRefused => "The platform refuses this deployment's application, or what it asks for. Ask \
                   whoever runs Token Warden.",
    /// The platform gave no usable answer.
    PlatformFailed => "The platform gave no usable answer. Try again.",
    /// The platform does not say for which account the grant is, or not for the one that was
    /// chosen.
    NoAccount => "The platform named no account. Check that yours may be managed by whoever signs \
                  in there, and choose it on the platform's page.",
}

impl ConsentRefusal {
    /// Returns what an answer means that brought no grant for a code.
    #[must_use]
    pub const fn of_exchange(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::AppMisconfigured => Self::AppRefused,
            Verdict::ReconnectNeeded(_) => Self::Expired,
            Verdict::Transient(_)
            | Verdict::Throttled { .. }
            | Verdict::PlatformActionNeeded(_)
            | Verdict::PermissionLost(_)
            | Verdict::ProbeNotApplicable => Self::PlatformFailed,
        }
    }

    /// Returns what it means that nobody knows whose a grant is, by what the platform answered when
    /// it was asked, if not with an account.
    #[must_use]
    pub const fn of_identity(verdict: Option<&Verdict>) -> Self {
        match verdict {
            Some(Verdict::AppMisconfigured) => Self::AppRefused,
            Some(Verdict::Transient(_) | Verdict::Throttled { .. }) => Self::PlatformFailed,
            // It has none, or the person kept back the permission to name it.
            None
            | Some(
                Verdict::ReconnectNeeded(_)
                | Verdict::PlatformActionNeeded(_)
                | Verdict::PermissionLost(_)
                | Verdict::ProbeNotApplicable,
            ) => Self::NoAccount,
        }
    }
}
