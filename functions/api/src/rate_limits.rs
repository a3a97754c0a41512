//! How an organisation's quotas stand, and their reset.

use futures::{StreamExt, TryStreamExt};
use serde::Serialize;
use shared::IntegrationKey;
use shared::aws::quota::Limiter;
use shared::aws::tables::IntegrationsTable;
use shared::domain::quota::{Policies, Policy, QuotaKey, Window};
use shared::{IntegrationId, OrgId, Platform};

use crate::permits::{Quota, unknown_integration};
use crate::problem::Problem;
use crate::query::{Parameters, cursor, position};

/// The most integrations in one answer.
const MOST: usize = 100;
/// How many of their quotas are read at once.
const AT_ONCE: usize = 16;

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Query {
    next: Option<IntegrationId>,
}

/// Every platform's policy.
#[derive(Debug, Serialize)]
pub(crate) struct Platforms {
    platforms: Vec<PlatformPolicy>,
}

#[derive(Debug, Serialize)]
struct PlatformPolicy {
    platform: Platform,
    platform_name: &'static str,
    /// The period's, as in the headers.
    limit: u32,
    period: Limit,
    burst: Limit,
}

#[derive(Debug, Serialize)]
struct Limit {
    limit: u32,
    seconds: u32,
}

/// One page of integrations, in the order of their ids.
#[derive(Debug, Serialize)]
pub(crate) struct Listing {
    #[serde(flatten)]
    policies: Platforms,
    integrations: Vec<Row>,
    /// What to ask for as `next` to get the following page; null on the last.
    next: Option<String>,
}

#[derive(Debug, Serialize)]
struct Row {
    integration_id: IntegrationId,
    platform: Platform,
    #[serde(flatten)]
    quota: Quota,
}

impl Query {
    pub(crate) fn parse(query: Option<&str>) -> Result<Self, Problem> {
        let parameters = Parameters::parse(query, &["next"])?;
        let next = parameters.get("next", "what the page before said", position)?;
        Ok(Self { next })
    }
}

impl Platforms {
    pub(crate) fn of(policies: &Policies) -> Self {
        let platforms = policies.iter().map(PlatformPolicy::from).collect();
        Self { platforms }
    }
}

impl From<(Platform, Policy)> for PlatformPolicy {
    fn from((platform, policy): (Platform, Policy)) -> Self {
        let limit = |Window { limit, seconds, .. }| Limit { limit, seconds };
        Self {
            platform,
            platform_name: platform.display_name(),
            limit: policy.period.limit,
            period: limit(policy.period),
            burst: limit(policy.burst),
        }
    }
}

/// Reads one page; takes no permit.
pub(crate) async fn list(
    integrations: &IntegrationsTable,
    limiter: &Limiter,
    org: &OrgId,
    query: &Query,
) -> Result<Listing, Problem> {
    let page = integrations
        .of_organization(org, MOST, query.next.as_ref())
        .await?;
    let rows = page.rows.into_iter().map(|(integration_id, platform)| {
        let key = QuotaKey::new(platform, org.clone(), integration_id.clone());
        async move {
            let standing = limiter.remaining(&key).await?;
            Ok::<_, Problem>(Row {
                integration_id,
                platform,
                quota: standing.into(),
            })
        }
    });
    Ok(Listing {
        policies: Platforms::of(limiter.policies()),
        integrations: futures::stream::iter(rows)
            .buffered(AT_ONCE)
            .try_collect()
            .await?,
        next: page.next.as_ref().map(cursor),
    })
}

/// Forgets what was granted to one integration. Instances of the authorizer
/// repeat a denial that they remember for at most a minute more.
pub(crate) async fn reset(
    integrations: &IntegrationsTable,
    limiter: &Limiter,
    key: &IntegrationKey,
) -> Result<(), Problem> {
    let platform = integrations.platform_of(key).await?;
    let platform = platform.ok_or_else(unknown_integration)?;
    let key = QuotaKey::new(platform, key.org_id.clone(), key.integration_id.clone());
    Ok(limiter.reset(&key).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_an_id_that_we_wrote() {
        let query = Query::parse(Some("next=YXV0aDB8Nw")).unwrap();
        assert_eq!(query.next.unwrap().as_str(), "auth0|7");
        assert!(Query::parse(None).unwrap().next.is_none());
        for bad in ["next=", "next=%00", "next=YSNi", "limit=5", "next=a&next=a"] {
            assert!(Query::parse(Some(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn policies_are_shown_as_quotas_are() {
        let platforms = serde_json::to_value(Platforms::of(&Policies::default())).unwrap();
        assert_eq!(
            platforms["platforms"][0],
            serde_json::json!({
                "platform": "meta", "platform_name": "Facebook", "limit": 200,
                "period": {"limit": 200, "seconds": 3_600}, "burst": {"limit": 50, "seconds": 60},
            })
        );
        assert_eq!(platforms["platforms"].as_array().unwrap().len(), 8);
    }
}
