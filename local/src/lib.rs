//! Runs `infra/template.yaml` on one machine, in one process: its tables,
//! functions, routes, schedules and subscriptions, with everything in AWS that
//! they call served on loopback, and the platforms simulated.

pub mod addresses;
pub mod asynchronous;
pub mod aws;
mod data_dir;
pub mod dynamodb;
pub mod environment;
pub mod functions;
mod gateway;
pub mod guard;
pub mod invoke;
pub mod issuer;
mod listeners;
pub mod platforms;
pub mod schedules;
mod servers;
pub mod stack;
pub mod tables;
pub mod template;

pub use addresses::Addresses;
pub use environment::Environment;
pub use invoke::{FunctionError, Handler, Invocation};
pub use stack::{Options, Stack};
