//! What is known of each platform, as data: one file for each, listed in `catalog`.
//!
//! Pure: imports std, chrono, serde, `domain` and itself. `oauth` renders the
//! requests and reads the answers.

pub mod catalog;
pub(crate) mod code_exchange;
pub mod consent;
pub(crate) mod definition;
mod google_ads;
mod graph;
mod instagram;
pub(crate) mod json;
mod linkedin;
mod meta;
pub(crate) mod request;
mod rfc6749;
pub(crate) mod rule;
mod snapchat;
mod threads;
mod tiktok;
mod tiktok_business;
pub(crate) mod usage;
pub(crate) mod wait;
mod x;

pub use catalog::Platform;
