//! What the handlers work with.

use shared::aws::check_tokens::CheckTokensClient;
use shared::aws::quota::Limiter;
use shared::aws::tables::{
    Action, AuditStream, AuditTable, IntegrationsTable, MemberAction, MembershipChange,
    NotificationsTable, OrganizationsTable, UsageTable,
};
use shared::aws::token_cipher::TokenCipher;
use shared::runtime::random_id;
use shared::runtime::variables::InvalidVariable;
use shared::{Clock, IntegrationKey, OrgId, Variables};

use tower_http::cors::CorsLayer;

use crate::cors;
use crate::sign_in::Provider;
use edge::member::Member;

/// The tables, clients and settings of the function. Cheap to clone.
#[derive(Debug, Clone)]
pub struct App {
    pub(crate) integrations: IntegrationsTable,
    pub(crate) organizations: OrganizationsTable,
    pub(crate) notifications: NotificationsTable,
    pub(crate) audit: AuditTable,
    pub(crate) limiter: Limiter,
    pub(crate) usage: UsageTable,
    /// Only seals: nothing in this function may open a token.
    pub(crate) sealer: TokenCipher,
    pub(crate) check_tokens: CheckTokensClient,
    /// Where the page signs people in.
    pub(crate) sign_in: Provider,
    /// Which pages of other origins may call.
    pub(crate) cors: Option<CorsLayer>,
    pub(crate) clock: Clock,
}

impl App {
    /// Reads `INTEGRATIONS_TABLE`, `ORGANIZATIONS_TABLE`, `NOTIFICATIONS_TABLE`, `AUDIT_TABLE`,
    /// `QUOTAS_TABLE`, `TOKEN_KEY_ID`, `CHECK_TOKENS_FUNCTION`, `AUTH_ISSUER`, and optionally
    /// `SIGN_IN_PARAMETERS` (of authorization requests), `QUOTA_POLICIES` (the authorizer's) and
    /// `ALLOWED_ORIGINS` (of pages that may call). By which client people sign in, each request
    /// says by its stage's variable `sign_in_client_id`.
    ///
    /// # Errors
    /// [`InvalidVariable`] names the variable that is missing or unusable.
    pub fn from_environment(
        sdk: &aws_config::SdkConfig,
        variables: &Variables,
        clock: Clock,
    ) -> Result<Self, InvalidVariable> {
        let dynamodb = aws_sdk_dynamodb::Client::new(sdk);
        Ok(Self {
            integrations: IntegrationsTable::new(
                dynamodb.clone(),
                variables.required("INTEGRATIONS_TABLE")?,
            ),
            organizations: OrganizationsTable::new(
                dynamodb.clone(),
                variables.required("ORGANIZATIONS_TABLE")?,
            ),
            notifications: NotificationsTable::new(
                dynamodb.clone(),
                variables.required("NOTIFICATIONS_TABLE")?,
            ),
            audit: AuditTable::new(
                dynamodb.clone(),
                variables.required("AUDIT_TABLE")?,
                clock.clone(),
            ),
            limiter: Limiter::from_variables(dynamodb.clone(), variables, clock.clone())?,
            usage: UsageTable::new(dynamodb, variables.required("QUOTAS_TABLE")?),
            sealer: TokenCipher::new(
                aws_sdk_kms::Client::new(sdk),
                variables.required("TOKEN_KEY_ID")?,
                clock.clone(),
            ),
            check_tokens: CheckTokensClient::new(sdk, variables.required("CHECK_TOKENS_FUNCTION")?),
            sign_in: Provider::from_variables(variables, &clock)?,
            cors: cors::from_variables(variables)?,
            clock,
        })
    }

    /// Records an action that `member` has completed; a failure to record it is
    /// logged and does not undo the action.
    pub(crate) async fn record(&self, member: &Member, key: IntegrationKey, action: Action) {
        let by = member.user().clone();
        if let Err(error) = self
            .audit
            .record_action(key, MemberAction { action, by })
            .await
        {
            tracing::error!(%error, ?action, "the audit row of an action could not be written");
        }
    }

    /// Records a change of members that is completed; a failure to record it is logged and does
    /// not undo the change.
    pub(crate) async fn record_change(&self, org: &OrgId, change: MembershipChange) {
        let stream = AuditStream::Members(org.clone());
        let recorded = self.audit.record(stream, &random_id(), &change).await;
        if let Err(error) = recorded {
            tracing::error!(%error, ?change, "the audit row of a change of members could not be written");
        }
    }
}
