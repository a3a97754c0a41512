//! Exact quotas: at most so many calls in *any* interval of a length, whatever
//! the concurrency, for one conditional DynamoDB write a decision.

mod item;
mod key;
mod limiter;
#[cfg(test)]
mod model;
mod policy;
mod window;
mod write;

pub use item::WindowStanding;
pub use key::QuotaKey;
pub use limiter::{Decision, Denial, Limiter, Permit, QuotaError, Standing};
pub use policy::{BURST_SECONDS, InvalidPolicy, PERMIT_SECONDS, Policies, Policy};
pub use window::{InvalidWindow, Window};
