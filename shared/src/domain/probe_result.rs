//! What a probe says of an access token that works.

use chrono::{DateTime, Utc};

/// What a free probe says of an access token that works.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProbeResult {
    /// When the access token ends.
    pub access: Ends,
    /// Until when the platform lets us read the person's data (Meta).
    pub data_access: Ends,
    /// What the grant allows; empty if the probe does not say.
    pub scopes: Vec<String>,
}

/// When something ends, by a platform's own word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ends {
    /// The platform does not say.
    #[default]
    NotSaid,
    /// Never: an end that was known before no longer holds.
    Never,
    /// At this instant.
    At(DateTime<Utc>),
}

impl Ends {
    /// What is known now of an end that was believed to be `before`.
    pub(crate) const fn or(self, before: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
        match self {
            Self::NotSaid => before,
            Self::Never => None,
            Self::At(end) => Some(end),
        }
    }
}
