//! `/health`: whether the function answers.

use axum::Json;
use serde_json::{Value, json};

pub(crate) async fn show() -> Json<Value> {
    Json(json!({"status": "ok"}))
}
