//! Where a command works and finds its configuration: a running local stack, or AWS as the
//! process's environment says.

use anyhow::{Context, bail};
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use check_tokens::CheckTokens;
use shared::aws::quota::Limiter;
#[cfg(feature = "local")]
use shared::aws::tables::NotificationsTable;
use shared::aws::tables::{AuditTable, IntegrationsTable, OrganizationsTable};
use shared::aws::token_cipher::TokenCipher;
use shared::domain::quota::Policies;
use shared::registration::import::Importer;
use shared::{Clock, Variables};

use crate::stack::{Environment, OR_LOCAL, StackArguments};

const CHECK_TOKENS: &str = "CheckTokensFunction";
const NOTIFY: &str = "NotifyFunction";
const API: &str = "ApiFunction";

/// The variables that commands need, and the outputs of the deployed stack with their values.
const OUTPUTS: [(&str, &str); 10] = [
    ("INTEGRATIONS_TABLE", "IntegrationsTableName"),
    ("ORGANIZATIONS_TABLE", "OrganizationsTableName"),
    ("NOTIFICATIONS_TABLE", "NotificationsTableName"),
    ("AUDIT_TABLE", "AuditTableName"),
    ("QUOTAS_TABLE", "QuotasTableName"),
    ("ALERTS_TOPIC_ARN", "AlertsTopicArn"),
    ("TOKEN_KEY_ID", "TokenKeyArn"),
    ("PLATFORM_SECRET_ID", "PlatformSecretArn"),
    ("CHECK_TOKENS_FUNCTION", "CheckTokensFunctionName"),
    ("FALLBACK_BUCKET", "FallbackBucketName"),
];

/// The SDK's configuration and the variables to go with it.
pub(crate) struct Target {
    sdk: SdkConfig,
    configuration: Configuration,
}

enum Configuration {
    Local(Environment),
    Aws(Variables),
}

impl Configuration {
    /// Returns the variables of a function; for AWS, those of this process.
    fn variables(&self, function: &str) -> Variables {
        match self {
            Self::Local(environment) => environment.variables(function),
            Self::Aws(variables) => variables.clone(),
        }
    }
}

/// Returns every platform's policy in the selected stack. Reads only configuration, and calls no
/// service.
pub(crate) fn policies(stack: &StackArguments) -> anyhow::Result<Policies> {
    let configuration = match stack.local_environment()? {
        Some(environment) => Configuration::Local(environment),
        None => Configuration::Aws(Variables::from_process()),
    };
    Ok(configuration
        .variables(API)
        .parsed("QUOTA_POLICIES", Policies::default())?)
}

impl Target {
    /// Returns the selected stack. In AWS, fails if a `needed` variable is not set.
    pub(crate) async fn from_arguments(
        stack: &StackArguments,
        needed: &[&str],
    ) -> anyhow::Result<Self> {
        if let Some(environment) = stack.local_environment()? {
            return Ok(Self::local(environment));
        }
        let variables = Variables::from_process();
        // Before the SDK goes looking for a region and credentials.
        missing(&variables, needed)?;
        let sdk = shared::aws::config::from_environment().await;
        if sdk.region().is_none() {
            bail!("no AWS region is configured: set AWS_REGION{OR_LOCAL}");
        }
        find_credentials(&sdk).await?;
        Ok(Self {
            sdk,
            configuration: Configuration::Aws(variables),
        })
    }

    pub(crate) fn local(environment: Environment) -> Self {
        Self {
            sdk: environment.sdk_config(),
            configuration: Configuration::Local(environment),
        }
    }

    pub(crate) const fn sdk(&self) -> &SdkConfig {
        &self.sdk
    }

    pub(crate) fn check_tokens_function(&self) -> anyhow::Result<String> {
        match &self.configuration {
            Configuration::Local(environment) => Ok(environment.function_name(CHECK_TOKENS)),
            Configuration::Aws(_) => self.variable("CHECK_TOKENS_FUNCTION"),
        }
    }

    pub(crate) const IMPORTER_NEEDS: [&str; 3] =
        ["INTEGRATIONS_TABLE", "ORGANIZATIONS_TABLE", "TOKEN_KEY_ID"];

    pub(crate) fn importer(&self, clock: Clock) -> anyhow::Result<Importer> {
        let kms = aws_sdk_kms::Client::new(&self.sdk);
        // A new table takes some thousand writes a second and throttles what is
        // beyond them: an import waits, where others fail and are run again.
        let patient = aws_sdk_dynamodb::config::Builder::from(&self.sdk)
            .retry_config(RetryConfig::standard().with_max_attempts(10))
            .build();
        let dynamodb = aws_sdk_dynamodb::Client::from_conf(patient);
        Ok(Importer {
            integrations: IntegrationsTable::new(
                dynamodb.clone(),
                self.variable("INTEGRATIONS_TABLE")?,
            ),
            organizations: OrganizationsTable::new(dynamodb, self.variable("ORGANIZATIONS_TABLE")?),
            sealer: TokenCipher::new(kms, self.variable("TOKEN_KEY_ID")?, clock.clone()),
            clock,
        })
    }

