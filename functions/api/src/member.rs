//! The caller as the authorizer describes them: somebody with a valid token, or
//! a member of the organisation in the path.

use std::collections::HashMap;

use axum::extract::{FromRequestParts, MatchedPath};
use http::request::Parts;
use lambda_http::RequestExt;
use lambda_http::request::RequestContext;
use serde_json::Value;
use shared::IntegrationKey;
use shared::domain::organization::Permission;
use shared::domain::route::RouteParameters;
use shared::{OrgId, UserId};

use crate::permits::unknown_integration;
use crate::problem::Problem;

/// A member of the organisation in the path. There is no other way to the
/// organisation's id, so no handler can forget to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    user: UserId,
    place: RouteParameters,
    manages: bool,
}

impl Member {
    /// Who calls.
    #[must_use]
    pub fn user(&self) -> &UserId {
        &self.user
    }

    /// The organisation in the path, of which the caller is a member.
    #[must_use]
    pub fn org(&self) -> &OrgId {
        &self.place.org
    }

    /// All that the path names.
    #[must_use]
    pub fn place(&self) -> &RouteParameters {
        &self.place
    }

    /// The integration in the path.
    ///
    /// # Errors
    /// The 404 of a path that names none.
    pub fn integration(&self) -> Result<IntegrationKey, Problem> {
        let integration = self.place.integration.clone();
        Ok(IntegrationKey {
            org_id: self.place.org.clone(),
            integration_id: integration.ok_or_else(unknown_integration)?,
        })
    }

    /// Whether the caller may register, reconnect, check and disconnect
    /// integrations, and reset their quotas.
    #[must_use]
    pub fn manages(&self) -> bool {
        self.manages
    }

    /// Lets only those pass who do.
    ///
    /// # Errors
    /// The 403 for everybody else.
    pub fn must_manage(&self) -> Result<(), Problem> {
        let problem = "You may not manage the integrations of this organisation.";
        self.manages
            .then_some(())
            .ok_or_else(|| Problem::forbidden(problem))
    }

    /// The member that the authorizer's context describes, if it is about this
    /// very place: any difference or absence, and there is none.
    fn of(place: RouteParameters, context: &HashMap<String, Value>) -> Option<Self> {
        let field = |name: &str| context.get(name).and_then(Value::as_str);
        let same_place = place
            .fields()
            .all(|(name, value)| field(name) == Some(value));
        if !same_place || field("member") != Some("true") {
            return None;
        }
        let user = UserId::new(field("user_id")?).ok()?;
        let manage = String::from(Permission::ManageIntegrations);
        let manages = field("permissions")?.split(',').any(|name| name == manage);
        Some(Self {
            user,
            place,
            manages,
        })
    }
}

impl<S: Sync> FromRequestParts<S> for Member {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Not axum's path extractors: even the raw one decodes, and a path that
        // had to be decoded is no spelling of an id.
        let place = parts
            .extensions
            .get::<MatchedPath>()
            .and_then(|route| RouteParameters::parse(route.as_str(), parts.uri.path()))
            .ok_or_else(|| Problem::not_found("There is no such route."))?;
        context(parts)
            .and_then(|context| Self::of(place, context))
            .ok_or_else(|| Problem::forbidden("You are not a member of this organisation."))
    }
}

/// What the authorizer has said of the caller. No authorizer stands before a
/// function URL.
pub(crate) fn context(parts: &Parts) -> Option<&HashMap<String, Value>> {
    match parts.request_context_ref()? {
        RequestContext::ApiGatewayV1(context) => Some(&context.authorizer.fields),
        _ => None,
    }
}

/// Somebody with a valid token, whatever they are a member of.
#[derive(Debug)]
pub(crate) struct Caller;

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let user = context(parts).and_then(|context| context.get("user_id")?.as_str());
        user.filter(|user| UserId::new(*user).is_ok())
            .map(|_| Self)
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
        let place = RouteParameters::parse(TEMPLATE, "/api/acme/integrations/7").unwrap();
        Member::of(place, &context)
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
        assert!(member(&[]).unwrap().manages());
        for permissions in ["", "manage_integrations_not", "billing"] {
            let member = member(&[("permissions", Some(permissions))]).unwrap();
            assert!(!member.manages(), "{permissions}");
        }
    }
}
