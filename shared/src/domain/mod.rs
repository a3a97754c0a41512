//! The decisions of Token Warden, without I/O: time, randomness and answers are parameters.
//! `shared/tests/tree` says what this module may import.

pub mod account;
pub mod alert;
pub mod alert_policy;
pub mod call_reading;
pub mod check_result;
pub mod consent;
pub mod consent_refusal;
pub mod digest;
mod encoding;
pub mod error_code;
pub mod id;
pub mod integration;
pub mod integration_status;
mod lease;
pub mod notification;
pub mod organization;
pub mod platform_health;
pub mod probe_result;
pub mod quota;
mod reconnect_by;
pub mod redact;
pub mod refresh;
pub mod report;
pub mod route;
pub mod schedule;
pub mod sent_alerts;
pub mod severity;
pub mod state_message;
pub mod time_left;
pub mod verdict;

pub use id::{IntegrationId, IntegrationKey, OrgId, UserId};
