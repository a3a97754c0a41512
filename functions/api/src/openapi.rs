//! The document of this HTTP API (OpenAPI 3.1).

use axum::response::{IntoResponse, Response};
use http::header;

/// Generated: `WRITE=1 cargo test -p tests --test it openapi` writes it anew.
const DOCUMENT: &str = include_str!("../openapi.json");

/// Shows this document
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "getOpenApi",
    tag = "The page",
    security(()),
    responses((status = 200, description = "OpenAPI 3.1.", body = Object)),
)]
pub(crate) async fn show() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}
