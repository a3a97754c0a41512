//! Builds the model: resolves every resource and puts it where it is run from.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::api::parse_api;
use super::document::Template;
use super::error::TemplateError;
use super::events::{Event, attach};
use super::model::{Api, Function, Model, Queue, Secret, Table, Topic};
use super::policies::parse_statements;
use super::resolve::{Inputs, Resolver};
use super::resource::Resource;
use super::value::{inside, text, typed};

impl Template {
    /// Resolves every reference and builds the model.
    ///
    /// # Errors
    /// [`TemplateError`] for a parameter without a value, a reference to
    /// nothing, or a property of the wrong shape.
    pub fn resolve(&self, inputs: &Inputs) -> Result<Model, TemplateError> {
        build_model(&Resolver::new(self, inputs)?)
    }
}

fn build_model(resolver: &Resolver) -> Result<Model, TemplateError> {
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
            "AWS::DynamoDB::Table" => model
                .tables
                .push(build_table(attribute("Name")?, properties)),
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
                model.api = parse_api(attribute("Name")?, properties, resolver, &place)?;
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
                let (function, role) = build_function(id, name, arn, properties, resource)?;
                model.functions.insert(id.clone(), function);
                roles.entry(role).or_insert_with(Vec::new).push(id.clone());
            }
            // Named by policies; the process has one log, its own.
            "AWS::Logs::LogGroup" => {}
            "AWS::IAM::Role" => {
                allowed.push((attribute("Arn")?, parse_statements(&properties, &place)?))
            }
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
    for (function, place, name, event) in events {
        attach(&mut model, (function, &place, name), event)?;
    }
    Ok(model)
}

fn build_table(name: String, mut properties: Value) -> Table {
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
    environment: FunctionEnvironment,
    #[serde(default)]
    event_invoke_config: EventInvokeConfig,
    #[serde(default)]
    events: BTreeMap<String, Event>,
    role: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct FunctionEnvironment {
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

fn build_function(
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
