//! Exact quotas: at most so many calls in *any* interval of a length, whatever
//! the concurrency, for one conditional DynamoDB write a decision.
//!
//! A fixed window lets twice its limit through across its edge, and a counter
//! that is read and then written lets two callers share a permit. Here the
//! decision is one `UpdateItem` whose condition holds only if there is a permit,
//! in every rolling window; DynamoDB serialises the writes of one item, so no
//! two callers get the same. A denial costs one call, and none while it is
//! remembered (at most 60 s). A permit frees up to an epoch (a thirtieth of the
//! period, 3 s of the burst) and the guard against differing clocks (2 s) late:
//! the price of exactness. Clocks may differ by half a second and a request may
//! take as long again.
//!
//! It needs a table with the partition key `quota_key` (text) and, so that keys
//! out of use are deleted, a TTL on `ttl`; and the permissions
//! `dynamodb:UpdateItem`, `GetItem` (to look) and `DeleteItem` (to reset).
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use shared::quota::{Decision, Limiter, Policies, QuotaKey};
//! use shared::{Clock, IntegrationId, OrgId, Platform};
//!
//! # async fn example(client: aws_sdk_dynamodb::Client) -> Result<(), Box<dyn std::error::Error>> {
//! let limiter = Limiter::new(client, "quotas", Policies::default(), Clock::system());
//! let key = QuotaKey::new(Platform::Meta, OrgId::new("acme")?, IntegrationId::new("page-1")?);
//!
//! match limiter.attempt(&key).await? {
//!     Decision::Admitted(permit) => println!("call before {}", permit.use_by),
//!     Decision::Denied(denial) => println!("not before {}", denial.retry_at),
//! }
//!
//! // Or: wait at most 10 s for a permit, then call.
//! let called = limiter.execute(&key, Duration::from_secs(10), async || "the answer").await?;
//! if let Err(denial) = called {
//!     println!("not called; {} left", denial.status.remaining());
//! }
//! # Ok(())
//! # }
//! ```

mod decision;
mod headers;
mod item;
mod key;
mod limiter;
#[cfg(test)]
mod model;
mod policy;
mod window;
mod write;

pub use decision::{Decision, Denial, Permit, QuotaError, QuotaStatus};
pub use headers::HeaderField;
pub use item::WindowStatus;
pub use key::QuotaKey;
pub use limiter::Limiter;
pub use policy::{BURST_SECONDS, InvalidPolicy, PERMIT_SECONDS, Policies, Policy};
pub use window::{InvalidWindow, Window};

/// Reads anything as a stored item, and judges by it: for `fuzz/`.
#[cfg(fuzzing)]
pub fn fuzz_item(
    attributes: &std::collections::HashMap<String, aws_sdk_dynamodb::types::AttributeValue>,
    now: chrono::DateTime<chrono::Utc>,
) {
    for (_, policy) in Policies::default().iter() {
        let (item::Stored::Current(item) | item::Stored::OtherPolicy(item, _)) =
            item::Item::read(attributes, &policy)
        else {
            continue;
        };
        let _ = item.judge(&policy, now);
        let _ = item.stale(&policy, now);
        let _ = item.ends_at(&policy);
    }
}
