//! `/api/platforms`: the platforms and their quota policies.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use shared::Platform;
use shared::domain::consent_refusal::ConsentRefusal;
use shared::domain::quota::{Policies, Policy, Window};
use utoipa::ToSchema;

use crate::app::App;
use edge::member::AuthenticatedCaller;

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlatformList {
    #[serde(flatten)]
    policies: PlatformPolicies,
    /// What the `reason` means for which a consent was refused.
    consent_refusals: BTreeMap<ConsentRefusal, &'static str>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlatformPolicies {
    platforms: Vec<PlatformPolicy>,
}

#[derive(Debug, Serialize, ToSchema)]
struct PlatformPolicy {
    platform: Platform,
    platform_name: &'static str,
    /// The limit of the period, as in the headers.
    limit: u32,
    period: WindowLimit,
    burst: WindowLimit,
}

#[derive(Debug, Serialize, ToSchema)]
struct WindowLimit {
    limit: u32,
    seconds: u32,
}

/// Lists platforms and their quota policies
#[utoipa::path(
    get,
    path = "/api/platforms",
    operation_id = "listPlatforms",
    tag = "Quotas",
    security(("bearer" = [])),
    responses((status = 200, description = "Every platform.", body = PlatformList)),
)]
pub(crate) async fn list(_: AuthenticatedCaller, State(app): State<App>) -> Json<PlatformList> {
    Json(PlatformList::from(app.limiter.policies()))
}

impl From<&Policies> for PlatformList {
    fn from(policies: &Policies) -> Self {
        let refusals = ConsentRefusal::ALL.into_iter();
        Self {
            policies: policies.into(),
            consent_refusals: refusals.map(|reason| (reason, reason.words())).collect(),
        }
    }
}

impl From<&Policies> for PlatformPolicies {
    fn from(policies: &Policies) -> Self {
        Self {
            platforms: policies.iter().map(PlatformPolicy::from).collect(),
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
        let platforms = PlatformList::from(&Policies::default());
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