    pub(crate) const CHECK_TOKENS_NEEDS: [&str; 7] = [
        "INTEGRATIONS_TABLE",
        "AUDIT_TABLE",
        "QUOTAS_TABLE",
        "FALLBACK_BUCKET",
        "ALERTS_TOPIC_ARN",
        "TOKEN_KEY_ID",
        "PLATFORM_SECRET_ID",
    ];

    /// Sets up the function `check-tokens` in this process.
    pub(crate) async fn check_tokens(&self, clock: Clock) -> anyhow::Result<CheckTokens> {
        let variables = self.configuration.variables(CHECK_TOKENS);
        CheckTokens::from_environment(&self.sdk, &variables, clock)
            .context("the check could not be set up")
    }

    #[cfg(feature = "local")]
    pub(crate) fn integrations(&self) -> anyhow::Result<IntegrationsTable> {
        Ok(IntegrationsTable::new(
            self.dynamodb(),
            self.variable("INTEGRATIONS_TABLE")?,
        ))
    }

    #[cfg(feature = "local")]
    pub(crate) fn notifications(&self) -> anyhow::Result<NotificationsTable> {
        Ok(NotificationsTable::new(
            self.dynamodb(),
            self.variable("NOTIFICATIONS_TABLE")?,
        ))
    }

    pub(crate) const AUDIT_NEEDS: [&str; 1] = ["AUDIT_TABLE"];

    pub(crate) fn audit(&self, clock: Clock) -> anyhow::Result<AuditTable> {
        let table = self.variable("AUDIT_TABLE")?;
        Ok(AuditTable::new(self.dynamodb(), table, clock))
    }

    pub(crate) const LIMITER_NEEDS: [&str; 1] = ["QUOTAS_TABLE"];

    pub(crate) fn limiter(&self, clock: Clock) -> anyhow::Result<Limiter> {
        let variables = self.configuration.variables(API);
        Ok(Limiter::from_variables(self.dynamodb(), &variables, clock)?)
    }

    fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.sdk)
    }

    fn variable(&self, name: &str) -> anyhow::Result<String> {
        let value = match &self.configuration {
            // A table has one name, whichever function uses it.
            Configuration::Local(environment) => [CHECK_TOKENS, NOTIFY, API]
                .iter()
                .find_map(|function| Some(environment.variables(function).get(name)?.to_owned())),
            Configuration::Aws(variables) => {
                missing(variables, &[name])?;
                variables.get(name).map(str::to_owned)
            }
        };
        value.with_context(|| format!("the template does not set {name}"))
    }
}

/// Fails with what to do if there are no credentials. Without this, every call fails with a long
/// list of the places where the SDK looked.
async fn find_credentials(sdk: &SdkConfig) -> anyhow::Result<()> {
    let found = match sdk.credentials_provider() {
        Some(provider) => provider.provide_credentials().await,
        None => Err(CredentialsError::not_loaded_no_source()),
    };
    let none = format!("no AWS credentials: configure them{OR_LOCAL}");
    match found {
        Ok(_) => Ok(()),
        // Its cause is the list of those places.
        Err(CredentialsError::CredentialsNotLoaded(_)) => bail!(none),
        // Somebody's login has run out, or a machine's metadata refuse us.
        Err(error) => Err(error).context(none),
    }
}

/// Fails with what to do if any of `needed` is not set.
fn missing(variables: &Variables, needed: &[&str]) -> anyhow::Result<()> {
    let missing: Vec<String> = OUTPUTS
        .iter()
        .filter(|(name, _)| needed.contains(name) && variables.get(name).is_none())
        .map(|(name, output)| format!("{name} (output {output})"))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    bail!(
        "not set in the environment: {}; set what is missing to the outputs of your deployed \
         stack{OR_LOCAL}",
        missing.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_missing_variable_is_named_with_its_source() {
        let variables = [("AUDIT_TABLE".to_owned(), "audit".to_owned())];
        let variables = variables.into_iter().collect();
        let error = missing(&variables, &Target::CHECK_TOKENS_NEEDS).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("TOKEN_KEY_ID (output TokenKeyArn)"), "{text}");
        assert_eq!(text.contains("--local"), cfg!(feature = "local"), "{text}");
        assert!(!text.contains("AUDIT_TABLE"), "{text}");
        assert!(missing(&variables, &["AUDIT_TABLE"]).is_ok());
    }

    #[cfg(feature = "local")]
    #[test]
    fn every_output_is_one_of_the_templates() {
        let template: serde_yaml_ng::Value =
            serde_yaml_ng::from_str(local::template::EMBEDDED).unwrap();
        for (name, output) in OUTPUTS {
            assert!(
                template["Outputs"].get(output).is_some(),
                "{name}: {output}"
            );
        }
    }

    #[test]
    fn whatever_is_needed_has_an_output() {
        let needed = Target::CHECK_TOKENS_NEEDS
            .into_iter()
            .chain(Target::IMPORTER_NEEDS)
            .chain(Target::AUDIT_NEEDS)
            .chain(Target::LIMITER_NEEDS);
        for name in needed {
            assert!(OUTPUTS.iter().any(|(known, _)| *known == name), "{name}");
        }
    }
}
