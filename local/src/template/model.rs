//! The resolved template, typed: what the rest of this crate runs.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::api::api;
use super::events::{Event, attach};
use super::policies::{Statement, statements};
use super::resolve::Resolver;
use super::{Resource, TemplateError, inside, text};
use crate::schedules::Expression;

/// Everything that the template says about this machine.
#[derive(Debug, Clone)]
pub struct Model {
    /// DynamoDB tables.
    pub tables: Vec<Table>,
    /// Functions by logical id.
    pub functions: BTreeMap<String, Function>,
    /// The REST API.
    pub api: Api,
    /// Schedules of all functions.
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
    /// Its name.
    pub name: String,
    /// The body of `CreateTable`.
    pub create: Value,
    /// The attribute by which rows expire.
    pub ttl: Option<String>,
}

/// A Lambda function.
#[derive(Debug, Clone)]
pub struct Function {
    /// Its name in AWS.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// The binary that it is built from.
    pub binary: String,
    /// How long one invocation may take.
    pub timeout: Duration,
    /// Its environment.
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

/// A schedule of one function.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Logical id of the function.
    pub function: String,
    /// Its name in the template.
    pub name: String,
    /// When.
    pub expression: Expression,
    /// The event.
    pub input: Value,
}

/// The REST API.
#[derive(Debug, Clone, Default)]
pub struct Api {
    /// Its id.
    pub id: String,
    /// Its stage.
    pub stage: String,
    /// Authorizers by name.
    pub authorizers: BTreeMap<String, Authorizer>,
    /// Its routes.
    pub routes: Vec<Route>,
    pub(crate) responses: BTreeMap<String, GatewayResponse>,
}

/// A REQUEST authorizer.
#[derive(Debug, Clone)]
pub struct Authorizer {
    /// Logical id of the function.
    pub function: String,
    /// Headers without which it is not asked.
    pub headers: Vec<String>,
}

/// A route.
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

pub(super) fn read(resolver: &Resolver) -> Result<Model, TemplateError> {
    let mut model = Model {
        tables: Vec::new(),
        functions: BTreeMap::new(),
        api: Api::default(),
        schedules: Vec::new(),
        topics: Vec::new(),
        queues: Vec::new(),
        buckets: Vec::new(),
        keys: Vec::new(),
        secrets: Vec::new(),
    };
    let mut events = Vec::new();
    // By role, the functions that have it; and what it allows.
    let (mut roles, mut allowed) = (BTreeMap::new(), Vec::new());
    for (id, resource) in &resolver.template.resources {
        if !resolver.exists(resource, &format!("Resources.{id}.Condition"))? {
            continue;
        }
        let place = format!("Resources.{id}.Properties");
        let properties = resolver.resolve(&resource.properties, &place)?;
        let attribute = |name| resolver.attribute(id, name, &place);
        match resource.kind.as_str() {
            "AWS::DynamoDB::Table" => model.tables.push(table(attribute("Name")?, properties)),
            "AWS::S3::Bucket" => model.buckets.push(attribute("Name")?),
            "AWS::KMS::Key" => model.keys.push(attribute("Arn")?),
            "AWS::SNS::Topic" => model.topics.push(Topic {
                arn: attribute("TopicArn")?,
                key: properties.get("KmsMasterKeyId").map(text),
                subscriptions: Vec::new(),
            }),
            "AWS::SecretsManager::Secret" => model.secrets.push(Secret {
                logical_id: id.clone(),
                arn: attribute("Id")?,
                name: attribute("Name")?,
                value: properties.get("SecretString").map(text).unwrap_or_default(),
                key: properties.get("KmsKeyId").map(text),
            }),
            "AWS::SQS::Queue" => {
                let seconds = properties.get("VisibilityTimeout").and_then(Value::as_u64);
                model.queues.push(Queue {
                    logical_id: id.clone(),
                    name: attribute("QueueName")?,
                    arn: attribute("Arn")?,
                    url: attribute("QueueUrl")?,
                    visibility: Duration::from_secs(seconds.unwrap_or(30)), // SQS's default
                });
            }
            "AWS::Serverless::Api" if model.api.id.is_empty() => {
                model.api = api(attribute("Name")?, properties, resolver, &place)?;
            }
            "AWS::Serverless::Api" => {
                return Err(TemplateError::at(place, "a second API is not supported"));
            }
            "AWS::Serverless::Function" => {
                let properties: FunctionProperties = typed(properties, &place)?;
                events.extend(properties.events.clone().into_iter().map(|(name, event)| {
                    (
                        id.clone(),
                        inside(&place, &format!("Events.{name}")),
                        name,
                        event,
                    )
                }));
                let (name, arn) = (attribute("Name")?, attribute("Arn")?);
                let (function, role) = function(id, name, arn, properties, resource)?;
                model.functions.insert(id.clone(), function);
                roles.entry(role).or_insert_with(Vec::new).push(id.clone());
            }
            // Named by policies; the process has one log, its own.
            "AWS::Logs::LogGroup" => {}
            "AWS::IAM::Role" => allowed.push((attribute("Arn")?, statements(&properties, &place)?)),
            other => return Err(TemplateError::at(place, format!("{other} is not read"))),
        }
    }
    for (role, statements) in allowed {
        for id in roles.remove(&role).unwrap_or_default() {
            if let Some(function) = model.functions.get_mut(&id) {
                function.statements.clone_from(&statements);
            }
        }
    }
    if let Some(id) = roles.into_values().flatten().next() {
        let place = format!("Resources.{id}.Properties.Role");
        return Err(TemplateError::at(place, "is not a role of the template"));
    }
    let default_authorizer = model.api.authorizers.keys().next().cloned();
    for (function, place, name, event) in events {
        attach(
            &mut model,
            default_authorizer.as_deref(),
            (function, &place, name),
            event,
        )?;
    }
    Ok(model)
}

