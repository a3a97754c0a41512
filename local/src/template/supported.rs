//! What of a template this crate understands. Everything else is an error,
//! except what has no meaning on one machine, which is listed here with its reason.

/// What this crate does with a property.
pub(super) enum Meaning {
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
pub(super) const TYPES_WITHOUT: &[(&str, &str)] = &[
    ("AWS::SQS::QueuePolicy", NO_IAM),
    ("AWS::Lambda::Permission", NO_IAM),
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
    (
        "AWS::Cognito::UserPoolResourceServer",
        "the local issuer knows everybody",
    ),
    (
        "AWS::Cognito::UserPoolDomain",
        "the local issuer knows everybody",
    ),
    ("AWS::SNS::Subscription", "no mail leaves this machine"),
    ("AWS::CloudWatch::Alarm", WATCHED),
    ("AWS::CloudWatch::Dashboard", WATCHED),
    ("AWS::Logs::QueryDefinition", WATCHED),
];

/// Paths from the resource, without list indexes; `*` stands for any one key.
pub(super) type Properties = &'static [(&'static str, Meaning)];

pub(super) const EVERY_RESOURCE: Properties = &[
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

pub(super) const TYPES: &[(&str, Properties)] = &[
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
            ("Properties.BinaryMediaTypes", Runs),
            (
                "Properties.OpenApiVersion",
                Without("steers how SAM writes the definition"),
            ),
            (
                "Properties.EndpointConfiguration",
                Without("there is one endpoint, on loopback"),
            ),
            ("Properties.StageName", Runs),
            ("Properties.Variables.*", Runs),
            (
                "Properties.DefinitionBody.openapi",
                Without("there is one form of it"),
            ),
            ("Properties.DefinitionBody.info", Without(PEOPLE)),
            ("Properties.DefinitionBody.paths.*.*.security", Runs),
            (
                "Properties.DefinitionBody.paths.*.*.responses",
                Without("the functions decide"),
            ),
            (
                "Properties.DefinitionBody.paths.*.*.x-amazon-apigateway-integration.type",
                Runs,
            ),
            (
                "Properties.DefinitionBody.paths.*.*.x-amazon-apigateway-integration.httpMethod",
                Without("the functions are called otherwise"),
            ),
            (
                "Properties.DefinitionBody.paths.*.*.x-amazon-apigateway-integration.uri",
                Runs,
            ),
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

pub(super) const PARAMETER: Properties = &[
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
    (
        "MaxLength",
        Without("constrains what a person types when deploying"),
    ),
];
