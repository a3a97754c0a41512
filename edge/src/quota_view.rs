//! What is left of a quota, as every answer shows it.

use serde::Serialize;
use shared::domain::quota::{Permit, QuotaStatus, WindowStatus};
use utoipa::ToSchema;

/// One window's numbers, and both windows by name.
#[derive(Debug, Serialize, ToSchema)]
pub struct QuotaView {
    #[serde(flatten)]
    shown: WindowStatus,
    #[serde(flatten)]
    windows: QuotaStatus,
}

/// Serves answers that take no permit.
impl From<QuotaStatus> for QuotaView {
    fn from(windows: QuotaStatus) -> Self {
        Self {
            shown: windows.shown(),
            windows,
        }
    }
}

impl From<Permit> for QuotaView {
    fn from(permit: Permit) -> Self {
        Self {
            shown: permit.shown(),
            windows: permit.status,
        }
    }
}
