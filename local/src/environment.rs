//! What functions and commands are configured with: the template resolved
//! against the addresses of a running stack.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use shared::Variables;

use crate::addresses::Addresses;
use crate::template::{EMBEDDED, Inputs, Model, REGION, Template};
use crate::{issuer, platforms};

/// The template resolved against addresses. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Environment {
    model: Arc<Model>,
    endpoints: Endpoints,
}

/// `AWS_ENDPOINT_URL_...` and their values.
#[derive(Debug, Clone)]
struct Endpoints(Arc<BTreeMap<String, String>>);

impl LoadServiceConfig for Endpoints {
    /// What the SDK's own loader reads from the process's environment.
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let service = key.service_id().to_ascii_uppercase().replace(' ', "_");
        self.0.get(&format!("{}_{service}", key.env())).cloned()
    }
}

impl Environment {
    /// Resolves the template that this crate carries.
    ///
    /// # Errors
    /// If the template holds something that cannot be run here.
    pub fn new(addresses: &Addresses) -> anyhow::Result<Self> {
        let endpoints = platforms::endpoints(&addresses.platforms).to_string();
        let parameters = [
            ("AuthIssuer", addresses.issuer.as_str()),
            ("AuthAudience", issuer::AUDIENCE),
            ("PlatformEndpoints", &endpoints),
        ];
        let inputs = Inputs {
            parameters: parameters
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            sqs: addresses.sqs.clone(),
        };
        let endpoints = [
            ("DYNAMODB", &addresses.dynamodb),
            ("SNS", &addresses.sns),
            ("SQS", &addresses.sqs),
            ("KMS", &addresses.kms),
            ("LAMBDA", &addresses.lambda),
            ("SECRETS_MANAGER", &addresses.secretsmanager),
        ];
        let endpoints =
            endpoints.map(|(service, url)| (format!("AWS_ENDPOINT_URL_{service}"), url.clone()));
        Ok(Self {
            model: Arc::new(Template::parse(EMBEDDED)?.resolve(&inputs)?),
            endpoints: Endpoints(Arc::new(endpoints.into())),
        })
    }

    /// The environment of a function, by its logical id, as Lambda would set
    /// it; without a function of that name, only what all have.
    #[must_use]
    pub fn variables(&self, logical_id: &str) -> Variables {
        let own = self.model.functions.get(logical_id);
        let own = own
            .into_iter()
            .flat_map(|function| function.variables.clone());
        own.chain([("AWS_REGION".to_owned(), REGION.to_owned())])
            .chain(self.endpoints.0.as_ref().clone())
            .collect()
    }

    /// The SDK's configuration: clients made from it find the endpoints by the
    /// same `AWS_ENDPOINT_URL_...` as in a process that has them set.
    #[must_use]
    pub fn sdk_config(&self) -> SdkConfig {
        let credentials = Credentials::new("local", "local", None, None, "local");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::from_static(REGION))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .service_config(self.endpoints.clone())
            .build()
    }

    /// A function's name in AWS, by its logical id; empty if there is none.
    #[must_use]
    pub fn function_name(&self, logical_id: &str) -> String {
        let function = self.model.functions.get(logical_id);
        function
            .map(|function| function.name.clone())
            .unwrap_or_default()
    }

    /// The template as it was resolved.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }
}
