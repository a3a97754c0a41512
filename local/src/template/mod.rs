//! The SAM template, resolved for one machine. Anything in it that this module does
//! not understand is an error that names its place.

mod api;
mod build;
mod conditions;
mod document;
mod error;
mod events;
mod model;
mod policies;
mod prune;
mod resolve;
mod resource;
mod schedule_expression;
mod supported;
#[cfg(test)]
pub(crate) mod tests;
mod value;

pub use document::{EMBEDDED, Template};
pub use error::TemplateError;
pub use model::{Api, Authorizer, Function, Model, Route, Schedule, Table};
pub(crate) use model::{GatewayResponse, Queue, Secret, Topic};
pub use policies::{AwsCall, Statement};
pub use resolve::{ACCOUNT, Inputs, REGION};
pub use schedule_expression::{InvalidExpression, ScheduleExpression};
pub(crate) use value::{literal, text};
