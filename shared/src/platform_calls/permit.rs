//! A decision about a quota, as both kinds of client have it.

use chrono::{DateTime, Utc};

use crate::domain::quota::{Decision, Denial, DenialReason};

/// The right to make one call before `use_by`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permit {
    pub use_by: DateTime<Utc>,
}

/// There is no permit now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// The next permit frees then, if nobody takes it before.
    pub until: DateTime<Utc>,
    pub reason: DenialReason,
}

pub(super) fn decided(decision: Decision) -> Result<Permit, Wait> {
    match decision {
        Decision::Admitted(permit) => Ok(Permit {
            use_by: permit.use_by,
        }),
        Decision::Denied(denial) => Err(Wait::from(denial)),
    }
}

impl From<Denial> for Wait {
    fn from(denial: Denial) -> Self {
        let until = i64::try_from(denial.retry_at).ok();
        Self {
            until: until
                .and_then(|at| DateTime::from_timestamp(at, 0))
                .unwrap_or(DateTime::<Utc>::MAX_UTC),
            reason: denial.reason(),
        }
    }
}