pub(super) fn typed<T: DeserializeOwned>(value: Value, place: &str) -> Result<T, TemplateError> {
    serde_json::from_value(value).map_err(|e| TemplateError::at(place, e.to_string()))
}

fn table(name: String, mut properties: Value) -> Table {
    let ttl = properties["TimeToLiveSpecification"].take();
    if let Value::Object(map) = &mut properties {
        map.remove("TimeToLiveSpecification");
        map.insert("TableName".to_owned(), Value::String(name.clone()));
    }
    Table {
        name,
        create: properties,
        ttl: (ttl["Enabled"] == true).then(|| text(&ttl["AttributeName"])),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FunctionProperties {
    timeout: u64,
    #[serde(default)]
    environment: Environment,
    #[serde(default)]
    event_invoke_config: EventInvokeConfig,
    #[serde(default)]
    events: BTreeMap<String, Event>,
    role: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct Environment {
    variables: BTreeMap<String, Value>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct EventInvokeConfig {
    maximum_event_age_in_seconds: Option<u64>,
    maximum_retry_attempts: Option<u32>,
    #[serde(default)]
    destination_config: Value,
}

fn function(
    id: &str,
    name: String,
    arn: String,
    properties: FunctionProperties,
    resource: &Resource,
) -> Result<(Function, String), TemplateError> {
    let binary = resource.metadata["BuildProperties"]["Binary"].as_str();
    let binary = binary.ok_or_else(|| {
        let place = format!("Resources.{id}.Metadata.BuildProperties.Binary");
        TemplateError::at(place, "is needed to serve the function elsewhere")
    })?;
    let config = properties.event_invoke_config;
    let on_failure = &config.destination_config["OnFailure"];
    if !on_failure.is_null() && on_failure["Type"] != "SQS" {
        let place =
            format!("Resources.{id}.Properties.EventInvokeConfig.DestinationConfig.OnFailure.Type");
        return Err(TemplateError::at(place, "only SQS is supported"));
    }
    let function = Function {
        name,
        arn,
        binary: binary.to_owned(),
        timeout: Duration::from_secs(properties.timeout),
        variables: properties
            .environment
            .variables
            .iter()
            .map(|(name, value)| (name.clone(), text(value)))
            .collect(),
        // Lambda's own defaults: two more attempts, six hours.
        retries: config.maximum_retry_attempts.unwrap_or(2),
        maximum_age: Duration::from_secs(config.maximum_event_age_in_seconds.unwrap_or(21_600)),
        on_failure: on_failure["Destination"].as_str().map(str::to_owned),
        // Its role's, which may stand anywhere in the template.
        statements: Vec::new(),
    };
    Ok((function, properties.role))
}
