//! The domain of Token Warden, and its adapters to AWS and to the platforms.
//!
//! The folder says what a module may import: `domain` is pure, `platforms` holds what is known
//! of each platform, `oauth` asks platforms, `aws` holds the adapters to AWS, `registration`
//! takes credentials over, `platform_calls` is for those who call platforms, `openid` asks the
//! provider that signs people in, `runtime` is the process. Nothing here knows of Lambda or of
//! HTTP servers.

pub mod aws;
pub mod domain;
pub mod oauth;
pub mod openid;
pub mod platform_calls;
pub mod platforms;
pub mod registration;
pub mod runtime;

pub use domain::{IntegrationId, IntegrationKey, OrgId, UserId};
pub use platforms::Platform;
pub use runtime::{Clock, Variables};
