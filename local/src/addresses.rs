//! Where a running stack answers: what `local.json` holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Base URLs, without a slash at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// The API.
    pub gateway: String,
    /// DynamoDB.
    pub dynamodb: String,
    /// SNS.
    pub sns: String,
    /// SQS.
    pub sqs: String,
    /// KMS.
    pub kms: String,
    /// S3.
    pub s3: String,
    /// Lambda's invoke API.
    pub lambda: String,
    /// Secrets Manager.
    pub secretsmanager: String,
    /// The OpenID issuer.
    pub issuer: String,
    /// The simulated platforms.
    pub platforms: String,
    /// The access key of every call. No service here checks it, but DynamoDB
    /// Local keeps a database for each.
    #[serde(default = "default_access_key")]
    pub access_key: String,
    /// Values of the template's parameters, in place of its defaults.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
}

/// The access key of a stack that has its database to itself.
pub(crate) fn default_access_key() -> String {
    "local".to_owned()
}

impl Addresses {
    /// The AWS services that functions call, by the names that the SDK has for
    /// them, and where each answers.
    pub(crate) fn services(&self) -> [(&'static str, String); 7] {
        [
            ("DYNAMODB", self.dynamodb.clone()),
            ("SNS", self.sns.clone()),
            ("SQS", self.sqs.clone()),
            ("KMS", self.kms.clone()),
            ("S3", self.s3.clone()),
            ("LAMBDA", self.lambda.clone()),
            ("SECRETS_MANAGER", self.secretsmanager.clone()),
        ]
    }
}
