//! An account on a platform.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Account {
    /// The account's id on the platform.
    #[serde(rename = "account_id")]
    pub id: String,
    /// The account's name, as people know it.
    pub username: String,
}
