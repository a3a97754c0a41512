//! Asking a platform whether a token lives that nothing refreshes now: because
//! somebody asked, or because a refusal is to be confirmed.

use shared::IntegrationKey;
use shared::aws::tables::Conflict;
use shared::aws::token_cipher::CipherError;
use shared::domain::integration::Integration;
use shared::domain::report::{AttemptRecord, SweepReport};
use shared::domain::verdict::Verdict;
use shared::oauth::Credentials;

use crate::CheckTokens;
use crate::process::{ProcessError, Tried, attempt_id};
use crate::sweep::Sweep;

impl CheckTokens {
    /// Asks, and takes the answer in; without a row in return it is in others' hands.
    pub(crate) async fn probe(
        &self,
        mut row: Integration,
        credentials: &Credentials,
        sweep: &Sweep<'_>,
        report: &mut SweepReport,
    ) -> Result<(Option<Integration>, Tried), ProcessError> {
        let key = IntegrationKey::from(&row);
        let is_awaited = row.probe_due_at(self.clock.now()).is_some();
        let (access, refresh) = (
            row.credential.access_token.as_ref(),
            row.credential.refresh_token.as_ref(),
        );
        let tokens = match self
            .open(&row, row.credential.generation, access, refresh)
            .await
        {
            Ok(Some(tokens)) => tokens,
            Ok(None) => return Ok((Some(row), Tried::Nothing)),
            Err(error) => {
                self.record_unopened(&row, &error).await;
                if is_awaited || matches!(error, CipherError::NotOpenable(_)) {
                    self.put_off(row, &error, sweep, report).await?;
                }
                return Err(error.into());
            }
        };
        let entry = AttemptRecord::at(&row, attempt_id());
        let began = self.clock.precise();
        let probing =
            self.oauth
                .probe(row.platform, credentials, &tokens, &row.permissions.granted);
        let Some(probed) = probing.await else {
            // Nor can it be asked about by the next sweep.
            if is_awaited {
                row.probed(
                    Err(&Verdict::AppMisconfigured),
                    false,
                    self.clock.now(),
                    1.0,
                );
                return Ok((self.store_probed(row, report).await?, Tried::Nothing));
            }
            return Ok((Some(row), Tried::Nothing));
        };
        let mut entry = entry.with(probed.came);
        entry.duration_ms = (self.clock.precise() - began).num_milliseconds();
        entry.platform_request_id = probed.request_id;
        let now = self.clock.now();
        let verdict = match probed.result {
            Ok(seen) => {
                sweep.doubt(row.platform, &seen).await;
                sweep.found_alive(&row).await;
                row.probed(Ok(&seen), true, now, rand::random());
                "alive"
            }
            Err(refused) => {
                entry.code.clone_from(&refused.code);
                // That the answer is about the application counts there; that this
                // token was refused stays what it is.
                let conclusive = sweep.weigh_probe(&row, &refused, &entry).await;
                row.probed(Err(&refused.verdict), conclusive, now, rand::random());
                row.note(&refused.verdict, refused.code.as_ref());
                refused.verdict.name()
            }
        };
        verdict.clone_into(&mut entry.verdict);
        entry.expires_at = row.expiry.access_token;
        let tried = Tried::asked(&entry);
        self.record_attempt(row.platform, key, entry).await;
        let row = self.store_probed(row, report).await?;
        Ok((row, tried))
    }

    async fn store_probed(
        &self,
        row: Integration,
        report: &mut SweepReport,
    ) -> Result<Option<Integration>, ProcessError> {
        match self.integrations.replace(row, self.clock.now()).await {
            Ok(row) => Ok(Some(row)),
            // Whoever wrote it knows more than we do.
            Err(Conflict::Lost(_)) => {
                report.conflicts += 1;
                Ok(None)
            }
            Err(Conflict::Failed(error)) => Err(error.into()),
        }
    }
}
