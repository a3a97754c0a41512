//! The caller as the authorizer describes them: whoever has a valid token, or a
//! member of the organisation in the path.

use std::collections::HashMap;

use axum::extract::{FromRequestParts, MatchedPath};
use http::request::Parts;
use lambda_http::RequestExt;
use lambda_http::request::RequestContext;
use serde_json::Value;
use shared::IntegrationKey;
use shared::domain::id::RULE;
use shared::domain::organization::Permission;
use shared::domain::route::RouteParameters;
use shared::{OrgId, UserId};

use crate::problem::Problem;

/// A member of the organisation in the path. Only this type gives a handler the
/// organisation's id, so none can omit the authorization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    user: UserId,
    route: RouteParameters,
    manages: bool,
    manages_members: bool,
    uses: bool,
}

impl Member {
    pub fn user(&self) -> &UserId {
        &self.user
    }

    /// The organisation in the path, of which the caller is a member.
    pub fn org(&self) -> &OrgId {
        &self.route.org
    }

    pub fn route(&self) -> &RouteParameters {
        &self.route
    }

    /// Returns the integration in the path, or a 404 if the path names none.
    pub fn integration(&self) -> Result<IntegrationKey, Problem> {
        let integration = self.route.integration.clone();
        Ok(IntegrationKey {
            org_id: self.route.org.clone(),
            integration_id: integration.ok_or_else(Problem::unknown_integration)?,
        })
    }

    /// Returns a 403 for a member who may not register, reconnect, check and disconnect
    /// integrations, and reset their quotas.
    pub fn must_manage(&self) -> Result<(), Problem> {
        let problem = "You may not manage the integrations of this organisation.";
        self.manages
            .then_some(())
            .ok_or_else(|| Problem::forbidden(problem))
    }

    /// Returns a 403 for a member who may not add, change and remove members.
    pub fn must_manage_members(&self) -> Result<(), Problem> {
        let problem = "This takes the permission manage_members in this organisation.";
        self.manages_members
            .then_some(())
            .ok_or_else(|| Problem::forbidden(problem))
    }

    /// Returns a 403 for a member who may not use integrations: take permits and access tokens,
    /// and call platforms.
    pub fn must_use(&self) -> Result<(), Problem> {
        let problem = "This takes the permission use_integrations in this organisation.";
        self.uses
            .then_some(())
            .ok_or_else(|| Problem::forbidden(problem))
    }

    /// Returns the member whom the authorizer's context describes; `None` if a field is absent or
    /// differs from the path.
    fn from_context(route: RouteParameters, context: &HashMap<String, Value>) -> Option<Self> {
        let field = |name: &str| context.get(name).and_then(Value::as_str);
        let same_route = route
            .fields()
            .all(|(name, value)| field(name) == Some(value));
        if !same_route || field("member") != Some("true") {
            return None;
        }
        let user = UserId::new(field("user_id")?).ok()?;
        let permissions = field("permissions")?;
        let has = |permission: Permission| permissions.split(',').any(|of| of == permission.name());
        Some(Self {
            user,
            route,
            manages: has(Permission::ManageIntegrations),
            manages_members: has(Permission::ManageMembers),
            uses: has(Permission::UseIntegrations),
        })
    }
}

impl<S: Sync> FromRequestParts<S> for Member {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Not axum's path extractors: even the raw one decodes, and a path that
        // had to be decoded is no spelling of an id.
        let route = parts
            .extensions
            .get::<MatchedPath>()
            .and_then(|matched| RouteParameters::parse(matched.as_str(), parts.uri.path()))
            .ok_or_else(|| Problem::not_found(format!("An id in this path is none: it {RULE}.")))?;
        authorizer_context(parts)
            .and_then(|context| Self::from_context(route, context))
            .ok_or_else(|| Problem::forbidden("You are not a member of this organisation."))
    }
}

/// Returns the authorizer's context. A function URL has no authorizer, and so no context.
pub fn authorizer_context(parts: &Parts) -> Option<&HashMap<String, Value>> {
    match parts.request_context_ref()? {
        RequestContext::ApiGatewayV1(context) => Some(&context.authorizer.fields),
        _ => None,
    }
}

/// A caller with a valid token, a member of any organisation or of none.
#[derive(Debug)]
pub struct AuthenticatedCaller {
    pub user: UserId,
}

impl<S: Sync> FromRequestParts<S> for AuthenticatedCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let user = authorizer_context(parts).and_then(|context| context.get("user_id")?.as_str());
        user.and_then(|user| UserId::new(user).ok())
            .map(|user| Self { user })
            .ok_or_else(|| Problem::forbidden("Only a caller with a valid token may see this."))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TEMPLATE: &str = "/api/{orgId}/integrations/{integrationId}";

    fn member(changes: &[(&str, Option<&str>)]) -> Option<Member> {
        let mut context: HashMap<String, Value> = serde_json::from_value(json!({
            "principalId": "ian", "user_id": "ian", "org_id": "acme", "integration_id": "7",
            "permissions": "billing,manage_integrations", "member": "true",
        }))
        .unwrap();
        for (name, value) in changes {
            match value {
                Some(value) => context.insert((*name).to_owned(), json!(value)),
                None => context.remove(*name),
            };
        }
        let route = RouteParameters::parse(TEMPLATE, "/api/acme/integrations/7").unwrap();
        Member::from_context(route, &context)
    }

    #[test]
    fn any_difference_or_absence_is_no_member() {
        assert_eq!(member(&[]).unwrap().user().as_str(), "ian");
        for change in [
            ("org_id", Some("other")),
            ("org_id", None),
            ("integration_id", Some("8")),
            ("integration_id", None),
            ("user_id", Some("user#x")),
            ("user_id", None),
            ("permissions", None),
            ("member", Some("false")),
            ("member", Some("True")),
            ("member", None),
        ] {
            assert_eq!(member(&[change]), None, "{change:?}");
        }
    }

    #[test]
    fn managing_takes_the_whole_permission() {
        assert!(member(&[]).unwrap().manages);
        for permissions in ["", "manage_integrations_not", "billing"] {
            let member = member(&[("permissions", Some(permissions))]).unwrap();
            assert!(!member.manages, "{permissions}");
            assert!(member.must_manage_members().is_err(), "{permissions}");
        }
    }

    #[test]
    fn managing_is_not_using() {
        assert!(member(&[]).unwrap().must_use().is_err());
        let both = "use_integrations,manage_integrations";
        let member = member(&[("permissions", Some(both))]).unwrap();
        assert!(member.must_use().is_ok() && member.must_manage().is_ok());
        assert!(member.must_manage_members().is_err());
    }
}
