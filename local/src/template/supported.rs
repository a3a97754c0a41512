//! What of a template this crate understands. Everything else is an error,
//! except what has no meaning on one machine, which is listed here with its reason.

use serde_json::{Map, Value};

use super::error::TemplateError;
use super::resource::Resource;
use super::value::{inside, object, text};

/// What this crate does with a property.
enum Meaning {
    /// The crate reads it, with everything below it.
    Runs,
    /// It has no meaning on one machine, for this reason.
    Without(&'static str),
}
use Meaning::{Runs, Without};

pub(super) const SECTIONS: [&str; 9] = [
    "AWSTemplateFormatVersion",
    "Transform",
    "Description",
    "Parameters",
    "Rules", // constrain what a person types when deploying
    "Conditions",
    "Globals",
    "Resources",
    "Outputs", // for people who deploy; `local.json` is their counterpart here
];

const NO_IAM: &str = "only the policies of the functions' roles are checked here";
const DELIVERED: &str = "delivery within one process cannot fail";
const ENCRYPTED: &str = "it never leaves this machine";
const WATCHED: &str = "metrics and logs are not kept here";
const PEOPLE: &str = "for people";

/// Resource types without a meaning here, as a whole.
const TYPES_WITHOUT: &[(&str, &str)] = &[
    ("AWS::SQS::QueuePolicy", NO_IAM),
    ("AWS::S3::BucketPolicy", NO_IAM),
    (
        "AWS::ApiGateway::Account",
        "the gateway logs into the process's log",
    ),
    ("AWS::Cognito::UserPool", "the local issuer knows everybody"),
    (
        "AWS::Cognito::UserPoolClient",
        "the local issuer knows everybody",
    ),
    ("AWS::SNS::Subscription", "no mail leaves this machine"),
    ("AWS::CloudWatch::Alarm", WATCHED),
    ("AWS::CloudWatch::Dashboard", WATCHED),
    ("AWS::Logs::QueryDefinition", WATCHED),
];

/// Paths from the resource, without list indexes; `*` stands for any one key.
type Properties = &'static [(&'static str, Meaning)];

const EVERY_RESOURCE: Properties = &[
    ("Type", Runs),
    ("Condition", Runs),
    (
        "DependsOn",
        Without("everything here is made before anything is called"),
    ),
    (
        "DeletionPolicy",
        Without("the data directory is deleted by hand"),
    ),
    (
        "UpdateReplacePolicy",
        Without("the data directory is deleted by hand"),
    ),
    ("Metadata.BuildMethod", Without("cargo builds")),
    ("Metadata.BuildProperties.Binary", Runs),
    (
        "Metadata.checkov",
        Without("why a linter's rule does not apply"),
    ),
    (
        "Metadata.cfn-lint",
        Without("why a linter's rule does not apply"),
    ),
];

