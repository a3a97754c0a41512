//! Metering: one permit for each call of a metered route.

use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::TimeDelta;
use shared::aws::quota::{Limiter, QuotaError};
use shared::domain::quota::{Decision, Metering, PERMIT_SECONDS, QuotaKey};
use shared::domain::route::RouteParameters;
use shared::runtime::metrics::{Metric, Metrics};
use shared::runtime::variables::InvalidVariable;
use shared::{Clock, Platform, Variables};

/// The treatment of a metered call when the quota store does not answer (`QUOTA_ON_FAILURE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnFailure {
    /// The call reaches the API, which answers 503.
    Refuse,
    /// The call passes without a permit: calls may exceed quotas meanwhile.
    Allow,
}

impl FromStr for OnFailure {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "refuse" => Ok(Self::Refuse),
            "allow" => Ok(Self::Allow),
            _ => Err("must be refuse or allow"),
        }
    }
}

/// Takes permits, and counts the decisions in metrics.
#[derive(Debug)]
pub(crate) struct Meter {
    limiter: Limiter,
    on_failure: OnFailure,
    clock: Clock,
    metrics: Metrics,
    /// Calls to DynamoDB that a metric has counted.
    counted_calls: AtomicU64,
}

impl Meter {
    pub(crate) fn from_variables(
        dynamodb: aws_sdk_dynamodb::Client,
        variables: &Variables,
        clock: Clock,
    ) -> Result<Self, InvalidVariable> {
        Ok(Self {
            limiter: Limiter::from_variables(dynamodb, variables, clock.clone())?,
            on_failure: variables.parsed("QUOTA_ON_FAILURE", OnFailure::Refuse)?,
            clock,
            metrics: Metrics::default(),
            counted_calls: AtomicU64::new(0),
        })
    }

    pub(crate) fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// Takes a permit for a call of a metered route; `None` if its path names no integration.
    pub(crate) async fn take_permit(
        &self,
        route: &RouteParameters,
        request_id: Option<&str>,
    ) -> Option<Metering> {
        let platform = route.platform?;
        let key = QuotaKey::new(platform, route.org.clone(), route.integration.clone()?);
        let decision = self.limiter.take_permit(&key).await;
        self.count(platform, &decision);
        Some(match decision {
            Ok(decision) => Metering::Decided(decision),
            Err(cause) => {
                tracing::error!(request_id, quota_key = %key, %cause, "no decision about a quota");
                // An item that is damaged or fought over is not a store that
                // does not answer: never an allowance.
                let is_waived = self.on_failure == OnFailure::Allow
                    && matches!(cause, QuotaError::Unavailable(_));
                let use_by = self.clock.now() + TimeDelta::seconds(i64::from(PERMIT_SECONDS));
                Metering::Undecided {
                    waived_until: is_waived.then_some(use_by),
                }
            }
        })
    }

    fn count(&self, platform: Platform, decision: &Result<Decision, QuotaError>) {
        let (admitted, denied, failed) = match decision {
            Ok(Decision::Admitted(_)) => (1, 0, 0),
            Ok(Decision::Denied(_)) => (0, 1, 0),
            Err(_) => (0, 0, 1),
        };
        // Of this decision alone in Lambda, where an instance makes one at a
        // time; in any case right in sum.
        let calls = self.limiter.calls();
        let counted = self.counted_calls.swap(calls, Ordering::Relaxed);
        let counts = [
            ("QuotaAdmitted", admitted),
            ("QuotaDenied", denied),
            ("QuotaStoreErrors", failed),
            ("QuotaStoreCalls", calls.saturating_sub(counted)),
        ];
        let counts = counts.map(|(name, count)| (name, Metric::Count(count)));
        let by = Some(("platform", platform.name()));
        self.metrics.write(self.clock.precise(), by, &counts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_on_failure_is_spelled_out() {
        assert_eq!("refuse".parse(), Ok(OnFailure::Refuse));
        assert_eq!("allow".parse(), Ok(OnFailure::Allow));
        for other in ["", "Allow", "deny", "true"] {
            assert!(other.parse::<OnFailure>().is_err(), "{other}");
        }
    }
}
