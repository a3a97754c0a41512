//! Why there is no decision.

use crate::aws::AwsError;

/// No decision could be made, which is no allowance.
#[derive(Debug, thiserror::Error)]
pub enum QuotaError {
    /// DynamoDB did not answer in time.
    #[error("the quota store does not answer: {0}")]
    Unavailable(AwsError),
    /// Others changed the same item again and again.
    #[error("too many use this quota at the same moment; try again")]
    Contended,
    /// The item was not one that we write; an exhausted one replaced it.
    #[error("what was stored of this quota was damaged; it counts as used up now")]
    Damaged,
}
