//! The page of the dashboard: one document for each of its addresses, and the files that it
//! needs. They are embedded, and their address has the digest of them all: so a browser keeps
//! them for as long as they are what they were.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::IntoResponse;
use axum::routing::get;
use edge::problem::Problem;
use http::header;
use http::request::Parts;
use shared::domain::digest::hex128;
use utoipa::PartialSchema;
use utoipa::openapi::path::{HttpMethod, Operation, Paths};
use utoipa::openapi::{Content, Response, SecurityRequirement};
use utoipa_axum::router::OpenApiRouter;

use crate::address::base;
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
    "docs.mjs": SCRIPT,
    "history.mjs": SCRIPT,
    "html.mjs": SCRIPT,
    "icon.svg": PICTURE,
    "integration.mjs": SCRIPT,
    "integration_view.mjs": SCRIPT,
    "members.mjs": SCRIPT,
    "notifications.mjs": SCRIPT,
    "organizations.mjs": SCRIPT,
    "quota.mjs": SCRIPT,
    "reconnect.mjs": SCRIPT,
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

/// The addresses of the page, and what the OpenAPI document calls them. All are one document, whose script shows what the address names.
const ADDRESSES: [(&str, &str); 10] = [
    ("/", "showOrganizations"),
    ("/connect", "connectSomewhere"),
    ("/dashboard/{orgId}", "showDashboard"),
    ("/dashboard/{orgId}/connect", "showConnect"),
    (
        "/dashboard/{orgId}/integrations/{integrationId}",
        "showIntegration",
    ),
    (
        "/dashboard/{orgId}/integrations/{integrationId}/reconnect",
        "showReconnect",
    ),
    ("/dashboard/{orgId}/members", "showMembers"),
    ("/dashboard/{orgId}/notifications", "showNotifications"),
    ("/docs", "showDocs"),
    ("/signed-out", "showSignedOut"),
];

pub(crate) fn routes() -> OpenApiRouter<App> {
    let html = Content::builder().schema(Some(String::schema())).build();
    let answer = Response::builder()
        .description("The page.")
        .content("text/html", html);
    let operation = Operation::builder()
        .summary(Some("Shows the page"))
        .tag("The page")
        .securities(Some([SecurityRequirement::default()]))
        .response("200", answer)
        .build();
    let routes = OpenApiRouter::new();
    ADDRESSES.into_iter().fold(routes, |routes, (address, id)| {
        let mut operation = operation.clone();
        operation.operation_id = Some(id.to_owned());
        let mut paths = Paths::new();
        paths.add_path_operation(address, vec![HttpMethod::Get], operation);
        routes.routes((Vec::new(), paths, get(document)))
    })
}

async fn document(parts: Parts) -> axum::response::Response {
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

/// Serves a file of the page
#[utoipa::path(
    get,
    path = "/assets/{digest}/{*path}",
    operation_id = "getAsset",
    tag = "The page",
    security(()),
    responses((status = 200, description = "The file.", content_type = "*/*", body = String)),
)]
pub(crate) async fn asset(
    Path((digest, path)): Path<(String, String)>,
) -> Result<axum::response::Response, Problem> {
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
