//! What a probe says of an access token that works.

use chrono::{DateTime, Utc};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProbeResult {
    pub access: Ends,
    /// Until when the platform lets us read the person's data (Meta).
    pub data_access: Ends,
    /// Empty if the probe does not say what the grant allows.
    pub scopes: Vec<String>,
}

/// When something ends, by a platform's own word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ends {
    #[default]
    NotSaid,
    /// An end that was known before no longer holds.
    Never,
    At(DateTime<Utc>),
}

impl Ends {
    /// Returns the end as it is known now, where it was believed to be `before`.
    pub(crate) const fn or(self, before: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
        match self {
            Self::NotSaid => before,
            Self::Never => None,
            Self::At(end) => Some(end),
        }
    }
}