const TYPES: &[(&str, Properties)] = &[
    (
        "AWS::DynamoDB::Table",
        &[
            ("Properties.TableName", Runs),
            ("Properties.BillingMode", Runs),
            ("Properties.AttributeDefinitions.AttributeName", Runs),
            ("Properties.AttributeDefinitions.AttributeType", Runs),
            ("Properties.KeySchema.AttributeName", Runs),
            ("Properties.KeySchema.KeyType", Runs),
            ("Properties.GlobalSecondaryIndexes.IndexName", Runs),
            (
                "Properties.GlobalSecondaryIndexes.KeySchema.AttributeName",
                Runs,
            ),
            ("Properties.GlobalSecondaryIndexes.KeySchema.KeyType", Runs),
            (
                "Properties.GlobalSecondaryIndexes.Projection.ProjectionType",
                Runs,
            ),
            (
                "Properties.GlobalSecondaryIndexes.Projection.NonKeyAttributes",
                Runs,
            ),
            ("Properties.TimeToLiveSpecification.AttributeName", Runs),
            ("Properties.TimeToLiveSpecification.Enabled", Runs),
            (
                "Properties.PointInTimeRecoverySpecification",
                Without("one file is copied by hand"),
            ),
            (
                "Properties.DeletionProtectionEnabled",
                Without("the data directory is deleted by hand"),
            ),
        ],
    ),
    (
        "AWS::KMS::Key",
        &[
            ("Properties.Description", Without(PEOPLE)),
            (
                "Properties.EnableKeyRotation",
                Without("rotation cannot be seen from outside"),
            ),
            ("Properties.KeyPolicy", Without(NO_IAM)),
        ],
    ),
    (
        "AWS::S3::Bucket",
        &[
            ("Properties.BucketName", Runs),
            ("Properties.PublicAccessBlockConfiguration", Without(NO_IAM)),
            ("Properties.OwnershipControls", Without(NO_IAM)),
            (
                "Properties.BucketEncryption",
                Without("what is stored is sealed anyway"),
            ),
            (
                "Properties.LifecycleConfiguration",
                Without("what nobody fetched is deleted by hand"),
            ),
        ],
    ),
    (
        "AWS::SecretsManager::Secret",
        &[
            ("Properties.Name", Runs),
            ("Properties.Description", Without(PEOPLE)),
            ("Properties.SecretString", Runs),
            ("Properties.KmsKeyId", Runs),
        ],
    ),
    (
        "AWS::Logs::LogGroup",
        &[
            ("Properties.LogGroupName", Runs),
            ("Properties.RetentionInDays", Without(WATCHED)),
        ],
    ),
    (
        "AWS::IAM::Role",
        &[
            ("Properties.AssumeRolePolicyDocument", Without(NO_IAM)),
            ("Properties.ManagedPolicyArns", Without(NO_IAM)),
            ("Properties.Policies.PolicyName", Without(PEOPLE)),
            ("Properties.Policies.PolicyDocument", Runs),
        ],
    ),
    (
        "AWS::SNS::Topic",
        &[
            ("Properties.TopicName", Runs),
            ("Properties.KmsMasterKeyId", Runs),
        ],
    ),
    (
        "AWS::SQS::Queue",
        &[
            ("Properties.QueueName", Runs),
            ("Properties.VisibilityTimeout", Runs),
            (
                "Properties.MessageRetentionPeriod",
                Without("queues live as long as the process"),
            ),
            ("Properties.SqsManagedSseEnabled", Without(ENCRYPTED)),
        ],
    ),
    (
        "AWS::Serverless::Function",
        &[
            ("Properties.FunctionName", Runs),
            ("Properties.Description", Without(PEOPLE)),
            ("Properties.Timeout", Runs),
            (
                "Properties.MemorySize",
                Without("the functions share one process"),
            ),
            (
                "Properties.CodeUri",
                Without("the functions are linked in, or served elsewhere"),
            ),
            (
                "Properties.Handler",
                Without("the functions are linked in, or served elsewhere"),
            ),
            (
                "Properties.Runtime",
                Without("the functions are linked in, or served elsewhere"),
            ),
            (
                "Properties.Architectures",
                Without("the functions are linked in, or served elsewhere"),
            ),
            ("Properties.Tracing", Without(WATCHED)),
            (
                "Properties.LoggingConfig",
                Without("the process has one log, its own"),
            ),
            ("Properties.Role", Runs),
            ("Properties.Environment.Variables.*", Runs),
            (
                "Properties.EventInvokeConfig.MaximumEventAgeInSeconds",
                Runs,
            ),
            ("Properties.EventInvokeConfig.MaximumRetryAttempts", Runs),
            (
                "Properties.EventInvokeConfig.DestinationConfig.OnFailure.Type",
                Runs,
            ),
            (
                "Properties.EventInvokeConfig.DestinationConfig.OnFailure.Destination",
                Runs,
            ),
            ("Properties.Events.*.Type", Runs),
            // Api
            ("Properties.Events.*.Properties.RestApiId", Runs),
            ("Properties.Events.*.Properties.Method", Runs),
            ("Properties.Events.*.Properties.Path", Runs),
            ("Properties.Events.*.Properties.Auth.Authorizer", Runs),
            // ScheduleV2
            ("Properties.Events.*.Properties.Name", Without(PEOPLE)),
            (
                "Properties.Events.*.Properties.Description",
                Without(PEOPLE),
            ),
            ("Properties.Events.*.Properties.State", Runs),
            ("Properties.Events.*.Properties.ScheduleExpression", Runs),
            (
                "Properties.Events.*.Properties.ScheduleExpressionTimezone",
                Runs,
            ),
            ("Properties.Events.*.Properties.Input", Runs),
            (
                "Properties.Events.*.Properties.RetryPolicy",
                Without(DELIVERED),
            ),
            (
                "Properties.Events.*.Properties.DeadLetterConfig",
                Without(DELIVERED),
            ),
            // SNS
            ("Properties.Events.*.Properties.Topic", Runs),
            (
                "Properties.Events.*.Properties.RedrivePolicy",
                Without(DELIVERED),
            ),
        ],
    ),
    (
        "AWS::Serverless::Api",
        &[
            ("Properties.Name", Without(PEOPLE)),
            ("Properties.Description", Without(PEOPLE)),
            ("Properties.TracingEnabled", Without(WATCHED)),
            ("Properties.AccessLogSetting", Without(WATCHED)),
            (
                "Properties.MethodSettings",
                Without("nobody but this machine's people calls"),
            ),
            (
                "Properties.OpenApiVersion",
                Without("steers how SAM writes the definition"),
            ),
            (
                "Properties.EndpointConfiguration",
                Without("there is one endpoint, on loopback"),
            ),
            ("Properties.StageName", Runs),
            ("Properties.Auth.DefaultAuthorizer", Runs),
            ("Properties.Auth.Authorizers.*.FunctionArn", Runs),
            ("Properties.Auth.Authorizers.*.FunctionPayloadType", Runs),
            ("Properties.Auth.Authorizers.*.Identity.Headers", Runs),
            (
                "Properties.Auth.Authorizers.*.Identity.ReauthorizeEvery",
                Runs,
            ),
            ("Properties.GatewayResponses.*.StatusCode", Runs),
            (
                "Properties.GatewayResponses.*.ResponseParameters.Headers.*",
                Runs,
            ),
            (
                "Properties.GatewayResponses.*.ResponseTemplates.application/json",
                Runs,
            ),
        ],
    ),
];

