//! Exact quotas: at most so many calls in *any* interval of a length, whatever the concurrency.
//! [`crate::aws::quota`] keeps them in DynamoDB.
//!
//! A fixed window lets twice its limit through across its edge. A counter that is read and then
//! written lets two callers share a permit. Here the decision is one conditional write whose
//! condition holds only if there is a permit, in every rolling window.
//!
//! The price of exactness is that a permit frees late. It frees up to an epoch (a thirtieth of
//! the period, 3 s of the burst) and the guard against differing clocks (2 s) late. Clocks may
//! differ by half a second and a request may take as long again. The proof is in `item.rs`.
//!
//! A quota may also be *blocked until* an instant, because the platform said so: see [`Block`]. The
//! same condition refuses then.

pub(crate) mod block;
mod decision;
mod headers;
pub(crate) mod item;
pub(crate) mod key;
#[cfg(test)]
mod model;
mod policy;
pub(crate) mod window;

pub use block::{
    Block, BlockSource, InvalidBlockSource, LIFTABLE_AFTER_SECONDS, MAX_BLOCK_SECONDS, UsageDigest,
};
pub use decision::{Decision, Denial, DenialReason, Permit, QuotaStatus};
pub use headers::{DENIED, HEADERS, HeaderField, Metering};
pub use item::WindowStatus;
pub use key::QuotaKey;
pub use policy::{InvalidPolicies, InvalidPolicy, Policies, Policy};
pub use window::{BURST_SECONDS, InvalidWindow, PERMIT_SECONDS, Window};
