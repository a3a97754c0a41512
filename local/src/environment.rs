//! What functions and commands are configured with: the template resolved
//! against the addresses of a running stack.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, ensure};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use serde_json::Value;
use shared::Variables;

use crate::addresses::Addresses;
use crate::template::{EMBEDDED, Inputs, Model, REGION, Template};
use crate::{openid, platforms};

/// No service here checks this secret access key.
const SECRET_KEY: &str = "local";

/// The template resolved against addresses. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Environment {
    model: Arc<Model>,
    endpoints: Endpoints,
    access_key: String,
    /// The URL of the guard in front of the services, if there is one.
    guard: Option<String>,
}

/// Maps each variable `AWS_ENDPOINT_URL_...` to its value.
#[derive(Debug, Clone)]
struct Endpoints(Arc<BTreeMap<String, String>>);

impl LoadServiceConfig for Endpoints {
    /// Returns what the SDK's own loader reads from the process's environment.
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let service = key.service_id().to_ascii_uppercase().replace(' ', "_");
        self.0.get(&format!("{}_{service}", key.env())).cloned()
    }
}

const ENDPOINTS: &str = "PlatformEndpoints";

/// Returns a JSON object with what another one gives laid over it.
fn laid_over(json: &str, given: &str) -> String {
    fn lay(below: &mut Value, above: Value) {
        match (below, above) {
            (Value::Object(below), Value::Object(above)) => {
                for (name, value) in above {
                    lay(below.entry(name).or_insert(Value::Null), value);
                }
            }
            (below, above) => *below = above,
        }
    }
    // Whoever reads what is no JSON says so.
    match (serde_json::from_str(json), serde_json::from_str(given)) {
        (Ok(mut below), Ok(above)) => {
            lay(&mut below, above);
            below.to_string()
        }
        _ => given.to_owned(),
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
            ("AuthAudience", openid::AUDIENCE),
            ("SignInClientId", openid::AUDIENCE),
            (ENDPOINTS, &endpoints),
        ];
        let template = Template::parse(EMBEDDED)?;
        for name in addresses.parameters.keys() {
            template.check_parameter(name)?;
        }
        let inputs = Inputs {
            parameters: parameters
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .chain(addresses.parameters.clone())
                .chain(addresses.parameters.get(ENDPOINTS).map(|given| {
                    // What it does not name stays on this machine.
                    (ENDPOINTS.to_owned(), laid_over(&endpoints, given))
                }))
                .collect(),
            sqs: addresses.sqs.clone(),
        };
        let endpoints = addresses
            .services()
            .map(|(service, url)| (format!("AWS_ENDPOINT_URL_{service}"), url));
        Ok(Self {
            model: Arc::new(template.resolve(&inputs)?),
            endpoints: Endpoints(Arc::new(endpoints.into())),
            access_key: addresses.access_key.clone(),
            guard: None,
        })
    }

    /// Puts a guard at `url` between the functions and the services.
    #[must_use]
    pub(crate) fn guarded(mut self, url: &str) -> Self {
        self.guard = Some(url.to_owned());
        self
    }

    /// Returns a function's environment as Lambda would set it. An unknown logical id
    /// gets only what all functions have.
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

    /// Returns the environment of all functions as lines `NAME='value'`, because what
    /// serves them elsewhere has one for all (`cargo lambda watch --env-file`).
    ///
    /// # Errors
    /// If two functions have different values of a variable, or such a file cannot
    /// hold a value.
    pub fn env_file(&self) -> anyhow::Result<String> {
        let given = [
            ("AWS_ACCESS_KEY_ID", self.access_key.as_str()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
            ("AWS_REGION", REGION),
        ];
        let own = self.model.functions.values().flat_map(|of| &of.variables);
        let own = own.chain(self.endpoints.0.as_ref());
        let own = own.map(|(name, value)| (name.as_str(), value.as_str()));
        let mut all = BTreeMap::from(given);
        for (name, value) in own {
            ensure!(
                *all.entry(name).or_insert(value) == value,
                "two functions have different values of {name}: they cannot share an environment"
            );
        }
        let lines = all.into_iter().map(|(name, value)| {
            let quoted = quoted(value).with_context(|| {
                format!("the value of {name} cannot be written to an environment file")
            })?;
            Ok(format!("{name}={quoted}\n"))
        });
        lines.collect()
    }

    /// Returns the SDK's configuration. Its clients find the endpoints by the same
    /// `AWS_ENDPOINT_URL_...` as in a process that has them set.
    #[must_use]
    pub fn sdk_config(&self) -> SdkConfig {
        self.sdk_config_with(self.endpoints.clone())
    }

    /// Returns the configuration for a function, which calls through the guard if there is one.
    #[must_use]
    pub fn sdk_config_of(&self, logical_id: &str) -> SdkConfig {
        let Some(guard) = &self.guard else {
            return self.sdk_config();
        };
        let past = |name: &String| {
            let service = name.trim_start_matches("AWS_ENDPOINT_URL_");
            // S3's client puts the bucket right behind it.
            let end = if service == "S3" { "/" } else { "" };
            (name.clone(), format!("{guard}/{logical_id}/{service}{end}"))
        };
        self.sdk_config_with(Endpoints(Arc::new(
            self.endpoints.0.keys().map(past).collect(),
        )))
    }

    fn sdk_config_with(&self, endpoints: Endpoints) -> SdkConfig {
        let credentials =
            Credentials::new(self.access_key.clone(), SECRET_KEY, None, None, "local");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::from_static(REGION))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .service_config(endpoints)
            .build()
    }

    /// Returns a function's name in AWS, or an empty text for an unknown logical id.
    #[must_use]
    pub fn function_name(&self, logical_id: &str) -> String {
        let function = self.model.functions.get(logical_id);
        function
            .map(|function| function.name.clone())
            .unwrap_or_default()
    }

    #[must_use]
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }
}

