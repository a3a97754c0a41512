//! The adapters to AWS.

pub mod alert_topic;
mod attributes;
pub mod check_tokens;
pub mod config;
pub mod credential_fallback;
pub mod error;
pub mod quota;
pub mod tables;
pub mod token_cipher;

pub use error::AwsError;