const PARAMETER: Properties = &[
    ("Type", Runs),
    ("Default", Runs),
    ("Description", Without(PEOPLE)),
    (
        "AllowedPattern",
        Without("constrains what a person types when deploying"),
    ),
    (
        "AllowedValues",
        Without("constrains what a person types when deploying"),
    ),
    (
        "ConstraintDescription",
        Without("constrains what a person types when deploying"),
    ),
    (
        "MinValue",
        Without("constrains what a person types when deploying"),
    ),
    (
        "MaxValue",
        Without("constrains what a person types when deploying"),
    ),
    (
        "MinLength",
        Without("constrains what a person types when deploying"),
    ),
];

/// Returns the resource without what has no meaning here; `None` if that is all of it.
pub(super) fn prune(resource: &Value, place: &str) -> Result<Option<Resource>, TemplateError> {
    let kind = object(resource, place)?
        .get("Type")
        .map(text)
        .unwrap_or_default();
    if TYPES_WITHOUT.iter().any(|(without, _)| *without == kind) {
        return Ok(None);
    }
    let Some((_, properties)) = TYPES.iter().find(|(known, _)| *known == kind) else {
        let problem = format!("{kind} is not supported");
        return Err(TemplateError::at(inside(place, "Type"), problem));
    };
    let mut pruned = walk(resource, &[EVERY_RESOURCE, properties], "", place)?;
    Ok(Some(Resource {
        kind,
        condition: pruned.get("Condition").map(text),
        properties: pruned["Properties"].take(),
        metadata: pruned["Metadata"].take(),
    }))
}

/// Prunes the globals, which stand in for properties of every function.
pub(super) fn prune_globals(globals: &Value, place: &str) -> Result<Value, TemplateError> {
    let function = TYPES
        .iter()
        .find(|(kind, _)| *kind == "AWS::Serverless::Function");
    let properties: Vec<_> = function.iter().map(|(_, properties)| *properties).collect();
    walk(globals, &properties, "Properties", place)
}

pub(super) fn check_parameter(parameter: &Value, place: &str) -> Result<(), TemplateError> {
    walk(parameter, &[PARAMETER], "", place).map(|_| ())
}

/// Copies `value`, found at `path`, without the properties that have no meaning here.
fn walk(
    value: &Value,
    known: &[Properties],
    path: &str,
    place: &str,
) -> Result<Value, TemplateError> {
    match value {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| walk(item, known, path, &format!("{place}[{index}]")))
            .collect(),
        Value::Object(entries) => {
            let mut kept = Map::new();
            for (key, value) in entries {
                let (path, place) = (inside(path, key), inside(place, key));
                match find(known, &path) {
                    Found::Here(Runs) => drop(kept.insert(key.clone(), value.clone())),
                    Found::Here(Without(reason)) => {
                        tracing::trace!(place, reason, "has no meaning on this machine");
                    }
                    Found::Below => {
                        drop(kept.insert(key.clone(), walk(value, known, &path, &place)?))
                    }
                    Found::Nowhere => {
                        return Err(TemplateError::at(place, "this property is not supported"));
                    }
                }
            }
            Ok(Value::Object(kept))
        }
        _ => Err(TemplateError::at(place, "a map or a list is expected here")),
    }
}

enum Found {
    Here(&'static Meaning),
    Below,
    Nowhere,
}

fn find(known: &[Properties], path: &str) -> Found {
    let mut found = Found::Nowhere;
    for (pattern, meaning) in known.iter().copied().flatten() {
        match relation(pattern, path) {
            Some(true) => return Found::Here(meaning),
            Some(false) => found = Found::Below,
            None => {}
        }
    }
    found
}

/// Returns `Some(true)` if `pattern` names `path`, `Some(false)` if something below it.
fn relation(pattern: &str, path: &str) -> Option<bool> {
    let mut pattern = pattern.split('.');
    for segment in path.split('.') {
        let expected = pattern.next()?;
        if expected != "*" && expected != segment {
            return None;
        }
    }
    Some(pattern.next().is_none())
}
