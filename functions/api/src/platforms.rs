//! `/api/platforms`: the platforms and their quota policies.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use shared::Platform;
use shared::domain::consent_refusal::ConsentRefusal;
use shared::domain::quota::{Policies, Policy, Window};

use crate::app::App;
use edge::member::AuthenticatedCaller;

#[derive(Debug, Serialize)]
pub(crate) struct PlatformPolicies {
    platforms: Vec<PlatformPolicy>,
    /// What the `reason` means for which a consent was refused.
    consent_refusals: BTreeMap<ConsentRefusal, &'static str>,
}

#[derive(Debug, Serialize)]
struct PlatformPolicy {
    platform: Platform,
    platform_name: &'static str,
    /// The limit of the period, as in the headers.
    limit: u32,
    period: WindowLimit,
    burst: WindowLimit,
}

#[derive(Debug, Serialize)]
struct WindowLimit {
    limit: u32,
    seconds: u32,
}

pub(crate) async fn list(_: AuthenticatedCaller, State(app): State<App>) -> Json<PlatformPolicies> {
    Json(PlatformPolicies::from(app.limiter.policies()))
}

impl From<&Policies> for PlatformPolicies {
    fn from(policies: &Policies) -> Self {
        let platforms = policies.iter().map(PlatformPolicy::from).collect();
        let refusals = ConsentRefusal::ALL.into_iter();
        Self {
            platforms,
            consent_refusals: refusals.map(|reason| (reason, reason.words())).collect(),
        }
    }
}

impl From<(Platform, Policy)> for PlatformPolicy {
    fn from((platform, policy): (Platform, Policy)) -> Self {
        let limit = |Window { limit, seconds, .. }| WindowLimit { limit, seconds };
        Self {
            platform,
            platform_name: platform.display_name(),
            limit: policy.period.limit,
            period: limit(policy.period),
            burst: limit(policy.burst),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_shown_as_quotas_are() {
        let platforms = PlatformPolicies::from(&Policies::default());
        let platforms = serde_json::to_value(platforms).unwrap();
        assert_eq!(
            platforms["platforms"][0],
            serde_json::json!({
                "platform": "meta", "platform_name": "Facebook", "limit": 200,
                "period": {"limit": 200, "seconds": 3_600}, "burst": {"limit": 50, "seconds": 60},
            })
        );
        let refusals = platforms["consent_refusals"].as_object().unwrap();
        assert_eq!(refusals.len(), ConsentRefusal::ALL.len());
        assert_eq!(refusals["denied"], ConsentRefusal::Denied.words());
        let count = platforms["platforms"].as_array().unwrap().len();
        assert_eq!(count, Platform::ALL.len());
    }
}
