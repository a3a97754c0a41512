//! Where a running stack answers: what `local.json` holds.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use crate::data_dir::{self, ADDRESSES};

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
    /// The access key that everything is called with. Nobody checks it, but
    /// DynamoDB Local keeps a database of its own for each.
    #[serde(default = "access_key")]
    pub access_key: String,
    /// Values of the template's parameters that were asked for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
}

/// The access key of a stack that has its database to itself.
pub(crate) fn access_key() -> String {
    "local".to_owned()
}

impl Addresses {
    /// The addresses of the stack that runs in `data_dir`.
    ///
    /// # Errors
    /// If none runs there, or its file cannot be read.
    pub fn read(data_dir: &Path) -> anyhow::Result<Self> {
        let file = data_dir.join(ADDRESSES);
        if !file.exists() || !data_dir::in_use(data_dir) {
            bail!(
                "no local stack is running in {}; start one with `warden local`, or name its \
                 directory with --data-dir",
                data_dir.display()
            );
        }
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is damaged", file.display()))
    }
}
