//! The addresses of a running stack, as `local.json` holds them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Holds base URLs without a slash at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    pub gateway: String,
    pub dynamodb: String,
    pub sns: String,
    pub sqs: String,
    pub kms: String,
    pub s3: String,
    /// Serves Lambda's invoke API.
    pub lambda: String,
    pub secretsmanager: String,
    pub issuer: String,
    pub platforms: String,
    /// Every call uses this access key. No service here checks it, but DynamoDB
    /// Local keeps a database for each.
    #[serde(default = "default_access_key")]
    pub access_key: String,
    /// Overrides the defaults of the template's parameters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
}

/// Returns the access key of a stack that has its database to itself.
pub(crate) fn default_access_key() -> String {
    "local".to_owned()
}

impl Addresses {
    /// Returns the AWS services that functions call, by the SDK's names for them,
    /// with the address of each.
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
