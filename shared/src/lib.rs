//! The domain of Token Warden, and its adapters to AWS and to the platforms.
//!
//! Pure modules know only std, chrono and serde; adapters know them, never the
//! other way. Nothing here knows of Lambda or of HTTP servers.

pub mod alert;
pub mod announcement;
pub mod application;
pub mod attention;
pub mod aws;
pub mod came;
pub mod clock;
pub mod digest;
pub mod fields;
pub mod fingerprint;
pub mod id;
pub mod import;
pub mod integration;
pub mod lapse;
pub mod logging;
pub mod metrics;
pub mod notification;
pub mod oauth;
pub mod organization;
pub mod parking;
pub mod place;
pub mod platform;
pub mod quota;
pub mod redact;
pub mod refresh;
pub mod registration;
pub mod report;
pub mod sealing;
pub mod store;
pub mod topic;
pub mod variables;
pub mod verdict;

pub use clock::Clock;
pub use id::{IntegrationId, OrgId, UserId};
pub use platform::Platform;
pub use variables::Variables;