/// Quotes a value so that `cargo lambda` (crate env-file-reader, which only makes
/// `\n` a line break), dotenv and a shell all read it as it is. Returns `None` if
/// no quotes achieve that.
fn quoted(value: &str) -> Option<String> {
    let unsafe_in_any = value.contains(['\n', '\r', '\0']) || value.contains(r"\n");
    if unsafe_in_any {
        None
    } else if !value.contains('\'') {
        Some(format!("'{value}'"))
    } else if !value.contains(['"', '$', '`', '\\']) {
        Some(format!("\"{value}\""))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment {
        let at = |port: u16| format!("http://127.0.0.1:{port}");
        let addresses = Addresses {
            parameters: std::collections::BTreeMap::new(),
            gateway: at(1),
            dynamodb: at(2),
            sns: at(3),
            sqs: at(4),
            kms: at(5),
            s3: at(10),
            lambda: at(6),
            secretsmanager: at(7),
            issuer: at(8),
            platforms: at(9),
            access_key: "local".to_owned(),
        };
        Environment::new(&addresses).unwrap()
    }

    #[test]
    fn the_env_file_holds_what_every_function_needs() {
        let environment = environment();
        let text = environment.env_file().unwrap();
        let lines = text.lines().map(|line| line.split_once('=').unwrap());
        let read: BTreeMap<_, _> = lines
            .map(|(name, value)| (name, value.trim_matches('\'')))
            .collect();
        for function in environment.model().functions.values() {
            for (name, value) in &function.variables {
                assert_eq!(read[name.as_str()], value, "{name}");
            }
        }
        for (name, value) in [
            ("AWS_ACCESS_KEY_ID", "local"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
            ("AWS_REGION", REGION),
            ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:2"),
            ("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:10"),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://127.0.0.1:7"),
        ] {
            assert_eq!(read[name], value, "{name}");
        }
    }

    #[test]
    fn functions_that_cannot_share_an_environment_are_told_why() {
        let mut environment = environment();
        let model = Arc::make_mut(&mut environment.model);
        let api = model.functions.get_mut("ApiFunction").unwrap();
        api.variables
            .insert("INTEGRATIONS_TABLE".to_owned(), "another".to_owned());
        let error = environment.env_file().unwrap_err().to_string();
        assert!(error.contains("INTEGRATIONS_TABLE"), "{error}");
        assert!(!error.contains("another"), "{error}");
    }

    #[test]
    fn a_value_is_quoted_or_refused_but_never_changed() {
        for (value, in_quotes) in [
            ("", Some("''")),
            ("a b # = $HOME `x`", Some("'a b # = $HOME `x`'")),
            (r#"{"meta":"\"x\""}"#, Some(r#"'{"meta":"\"x\""}'"#)),
            ("it's", Some(r#""it's""#)),
            ("it's $5", None),
            ("two\nlines", None),
            (r"a\nb", None),
        ] {
            assert_eq!(quoted(value).as_deref(), in_quotes, "{value}");
        }
    }
}
