//! Permits, access tokens and feedback together, wired from variables.

use super::access_token::AccessTokens;
use super::feedback::Feedback;
use crate::aws::check_tokens::CheckTokensClient;
use crate::aws::quota::Limiter;
use crate::aws::tables::{AuditTable, IntegrationsTable, UsageTable};
use crate::aws::token_cipher::TokenCipher;
use crate::runtime::metrics::Metrics;
use crate::runtime::variables::InvalidVariable;
use crate::{Clock, Variables};

/// Permits, access tokens and feedback, on the tables. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PlatformCalls {
    pub limiter: Limiter,
    pub tokens: AccessTokens,
    pub feedback: Feedback,
    pub clock: Clock,
}

impl PlatformCalls {
    /// Reads `INTEGRATIONS_TABLE`, `AUDIT_TABLE`, `QUOTAS_TABLE`, `TOKEN_KEY_ID`,
    /// `CHECK_TOKENS_FUNCTION`, and optionally `QUOTA_POLICIES` (the authorizer's).
    ///
    /// # Errors
    /// [`InvalidVariable`] names the variable that is missing or unusable.
    pub fn from_environment(
        sdk: &aws_config::SdkConfig,
        variables: &Variables,
        clock: Clock,
    ) -> Result<Self, InvalidVariable> {
        let dynamodb = aws_sdk_dynamodb::Client::new(sdk);
        let limiter = Limiter::from_variables(dynamodb.clone(), variables, clock.clone())?;
        let table = variables.required("INTEGRATIONS_TABLE")?;
        let integrations = IntegrationsTable::new(dynamodb.clone(), table);
        let table = variables.required("AUDIT_TABLE")?;
        let audit = AuditTable::new(dynamodb.clone(), table, clock.clone());
        let usage = UsageTable::new(dynamodb, variables.required("QUOTAS_TABLE")?);
        let key = variables.required("TOKEN_KEY_ID")?;
        let cipher = TokenCipher::new(aws_sdk_kms::Client::new(sdk), key, clock.clone());
        let function = variables.required("CHECK_TOKENS_FUNCTION")?;
        let check_tokens = CheckTokensClient::new(sdk, function);
        Ok(Self {
            tokens: AccessTokens::new(
                integrations,
                cipher,
                check_tokens.clone(),
                audit,
                clock.clone(),
            ),
            feedback: Feedback::new(limiter.clone(), usage, check_tokens, clock.clone()),
            limiter,
            clock,
        })
    }

    /// Writes metrics to `metrics`; otherwise they go nowhere.
    #[must_use]
    pub fn with_metrics(mut self, metrics: &Metrics) -> Self {
        self.tokens = self.tokens.with_metrics(metrics.clone());
        self.feedback = self.feedback.with_metrics(metrics.clone());
        self
    }
}
