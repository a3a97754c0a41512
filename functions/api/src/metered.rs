//! Calls that the authorizer has metered: what it said of the quota, and the
//! headers that tell it on.

use std::collections::HashMap;

use axum::extract::{FromRequestParts, MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use chrono::{DateTime, Utc};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use shared::domain::quota::{HEADERS, Metering, Permit};
use shared::{IntegrationId, OrgId, Platform};

use crate::member::{Member, context};
use crate::problem::Problem;
use crate::query::shown;

/// A member's call that the quota admits. There is no other way to a metered
/// route's parameters, so no handler can forget to ask.
#[derive(Debug, Clone)]
pub(crate) struct Metered {
    pub(crate) org: OrgId,
    pub(crate) platform: Platform,
    pub(crate) integration: IntegrationId,
    /// The call to the platform must be made before this instant.
    pub(crate) use_by: DateTime<Utc>,
    /// The permit; none where the deployment lets calls pass without.
    pub(crate) permit: Option<Permit>,
    headers: HeaderMap,
}

impl Metered {
    fn of(member: &Member, context: &HashMap<String, Value>) -> Option<Self> {
        let field = |name: &str| context.get(name).and_then(Value::as_str);
        let place = member.place();
        let metering = Metering::parse(field)?;
        let headers = HEADERS.into_iter().filter_map(|(header, name)| {
            let value = HeaderValue::from_str(field(name)?).ok()?;
            Some((HeaderName::from_static(header), value))
        });
        Some(Self {
            org: place.org.clone(),
            platform: place.platform?,
            integration: place.integration.clone()?,
            use_by: metering.use_by()?,
            permit: metering.permit(),
            headers: headers.collect(),
        })
    }
}

impl<S: Sync> FromRequestParts<S> for Metered {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let member = Member::from_request_parts(parts, state).await;
        let member = member.map_err(|problem| unknown_platform(parts).unwrap_or(problem))?;
        // Unavailable, absent, or not understood: no decision is no allowance.
        context(parts)
            .and_then(|context| Self::of(&member, context))
            .ok_or_else(|| {
                Problem::unavailable("The quota could not be checked. Please try again.")
            })
    }
}

/// What is wrong with the platform in the path, if that is what is wrong.
fn unknown_platform(parts: &Parts) -> Option<Problem> {
    let route = parts.extensions.get::<MatchedPath>()?;
    let mut segments = route.as_str().split('/').zip(parts.uri.path().split('/'));
    let (_, name) = segments.find(|(expected, _)| *expected == "{platform}")?;
    let detail = match name.parse::<Platform>() {
        Ok(platform) if platform.name() == name => return None,
        Ok(platform) => format!("In paths this platform is called {platform}."),
        Err(_) => format!(
            "There is no platform {}; in paths there are {}.",
            shown(name),
            Platform::ALL.map(Platform::name).join(", ")
        ),
    };
    Some(Problem::not_found(detail))
}

/// Lets metered calls pass, and tells with every answer how the quota stands.
pub(crate) async fn pass(metered: Metered, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().extend(metered.headers);
    response
}
