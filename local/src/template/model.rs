//! The resolved template, typed: what the rest of this crate runs.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::policies::Statement;
use super::schedule_expression::ScheduleExpression;

/// Everything that the template says about this machine.
#[derive(Debug, Clone)]
pub struct Model {
    pub tables: Vec<Table>,
    /// Functions by logical id.
    pub functions: BTreeMap<String, Function>,
    pub api: Api,
    pub schedules: Vec<Schedule>,
    pub(crate) topics: Vec<Topic>,
    pub(crate) queues: Vec<Queue>,
    /// Names of S3 buckets.
    pub(crate) buckets: Vec<String>,
    /// ARNs of KMS keys.
    pub(crate) keys: Vec<String>,
    pub(crate) secrets: Vec<Secret>,
}

/// A table, as `CreateTable` and `UpdateTimeToLive` take it.
#[derive(Debug, Clone)]
pub struct Table {
    pub name: String,
    /// The body of `CreateTable`.
    pub create: Value,
    /// The attribute by which rows expire.
    pub ttl: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Function {
    /// Its name in AWS.
    pub name: String,
    pub arn: String,
    /// The binary that it is built from.
    pub binary: String,
    pub timeout: Duration,
    pub variables: BTreeMap<String, String>,
    /// How often a failed asynchronous invocation is tried again.
    pub retries: u32,
    /// How old an asynchronous event may become before it is given up.
    pub maximum_age: Duration,
    /// ARN of the queue that takes failed asynchronous events.
    pub on_failure: Option<String>,
    /// What its role's policies allow.
    pub statements: Vec<Statement>,
}

#[derive(Debug, Clone)]
pub struct Schedule {
    /// Logical id of the function.
    pub function: String,
    /// Its name in the template.
    pub name: String,
    pub expression: ScheduleExpression,
    /// The event that each tick sends.
    pub input: Value,
}

#[derive(Debug, Clone, Default)]
pub struct Api {
    pub id: String,
    pub stage: String,
    /// The stage's variables, which every event has.
    pub stage_variables: BTreeMap<String, String>,
    /// Whether every body passes byte for byte, in base64, as `BinaryMediaTypes` of `*/*` asks.
    pub passes_bytes: bool,
    /// Authorizers by name.
    pub authorizers: BTreeMap<String, Authorizer>,
    pub routes: Vec<Route>,
    pub(crate) responses: BTreeMap<String, GatewayResponse>,
}

/// A REQUEST authorizer.
#[derive(Debug, Clone)]
pub struct Authorizer {
    /// Logical id of the function.
    pub function: String,
    /// Headers without which the request is refused at once.
    pub headers: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct Route {
    /// The method; `ANY` for those that the path's other routes do not name.
    pub method: String,
    /// The path, parameters in braces.
    pub path: String,
    /// Logical id of the function.
    pub function: String,
    /// Name of the authorizer, if any.
    pub authorizer: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct GatewayResponse {
    pub(crate) status: Option<u16>,
    /// Header name to `'literal'` or `context.x`.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) template: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Topic {
    pub(crate) arn: String,
    /// ARN of the key that messages are encrypted under.
    pub(crate) key: Option<String>,
    pub(crate) subscriptions: Vec<Subscription>,
}

#[derive(Debug, Clone)]
pub(crate) struct Subscription {
    pub(crate) arn: String,
    pub(crate) function: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Queue {
    pub(crate) logical_id: String,
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) url: String,
    pub(crate) visibility: Duration,
}

#[derive(Debug, Clone)]
pub(crate) struct Secret {
    pub(crate) logical_id: String,
    pub(crate) arn: String,
    pub(crate) name: String,
    pub(crate) value: String,
    /// ARN of the key that it is encrypted under.
    pub(crate) key: Option<String>,
}
