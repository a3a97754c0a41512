//! `/health`: whether the function answers.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`.
    status: &'static str,
}

/// Says that the API serves
#[utoipa::path(
    get,
    path = "/health",
    operation_id = "health",
    tag = "The page",
    security(()),
    responses((status = 200, description = "It serves.", body = Health)),
)]
pub(crate) async fn show() -> Json<Health> {
    Json(Health { status: "ok" })
}
