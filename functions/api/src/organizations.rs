//! The organisations that a caller belongs to.

use axum::Json;
use axum::extract::State;
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use shared::OrgId;
use utoipa::ToSchema;

use crate::app::App;
use crate::members::MembershipView;
use edge::member::AuthenticatedCaller;
use edge::problem::Problem;

/// How many organisations are read at once.
const CONCURRENCY: usize = 16;

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OrganizationList {
    /// In the order of their ids.
    organizations: Vec<OrganizationView>,
}

#[derive(Debug, Serialize, ToSchema)]
struct OrganizationView {
    org_id: OrgId,
    name: String,
    #[serde(flatten)]
    membership: MembershipView,
}

/// Lists the caller's organisations
///
/// Those that they own or belong to.
#[utoipa::path(
    get,
    path = "/api/organizations",
    operation_id = "listOrganizations",
    tag = "Organisations",
    security(("bearer" = [])),
    responses((status = 200, description = "In the order of their ids.", body = OrganizationList)),
)]
pub(crate) async fn list(
    caller: AuthenticatedCaller,
    State(app): State<App>,
) -> Result<Json<OrganizationList>, Problem> {
    let (table, user) = (&app.organizations, &caller.user);
    let found = table.organizations_of(user).await?;
    // The index may be behind; the rows say what holds.
    let mut reads = Vec::new();
    for org in &found {
        reads.push(table.organization_of(org, user));
    }
    let reads = stream::iter(reads).buffered(CONCURRENCY);
    let read: Vec<_> = reads.try_collect().await?;
    let organizations = read.into_iter().flatten().map(|(of, membership)| {
        let membership = MembershipView::from(&membership);
        OrganizationView {
            org_id: of.org_id,
            name: of.name,
            membership,
        }
    });
    Ok(Json(OrganizationList {
        organizations: organizations.collect(),
    }))
}
