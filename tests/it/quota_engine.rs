//! The quota limiter on a real engine: the one that `DYNAMODB_ENDPOINT` names,
//! else the embedded one. `tests/dynamodb-local.sh` runs this suite on DynamoDB
//! Local.

mod blocked_answer;
mod blocks;
mod blocks_at_once;
mod concurrency;
mod counter;
mod differential;
mod engine;
mod probes;
mod rolling;
mod sizes;

use engine::Engine;
use shared::domain::quota::{Policies, QuotaKey};
use shared::{IntegrationId, OrgId, Platform};

/// Meta's policy, as a deployment sets it.
fn policies(limit: u32, period: u32, burst: u32) -> Policies {
    let json = format!(r#"{{"meta":{{"limit":{limit},"period":{period},"burst":{burst}}}}}"#);
    json.parse().unwrap()
}

/// A key of Meta's.
fn key(integration: &str) -> QuotaKey {
    key_at(Platform::Meta, integration)
}

fn key_at(platform: Platform, integration: &str) -> QuotaKey {
    QuotaKey::new(
        platform,
        OrgId::new("acme").unwrap(),
        IntegrationId::new(integration).unwrap(),
    )
}

/// Returns the epoch length in seconds, and how many epochs before the current one count,
/// for a window of `length` seconds and `epochs` epochs, with permits held `held` seconds.
/// Describes the grid a second time, as a check on the first description.
fn grid(length: i64, epochs: i64, held: i64) -> (i64, i64) {
    let up = |a: i64, b: i64| (a + b - 1) / b;
    let covered = length + held + 2;
    let epoch = up(length, epochs).max(up(covered, epochs + 3)).max(2);
    (epoch, up(covered, epoch))
}
