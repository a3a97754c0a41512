//! Who may use the integration in the path.

use axum::extract::{FromRequestParts, MatchedPath};
use edge::member::Member;
use edge::problem::Problem;
use edge::query::quoted;
use http::request::Parts;
use shared::domain::quota::QuotaKey;
use shared::{IntegrationKey, Platform, UserId};

/// A member with the permission to use integrations, and the integration in the path. Only this
/// type gives a handler the integration, so none can omit the authorization.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) user: UserId,
    pub(crate) platform: Platform,
    pub(crate) integration: IntegrationKey,
    /// `{path+}`, as it was sent.
    pub(crate) rest: Option<String>,
}

impl Caller {
    pub(crate) fn quota_key(&self) -> QuotaKey {
        let IntegrationKey {
            org_id,
            integration_id,
        } = self.integration.clone();
        QuotaKey::new(self.platform, org_id, integration_id)
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let member = Member::from_request_parts(parts, state).await;
        let member = member.map_err(|problem| unknown_platform(parts).unwrap_or(problem))?;
        member.must_use()?;
        let route = member.route();
        Ok(Self {
            user: member.user().clone(),
            platform: route.platform.ok_or_else(Problem::no_such_route)?,
            integration: member.integration()?,
            rest: route.rest.clone(),
        })
    }
}

/// Returns the problem with the platform in the path, if there is one.
fn unknown_platform(parts: &Parts) -> Option<Problem> {
    let route = parts.extensions.get::<MatchedPath>()?;
    let mut segments = route.as_str().split('/').zip(parts.uri.path().split('/'));
    let (_, name) = segments.find(|(expected, _)| *expected == "{platform}")?;
    let detail = match name.parse::<Platform>() {
        Ok(platform) if platform.name() == name => return None,
        Ok(platform) => format!("In paths this platform is called {platform}."),
        Err(_) => format!(
            "There is no platform {}; in paths there are {}.",
            quoted(name),
            Platform::ALL.map(Platform::name).join(", ")
        ),
    };
    Some(Problem::not_found(detail))
}

/// Returns the problem of an integration that is of another platform than the path says.
pub(crate) fn other_platform(is: Platform, said: Platform) -> Problem {
    Problem::conflict(format!("This integration is of {is}, not of {said}."))
        .with("platform", is.name())
}
