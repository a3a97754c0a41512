//! What an application needs to call a platform for an integration: a permit, a living access
//! token, and somebody who learns from the platform's answer.
//!
//! [`Client`] is for applications in Rust. It works on the tables directly, in a service whose
//! role may use them, or over HTTP, by the same methods. The function `platform-calls` serves
//! [`PlatformCalls`] to everybody else.

mod access_token;
mod calls;
mod client;
mod feedback;
mod hand_outs;
mod http;
mod http_error;
mod no_token;
mod permit;
mod person;

pub use access_token::{AccessToken, AccessTokens, Wanted};
pub use calls::PlatformCalls;
pub use client::{CallError, Client, DecisionError, PermittedToken};
pub use feedback::{Feedback, FeedbackError, Learned};
pub use http::{API_TIMEOUT, MAX_REPORTED_BODY};
pub use http_error::HttpError;
pub use no_token::NoToken;
pub use permit::{Permit, Wait};
pub use person::NeedsPerson;
