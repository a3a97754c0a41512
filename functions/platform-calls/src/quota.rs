//! What is left of one integration's quota; takes no permit.

use axum::Json;
use axum::extract::State;
use edge::problem::Problem;
use edge::quota_view::QuotaView;

use crate::app::App;
use crate::caller::Caller;
use crate::permits::must_be_of_platform;

/// `GET .../quota`.
pub(crate) async fn show(
    caller: Caller,
    State(app): State<App>,
) -> Result<Json<QuotaView>, Problem> {
    must_be_of_platform(&app, &caller).await?;
    let status = app.calls.limiter.status(&caller.quota_key()).await?;
    Ok(Json(status.into()))
}
