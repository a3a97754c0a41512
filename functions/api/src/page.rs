//! The page of the dashboard: one document for each of its addresses, and the files that it
//! needs. They are embedded, and their address has the digest of them all: so a browser keeps
//! them for as long as they are what they were.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use edge::problem::Problem;
use http::header;
use http::request::Parts;
use lambda_http::RequestExt;
use lambda_http::request::RequestContext;
use shared::domain::digest::hex128;

use crate::app::App;

/// A file: its name as others import it, its type, its text.
struct File(&'static str, &'static str, &'static str);

macro_rules! files {
    ($($name:literal: $kind:ident,)*) => {
        &[$(File($name, $kind, include_str!(concat!("../page/", $name))),)*]
    };
}

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

const FILES: &[File] = files! {
    "api.mjs": SCRIPT,
    "app.mjs": SCRIPT,
    "confirm.mjs": SCRIPT,
    "dashboard.mjs": SCRIPT,
    "history.mjs": SCRIPT,
    "html.mjs": SCRIPT,
    "icon.svg": PICTURE,
    "integration.mjs": SCRIPT,
    "integration_view.mjs": SCRIPT,
    "members.mjs": SCRIPT,
    "notifications.mjs": SCRIPT,
    "organizations.mjs": SCRIPT,
    "quota.mjs": SCRIPT,
    "router.mjs": SCRIPT,
    "session.mjs": SCRIPT,
    "states.mjs": SCRIPT,
    "style.css": STYLE,
    "table.mjs": SCRIPT,
    "time.mjs": SCRIPT,
    "timeline.mjs": SCRIPT,
    "vendor/hooks.mjs": SCRIPT,
    "vendor/htm.mjs": SCRIPT,
    "vendor/preact.mjs": SCRIPT,
};

const DOCUMENT: &str = include_str!("../page/index.html");

/// Nothing from elsewhere, nothing inline, and no page around this one.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'self'; form-action 'self'; \
                      frame-ancestors 'none'";

static DIGEST: LazyLock<String> = LazyLock::new(|| {
    let parts: Vec<_> = FILES
        .iter()
        .flat_map(|File(name, _, text)| [*name, *text])
        .collect();
    hex128(&parts)
});

/// The addresses of the page. All are one document, whose script shows what the address names.
const ADDRESSES: [&str; 7] = [
    "/",
    "/dashboard/{orgId}",
    "/dashboard/{orgId}/integrations/{integrationId}",
    "/dashboard/{orgId}/integrations/{integrationId}/reconnect",
    "/dashboard/{orgId}/members",
    "/dashboard/{orgId}/notifications",
    "/signed-out",
];

pub(crate) fn router() -> Router<App> {
    let routes = Router::new();
    ADDRESSES.iter().fold(routes, |routes, address| {
        routes.route(address, get(document))
    })
}

async fn document(parts: Parts) -> Response {
    let assets = format!("assets/{}/", *DIGEST);
    let text = DOCUMENT
        .replace("{base}", &base(&parts))
        .replace("{assets}", &assets);
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, text).into_response()
}

/// Returns the path below which the page lies: a stage's, a base path's, or none. It is what the
/// client's path has before the segments of the route.
fn base(parts: &Parts) -> String {
    let context = match parts.extensions.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => Some(context),
        _ => None,
    };
    let segments = |path: &str| path.split('/').filter(|part| !part.is_empty()).count();
    let whole = context.and_then(|context| context.path.as_deref());
    let route = context.and_then(|context| context.resource_path.as_deref());
    let (Some(whole), Some(route)) = (whole, route) else {
        return "/".to_owned();
    };
    let before = segments(whole).saturating_sub(segments(route));
    let before = whole
        .split('/')
        .filter(|part| !part.is_empty())
        .take(before);
    let mut base = "/".to_owned();
    for part in before {
        // In an attribute: nothing that HTML reads.
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        if !part.bytes().all(is_plain) {
            return "/".to_owned();
        }
        base += part;
        base.push('/');
    }
    base
}

/// `GET /assets/{digest}/{path+}`.
pub(crate) async fn asset(
    Path((digest, path)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let file = FILES.iter().find(|File(name, ..)| *name == path);
    let file = file.filter(|_| digest == *DIGEST);
    let File(_, kind, text) = file.ok_or_else(Problem::no_such_route)?;
    let headers = [
        (header::CONTENT_TYPE, *kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, *text).into_response())
}
