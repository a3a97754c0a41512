//! Opens sealed credentials, and records it when one does not open.

use shared::aws::tables::IntegrationsTable;
use shared::aws::token_cipher::{CipherError, EncryptionContext, SealedField, TokenCipher};
use shared::domain::check_result::CheckResult;
use shared::domain::integration::{Integration, Sealed};
use shared::domain::report::{AnswerRecord, AttemptRecord, SweepReport};
use shared::domain::verdict::{Transient, Verdict};
use shared::oauth::Tokens;
use shared::runtime::random_id;
use shared::{Clock, IntegrationKey};

use crate::attempt_log::AttemptLog;
use crate::operator_events::OperatorEvent;
use crate::run::Run;
use crate::stage::{ProcessError, replace_or_count};

/// The verdict for a credential whose key is not available.
const DECRYPTION_FAILED: Verdict = Verdict::Transient(Transient::DecryptionFailed);

#[derive(Debug, Clone)]
pub(crate) struct CredentialOpener {
    pub(crate) cipher: TokenCipher,
    pub(crate) integrations: IntegrationsTable,
    pub(crate) attempts: AttemptLog,
    pub(crate) clock: Clock,
}

impl CredentialOpener {
    /// Opens the row's own credential; `None` if it has none.
    pub(crate) async fn open_current(
        &self,
        row: &Integration,
    ) -> Result<Option<Tokens>, CipherError> {
        let credential = &row.credential;
        let Some(access) = &credential.access_token else {
            return Ok(None);
        };
        let refresh = credential.refresh_token.as_ref();
        self.open(row, credential.generation, access, refresh)
            .await
            .map(Some)
    }

    /// Opens a credential of this row that was sealed for `generation`.
    pub(crate) async fn open(
        &self,
        row: &Integration,
        generation: u64,
        access: &Sealed,
        refresh: Option<&Sealed>,
    ) -> Result<Tokens, CipherError> {
        let context = |field| encryption_context(row, field, generation);
        let access_token = self
            .cipher
            .open(context(SealedField::AccessToken), access)
            .await?;
        let refresh_token = match refresh {
            Some(sealed) => Some(
                self.cipher
                    .open(context(SealedField::RefreshToken), sealed)
                    .await?,
            ),
            None => None,
        };
        Ok(Tokens {
            access_token,
            refresh_token,
        })
    }

    /// Records an attempt that could not begin, because the credential did not open.
    pub(crate) async fn record_unopened(&self, row: &Integration, error: &CipherError) {
        let result = match error {
            CipherError::NotOpenable(_) => CheckResult::CredentialDamaged,
            _ => CheckResult::DecryptionFailed,
        };
        let attempt = AttemptRecord::new(row, random_id(), result, AnswerRecord::default());
        let key = IntegrationKey::from(row);
        self.attempts.record(row.platform, key, &attempt).await;
    }

    /// Backs off as if the platform had failed, so that people hear of a credential that cannot be
    /// opened or sealed before it expires. A damaged one never opens: they hear at once.
    ///
    /// Returns the row as it is now, unless another process has written it.
    pub(crate) async fn back_off(
        &self,
        mut row: Integration,
        error: &CipherError,
        run: &Run<'_>,
        report: &mut SweepReport,
    ) -> Result<Option<Integration>, ProcessError> {
        let now = self.clock.now();
        let damaged = matches!(error, CipherError::NotOpenable(_));
        if damaged {
            row.mark_credential_damaged(now);
        } else if row.is_in_doubt() {
            row.mark_in_doubt(&DECRYPTION_FAILED, true, now, rand::random());
        } else {
            row.fail(&DECRYPTION_FAILED, true, now, rand::random());
        }
        let stored = replace_or_count(&self.integrations, row, now, report).await?;
        if let Some(row) = stored.as_ref().filter(|_| damaged) {
            let key = IntegrationKey::from(row);
            let event = OperatorEvent::credential_damaged(&key, &error.to_string());
            run.operator_events.add(event);
        }
        Ok(stored)
    }
}

pub(crate) fn encryption_context(
    row: &Integration,
    field: SealedField,
    generation: u64,
) -> EncryptionContext<'_> {
    EncryptionContext {
        org_id: &row.org_id,
        integration_id: &row.integration_id,
        field,
        generation,
    }
}
