//! The quotas of an organisation's integrations: what is left of them, and their reset.

use axum::Json;
use axum::extract::State;
use futures::{StreamExt, TryStreamExt};
use http::{StatusCode, Uri};
use serde::Serialize;
use shared::aws::tables::{Action, IntegrationIds, ReportedUsage, TableError};
use shared::domain::quota::QuotaKey;
use shared::{IntegrationId, IntegrationKey, OrgId, Platform};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::paging::{CURSOR_SOURCE, decode_cursor, encode_cursor};
use crate::platforms::PlatformPolicies;
use edge::member::Member;
use edge::problem::Problem;
use edge::query::QueryParameters;
use edge::quota_view::QuotaView;

/// The most integrations in one answer.
const MAX_PAGE_ROWS: usize = 100;
/// How many quotas of these integrations are read at once.
const MAX_CONCURRENT_READS: usize = 16;

/// Which integrations are asked for: one, or a page of all.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
struct RateLimitsQuery {
    /// Only this integration; it has no next page.
    integration_id: Option<IntegrationId>,
    /// `next` of the page before.
    #[param(value_type = Option<String>)]
    next: Option<IntegrationId>,
}

/// One page of integrations, in the order of their ids.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RateLimitPage {
    #[serde(flatten)]
    policies: PlatformPolicies,
    integrations: Vec<RateLimitRow>,
    /// The value of `next` for the following page; null on the last.
    next: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct RateLimitRow {
    integration_id: IntegrationId,
    platform: Platform,
    #[serde(flatten)]
    quota: QuotaView,
    /// What the platform last said of its own quotas, if it said so within a day.
    #[serde(flatten)]
    reported: Option<ReportedUsage>,
}

impl RateLimitsQuery {
    fn parse(query: Option<&str>) -> Result<Self, Problem> {
        let parameters = QueryParameters::parse(query, &["integration_id", "next"])?;
        let integration_id = parameters.get("integration_id", "an integration's id", |id| {
            IntegrationId::new(id).ok()
        })?;
        let next = parameters.get("next", CURSOR_SOURCE, decode_cursor)?;
        if integration_id.is_some() && next.is_some() {
            return Err(Problem::bad_request(
                "integration_id asks for one integration, which has no next page.",
            ));
        }
        Ok(Self {
            integration_id,
            next,
        })
    }
}

/// Finds the integrations that are asked for.
async fn subjects(
    app: &App,
    org: &OrgId,
    query: RateLimitsQuery,
) -> Result<IntegrationIds, TableError> {
    let Some(integration_id) = query.integration_id else {
        let (table, after) = (&app.integrations, query.next.as_ref());
        return table.list_ids(org, MAX_PAGE_ROWS, after).await;
    };
    let key = IntegrationKey {
        org_id: org.clone(),
        integration_id,
    };
    let platform = match app.integrations.platform_of(&key).await {
        // Left out, as in a page.
        Err(TableError::Damaged { .. }) => None,
        platform => platform?,
    };
    let row = platform.map(|platform| (key.integration_id, platform));
    Ok(IntegrationIds {
        rows: row.into_iter().collect(),
        next: None,
    })
}

/// Lists what is left of quotas
///
/// Takes no permit.
#[utoipa::path(
    get,
    path = "/api/dashboard/{orgId}/rate-limits",
    operation_id = "listRateLimits",
    tag = "Quotas",
    security(("bearer" = [])),
    params(RateLimitsQuery),
    responses(
        (status = 200, description = "One page of integrations, in the order of ids.", body = RateLimitPage),
        (status = 503, description = "The quota store does not answer, or the caller could not be checked."),
    ),
)]
pub(crate) async fn list(
    member: Member,
    State(app): State<App>,
    uri: Uri,
) -> Result<Json<RateLimitPage>, Problem> {
    let query = RateLimitsQuery::parse(uri.query())?;
    let org = member.org();
    let page = subjects(&app, org, query).await?;
    let (limiter, usage, now) = (&app.limiter, &app.usage, app.clock.now());
    let rows = page.rows.into_iter().map(|(integration_id, platform)| {
        let key = QuotaKey::new(platform, org.clone(), integration_id.clone());
        async move {
            Ok::<_, Problem>(RateLimitRow {
                integration_id,
                platform,
                quota: limiter.status(&key).await?.into(),
                reported: usage.last_report(&key, now).await?,
            })
        }
    });
    Ok(Json(RateLimitPage {
        policies: PlatformPolicies::from(limiter.policies()),
        integrations: futures::stream::iter(rows)
            .buffered(MAX_CONCURRENT_READS)
            .try_collect()
            .await?,
        next: page.next.as_ref().map(encode_cursor),
    }))
}

/// Resets a quota
///
/// Forgets the permits that the integration has taken. The authorizer may repeat a denial that it
/// remembers for one more minute.
#[utoipa::path(
    delete,
    path = "/api/dashboard/{orgId}/integrations/{integrationId}/rate-limit",
    operation_id = "resetRateLimit",
    tag = "Quotas",
    security(("bearer" = ["manage_integrations"])),
    responses(
        (status = 204, description = "The permits are forgotten."),
        (status = 503, description = "The quota store does not answer, or the caller could not be checked."),
    ),
)]
pub(crate) async fn reset(member: Member, State(app): State<App>) -> Result<StatusCode, Problem> {
    member.must_manage()?;
    let key = member.integration()?;
    let platform = app.integrations.platform_of(&key).await?;
    let platform = platform.ok_or_else(Problem::unknown_integration)?;
    let quota = QuotaKey::new(platform, key.org_id.clone(), key.integration_id.clone());
    app.limiter.reset(&quota).await?;
    app.record(&member, key, Action::QuotaReset).await;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_integration_or_a_page_is_asked_for() {
        let id = || IntegrationId::new("auth0|7").ok();
        for (query, integration_id, next) in [
            (None, None, None),
            (Some("next=YXV0aDB8Nw"), None, id()),
            (Some("integration_id=auth0%7C7"), id(), None),
        ] {
            let parsed = RateLimitsQuery::parse(query).unwrap();
            assert_eq!((parsed.integration_id, parsed.next), (integration_id, next));
        }
        for bad in [
            "next=",
            "next=%00",
            "next=YSNi",
            "limit=5",
            "next=a&next=a",
            "integration_id=",
            "integration_id=a%23b",
            "integration_id=a&next=YXV0aDB8Nw",
        ] {
            assert!(RateLimitsQuery::parse(Some(bad)).is_err(), "{bad}");
        }
    }
}
