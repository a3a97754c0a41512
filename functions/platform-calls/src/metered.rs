//! Calls that the authorizer has metered: its decision about the quota, and the
//! headers that show it to the client.

use std::collections::HashMap;

use axum::extract::{FromRequestParts, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use edge::member::authorizer_context;
use edge::problem::Problem;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use shared::Platform;
use shared::domain::quota::{DENIED, Decision, HEADERS, Metering, Permit};

use crate::caller::Caller;

/// A call that the quota admits. Only this type gives a handler of a metered route its caller,
/// so none can omit the quota.
#[derive(Debug, Clone)]
pub(crate) struct MeteredCall {
    pub(crate) caller: Caller,
    /// The call to the platform must be made before this instant.
    pub(crate) use_by: DateTime<Utc>,
    /// `None` if the quota store did not answer and the deployment admits calls then.
    pub(crate) permit: Option<Permit>,
    headers: QuotaHeaders,
}

/// What shows the quota to the client.
#[derive(Debug, Clone)]
pub(crate) struct QuotaHeaders(HeaderMap);

impl QuotaHeaders {
    /// Returns what shows the quota after a permit for `platform` was taken `now`.
    pub(crate) fn of(permit: Permit, platform: Platform, now: DateTime<Utc>) -> Self {
        let metering = Metering::Decided(Decision::Admitted(permit));
        let fields: HashMap<_, _> = metering.fields(platform, now).into_iter().collect();
        Self::from_fields(|name| fields.get(name).map(String::as_str))
    }

    fn from_fields<'a>(field: impl Fn(&str) -> Option<&'a str>) -> Self {
        let headers = HEADERS.into_iter().filter_map(|(header, name)| {
            let value = HeaderValue::from_str(field(name)?).ok()?;
            Some((HeaderName::from_static(header), value))
        });
        Self(headers.collect())
    }
}

impl MeteredCall {
    fn from_fields<'a>(
        caller: Caller,
        field: impl Copy + Fn(&str) -> Option<&'a str>,
    ) -> Option<Self> {
        let metering = Metering::parse(field)?;
        Some(Self {
            caller,
            use_by: metering.use_by()?,
            permit: metering.permit(),
            headers: QuotaHeaders::from_fields(field),
        })
    }
}

impl<S: Sync> FromRequestParts<S> for MeteredCall {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let caller = Caller::from_request_parts(parts, state).await;
        let caller = caller.map_err(Problem::into_response)?;
        let context = authorizer_context(parts);
        let field = |name: &str| context?.get(name)?.as_str();
        if field("quota") == Some(DENIED) {
            return Err(denied(field));
        }
        // Unavailable, absent, or not parsed: no decision is no permit.
        Self::from_fields(caller, field).ok_or_else(|| {
            Problem::unavailable("The quota could not be checked. Please try again.")
                .into_response()
        })
    }
}

/// Says that there is no permit, with all that the gateway's own denial says.
fn denied<'a>(field: impl Fn(&str) -> Option<&'a str>) -> Response {
    let text = |name: &str| field(name).unwrap_or_default();
    let number = |name: &str| field(name)?.parse::<u32>().ok();
    let problem = Problem::too_many_requests(text("message"), number("retry_after").unwrap_or(1))
        .with("message", text("message"))
        .with("reason", text("reason"))
        .with("retry_after", number("retry_after"))
        .with("reset_at", text("reset_at"))
        .with("limit", number("limit"));
    let mut response = problem.into_response();
    let QuotaHeaders(headers) = QuotaHeaders::from_fields(field);
    response.headers_mut().extend(headers);
    response
}

/// Adds the quota's headers to every answer to a metered call, a problem included. A handler that
/// takes another permit gives the answer an extension with those after that one.
pub(crate) async fn add_quota_headers(call: MeteredCall, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let later = response.extensions_mut().remove();
    let QuotaHeaders(headers) = later.unwrap_or(call.headers);
    response.headers_mut().extend(headers);
    response
}
