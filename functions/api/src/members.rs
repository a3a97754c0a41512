//! The members of an organisation, and what they may do.

use axum::Json;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use http::{StatusCode, Uri};
use serde::{Deserialize, Serialize};
use shared::UserId;
use shared::aws::tables::{MembershipAction, MembershipChange, Put};
use shared::domain::organization::{self, Membership, Organization, Permission};
use utoipa::openapi::{ArrayBuilder, ObjectBuilder, Type};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::paging::{CURSOR_SOURCE, LIMIT_RANGE, decode_cursor, encode_cursor, parse_limit};
use edge::json::parse_object;
use edge::member::Member;
use edge::problem::Problem;
use edge::query::{QueryParameters, quoted};

const DEFAULT_LIMIT: usize = 50;
/// The longest body, in bytes.
const MAX_BODY: usize = 16_384;
/// The most permissions of a member.
const MAX_PERMISSIONS: usize = 50;

#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
struct MembersQuery {
    /// The most rows of the answer; 50 if it is absent.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: usize,
    /// `next` of the page before.
    #[param(value_type = Option<String>)]
    next: Option<UserId>,
}

/// One page, in the order of user ids. The owner comes first, beside the members of the first
/// page.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MemberList {
    members: Vec<MemberView>,
    /// The value of `next` for the following page; null on the last.
    next: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MemberView {
    user_id: UserId,
    #[serde(flatten)]
    membership: MembershipView,
}

/// What somebody is to an organisation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MembershipView {
    role: Role,
    permissions: Vec<Permission>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Role {
    Owner,
    Member,
}

impl MembersQuery {
    fn parse(query: Option<&str>) -> Result<Self, Problem> {
        let parameters = QueryParameters::parse(query, &["limit", "next"])?;
        let limit = parameters.get("limit", LIMIT_RANGE, parse_limit)?;
        let next = parameters.get("next", CURSOR_SOURCE, decode_cursor)?;
        Ok(Self {
            limit: limit.unwrap_or(DEFAULT_LIMIT),
            next,
        })
    }
}

impl From<&Membership> for MembershipView {
    fn from(membership: &Membership) -> Self {
        Self {
            role: match membership {
                Membership::Owner => Role::Owner,
                Membership::Member(_) => Role::Member,
            },
            permissions: membership.permissions().to_vec(),
        }
    }
}

impl MemberView {
    fn new(user_id: UserId, membership: &Membership) -> Self {
        Self {
            user_id,
            membership: membership.into(),
        }
    }
}

impl From<organization::Member> for MemberView {
    fn from(member: organization::Member) -> Self {
        Self::new(member.user_id, &Membership::Member(member.permissions))
    }
}

/// Lists members
///
/// In the order of user ids. The first page has the owner beside them.
#[utoipa::path(
    get,
    path = "/api/dashboard/{orgId}/members",
    operation_id = "listMembers",
    tag = "Organisations",
    security(("bearer" = [])),
    params(MembersQuery),
    responses((status = 200, description = "One page.", body = MemberList)),
)]
pub(crate) async fn list(
    member: Member,
    State(app): State<App>,
    uri: Uri,
) -> Result<Json<MemberList>, Problem> {
    let MembersQuery { limit, next: after } = MembersQuery::parse(uri.query())?;
    let (organization, page) = tokio::try_join!(organization(&app, &member), async {
        let page = app
            .organizations
            .members(member.org(), limit, after.as_ref());
        Ok(page.await?)
    })?;
    let owner = after
        .is_none()
        .then(|| MemberView::new(organization.owner_id.clone(), &Membership::Owner));
    let others = page.members.into_iter();
    let others = others.filter(|member| member.user_id != organization.owner_id);
    Ok(Json(MemberList {
        members: owner
            .into_iter()
            .chain(others.map(MemberView::from))
            .collect(),
        next: page.next.as_ref().map(encode_cursor),
    }))
}

async fn organization(app: &App, member: &Member) -> Result<Organization, Problem> {
    let organization = app.organizations.organization(member.org()).await?;
    organization.ok_or_else(|| Problem::not_found("There is no such organisation."))
}

fn no_such_member() -> Problem {
    Problem::not_found("The organisation has no such member.")
}

/// Returns the user in the path.
fn user(member: &Member) -> Result<UserId, Problem> {
    member.route().user.clone().ok_or_else(no_such_member)
}

