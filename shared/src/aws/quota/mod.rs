//! Exact quotas in DynamoDB: one conditional write a decision.
//!
//! The decision is one `UpdateItem`; DynamoDB serialises the writes of one item,
//! so no two callers get the same permit. A denial costs one call, and none
//! while it is remembered (at most 60 s). A read every 5 s for each platform
//! sees whether the platform asks our whole application to wait.
//!
//! It needs a table with the partition key `quota_key` (text) and, so that keys
//! out of use are deleted, a TTL on `ttl`; and the permissions
//! `dynamodb:UpdateItem`, `GetItem` (to look, also whether the application is
//! blocked) and `DeleteItem` (to reset).

mod applications;
mod attributes;
mod block_write;
mod blocks;
mod error;
mod limiter;
mod memory;
mod store;
mod write;

pub use applications::APPLICATION_BLOCK_MAX_AGE;
pub use blocks::BlockOutcome;
pub use error::QuotaError;
pub use limiter::Limiter;

/// Decodes anything as a stored item, and judges by it: for `fuzz/`.
#[cfg(fuzzing)]
pub fn fuzz_item(
    attributes: &std::collections::HashMap<String, aws_sdk_dynamodb::types::AttributeValue>,
    now: chrono::DateTime<chrono::Utc>,
) {
    use attributes::Stored;
    for (_, policy) in crate::domain::quota::Policies::default().iter() {
        let (Stored::Current(item) | Stored::OtherPolicy(item, _)) =
            attributes::decode(attributes, &policy)
        else {
            continue;
        };
        let _ = item.judge(&policy, now);
        let _ = item.stale(&policy, now);
        let _ = item.ends_at(&policy);
    }
}
