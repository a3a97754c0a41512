//! Calls that the authorizer has metered: its decision about the quota, and the
//! headers that show it to the client.

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

use crate::member::{Member, authorizer_context};
use crate::problem::Problem;
use crate::query::quoted;

/// A member's call that the quota admits. Only this type gives a handler the
/// parameters of a metered route, so none can omit the quota.
#[derive(Debug, Clone)]
pub(crate) struct MeteredCall {
    pub(crate) org: OrgId,
    pub(crate) platform: Platform,
    pub(crate) integration: IntegrationId,
    /// The call to the platform must be made before this instant.
    pub(crate) use_by: DateTime<Utc>,
    /// `None` if the quota store did not answer and the deployment admits calls then.
    pub(crate) permit: Option<Permit>,
    headers: HeaderMap,
}

impl MeteredCall {
    fn from_context(member: &Member, context: &HashMap<String, Value>) -> Option<Self> {
        let field = |name: &str| context.get(name).and_then(Value::as_str);
        let route = member.route();
        let metering = Metering::parse(field)?;
        let headers = HEADERS.into_iter().filter_map(|(header, name)| {
            let value = HeaderValue::from_str(field(name)?).ok()?;
            Some((HeaderName::from_static(header), value))
        });
        Some(Self {
            org: route.org.clone(),
            platform: route.platform?,
            integration: route.integration.clone()?,
            use_by: metering.use_by()?,
            permit: metering.permit(),
            headers: headers.collect(),
        })
    }
}

impl<S: Sync> FromRequestParts<S> for MeteredCall {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let member = Member::from_request_parts(parts, state).await;
        let member = member.map_err(|problem| unknown_platform(parts).unwrap_or(problem))?;
        // Unavailable, absent, or not parsed: no decision is no permit.
        authorizer_context(parts)
            .and_then(|context| Self::from_context(&member, context))
            .ok_or_else(|| {
                Problem::unavailable("The quota could not be checked. Please try again.")
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

/// Adds the quota's headers to every answer to a metered call, a problem included.
pub(crate) async fn add_quota_headers(call: MeteredCall, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().extend(call.headers);
    response
}