/// Shows a member
#[utoipa::path(
    get,
    path = "/api/dashboard/{orgId}/members/{userId}",
    operation_id = "getMember",
    tag = "Organisations",
    security(("bearer" = [])),
    responses((status = 200, description = "The member.", body = MemberView)),
)]
pub(crate) async fn show(
    member: Member,
    State(app): State<App>,
) -> Result<Json<MemberView>, Problem> {
    let user = user(&member)?;
    let membership = app.organizations.membership(member.org(), &user).await?;
    let membership = membership.ok_or_else(no_such_member)?;
    Ok(Json(MemberView::new(user, &membership)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MemberRequest)]
struct Body {
    #[schema(schema_with = known_permissions)]
    permissions: Vec<String>,
}

fn known_permissions() -> ArrayBuilder {
    let known = Permission::KNOWN.each_ref().map(Permission::name);
    let name = ObjectBuilder::new().schema_type(Type::String);
    ArrayBuilder::new()
        .items(name.examples(known))
        .max_items(Some(MAX_PERMISSIONS))
}

/// Adds a member, or replaces their permissions
///
/// Takes no other permission than ours, unless the member has it from an import.
#[utoipa::path(
    put,
    path = "/api/dashboard/{orgId}/members/{userId}",
    operation_id = "putMember",
    tag = "Organisations",
    security(("bearer" = ["manage_members"])),
    request_body(content = Body, example = json!({"permissions": ["manage_integrations"]})),
    responses(
        (status = 201, description = "They are a member now.", body = MemberView),
        (status = 200, description = "They have these permissions.", body = MemberView),
        (status = 409, description = "They are the owner, who has every permission."),
        (status = 413, description = "The body is longer than 16 KiB."),
    ),
)]
pub(crate) async fn put(
    member: Member,
    State(app): State<App>,
    request: Request,
) -> Result<(StatusCode, Json<MemberView>), Problem> {
    member.must_manage_members()?;
    let user_id = user(&member)?;
    let body = to_bytes(request.into_body(), MAX_BODY).await;
    let body = body.map_err(|_| {
        Problem::too_large(format!(
            "The body must be at most {MAX_BODY} bytes of JSON."
        ))
    })?;
    let Body { permissions } = parse_object(&body)?;
    let stored = other_than_owner(&app, &member, &user_id).await?;
    let stored = stored.map(|stored| stored.permissions).unwrap_or_default();
    let changed = organization::Member {
        org_id: member.org().clone(),
        user_id: user_id.clone(),
        permissions: parse_permissions(permissions, &stored)?,
    };
    let (status, action) = match app.organizations.put_member(&changed).await? {
        Put::Created => (StatusCode::CREATED, Some(MembershipAction::MemberAdded)),
        Put::Changed => (StatusCode::OK, Some(MembershipAction::PermissionsChanged)),
        Put::Unchanged => (StatusCode::OK, None),
    };
    if let Some(action) = action {
        record(&app, &member, action, user_id, changed.permissions.clone()).await;
    }
    Ok((status, Json(changed.into())))
}

/// Removes a member
#[utoipa::path(
    delete,
    path = "/api/dashboard/{orgId}/members/{userId}",
    operation_id = "deleteMember",
    tag = "Organisations",
    security(("bearer" = ["manage_members"])),
    responses(
        (status = 204, description = "They are no member any more."),
        (status = 409, description = "They are the owner."),
    ),
)]
pub(crate) async fn remove(member: Member, State(app): State<App>) -> Result<StatusCode, Problem> {
    member.must_manage_members()?;
    let user_id = user(&member)?;
    other_than_owner(&app, &member, &user_id).await?;
    let removed = app
        .organizations
        .remove_member(member.org(), &user_id)
        .await?;
    if !removed {
        return Err(no_such_member());
    }
    let action = MembershipAction::MemberRemoved;
    record(&app, &member, action, user_id, Vec::new()).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Returns the row of a user who is not the owner. The owner's permissions need no row, and could
/// not be taken by one.
async fn other_than_owner(
    app: &App,
    member: &Member,
    user: &UserId,
) -> Result<Option<organization::Member>, Problem> {
    let (organization, stored) = tokio::try_join!(organization(app, member), async {
        Ok(app.organizations.member(member.org(), user).await?)
    })?;
    if organization.owner_id == *user {
        return Err(Problem::conflict(
            "The owner has every permission. An import of the organisation changes who owns it.",
        ));
    }
    Ok(stored)
}

/// Returns the permissions with these names, each once. Others than ours came with an import: a
/// member who has them may keep them, and nobody else gets them.
fn parse_permissions(
    names: Vec<String>,
    stored: &[Permission],
) -> Result<Vec<Permission>, Problem> {
    if names.len() > MAX_PERMISSIONS {
        return Err(Problem::bad_request(format!(
            "permissions may have {MAX_PERMISSIONS} names."
        )));
    }
    let mut permissions = Vec::new();
    for name in names {
        let permission = Permission::from(name);
        if !Permission::KNOWN.contains(&permission) && !stored.contains(&permission) {
            let known = Permission::KNOWN
                .each_ref()
                .map(Permission::name)
                .join(", ");
            let name = quoted(permission.name());
            return Err(Problem::bad_request(format!(
                "There is no permission {name}; there are {known}."
            )));
        }
        if !permissions.contains(&permission) {
            permissions.push(permission);
        }
    }
    Ok(permissions)
}

async fn record(
    app: &App,
    member: &Member,
    action: MembershipAction,
    user_id: UserId,
    permissions: Vec<Permission>,
) {
    let change = MembershipChange {
        action,
        user_id,
        permissions,
        by: member.user().clone(),
    };
    app.record_change(member.org(), change).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(names: &[&str], stored: &[Permission]) -> Result<Vec<Permission>, Problem> {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        parse_permissions(names, stored)
    }

    #[test]
    fn only_permissions_that_mean_something_are_given() {
        let known = ["manage_members", "use_integrations", "manage_members"];
        let expected = [Permission::ManageMembers, Permission::UseIntegrations];
        assert_eq!(parsed(&known, &[]).unwrap(), expected);
        let billing = Permission::from("billing".to_owned());
        let stored = [billing.clone()];
        assert_eq!(parsed(&["billing"], &stored).unwrap(), [billing]);
        assert_eq!(parsed(&[], &stored).unwrap(), []);
        for bad in ["billing", "manage_integration", "", "manage_members,x"] {
            let problem = format!("{:?}", parsed(&[bad], &[]).unwrap_err());
            assert!(problem.contains("There is no permission"), "{problem}");
        }
        assert!(parsed(&["use_integrations"; 51], &[]).is_err());
    }
}
