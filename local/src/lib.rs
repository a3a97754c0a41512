//! Runs `infra/template.yaml` on one machine, in one process: its tables,
//! functions, routes, schedules and subscriptions, with everything in AWS that
//! they call served on loopback, and the platforms simulated.

mod addresses;
pub mod aws;
mod environment;
pub mod functions;
mod gateway;
mod openid;
pub mod platforms;
mod stack;
pub mod template;
mod uuid;

pub use addresses::Addresses;
pub use environment::Environment;
pub use openid::OfferedUser;
pub use stack::{Options, Stack};
