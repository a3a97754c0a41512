//! Probes one integration: because a person asks for a check, because a refusal is to be
//! confirmed, or because nothing refreshes it.

use shared::IntegrationKey;
use shared::aws::token_cipher::CipherError;
use shared::domain::check_result::CheckResult;
use shared::domain::integration::Integration;
use shared::domain::report::{AttemptRecord, SweepReport};
use shared::domain::verdict::Verdict;
use shared::oauth::{OAuthClient, PlatformClients};
use shared::runtime::random_id;

use crate::attempt_log::answer_record;
use crate::opening::CredentialOpener;
use crate::run::Run;
use crate::stage::{ProcessError, Processed, StageEnd, replace_or_count};

#[derive(Debug, Clone)]
pub(crate) struct Prober {
    pub(crate) opener: CredentialOpener,
    pub(crate) oauth: OAuthClient,
}

impl Prober {
    /// Asks the platform whether the token lives, and stores the answer.
    pub(crate) async fn probe(
        &self,
        mut row: Integration,
        clients: &PlatformClients,
        run: &Run<'_>,
        report: &mut SweepReport,
    ) -> Result<StageEnd, ProcessError> {
        let clock = &self.opener.clock;
        let is_due = row.probe_due_at(clock.now()).is_some();
        let tokens = match self.opener.open_current(&row).await {
            Ok(Some(tokens)) => tokens,
            Ok(None) => return Ok(StageEnd::untried(row)),
            Err(error) => {
                self.opener.record_unopened(&row, &error).await;
                if is_due || matches!(error, CipherError::NotOpenable(_)) {
                    self.opener.back_off(row, &error, run, report).await?;
                }
                return Err(error.into());
            }
        };
        let began = clock.precise();
        let probing = self
            .oauth
            .probe(row.platform, clients, &tokens, &row.permissions.granted);
        let Some(probed) = probing.await else {
            if !is_due {
                return Ok(StageEnd::untried(row));
            }
            // Nor can the next sweep probe it.
            row.probed(Err(&Verdict::AppMisconfigured), false, clock.now(), 1.0);
            return Ok(StageEnd {
                row: replace_or_count(&self.opener.integrations, row, clock.now(), report).await?,
                processed: Processed::Untried,
                failure: None,
            });
        };
        let took = clock.precise() - began;
        let mut answer = answer_record(probed.summary, probed.request_id, took);
        let before = row.clone();
        let now = clock.now();
        let result = match probed.result {
            Ok(seen) => {
                run.report_implausible_ends(row.platform, &seen).await;
                run.observe_alive(&row).await;
                row.probed(Ok(&seen), true, now, rand::random());
                CheckResult::Alive
            }
            Err(refused) => {
                answer.code.clone_from(&refused.code);
                // That the answer is about the application counts there; that this
                // token was refused stays what it is.
                let conclusive = run.assess_probe(&row, &refused, &answer).await;
                row.probed(Err(&refused.verdict), conclusive, now, rand::random());
                row.record_error_code(&refused.verdict, refused.code.as_ref());
                CheckResult::from(&refused.verdict)
            }
        };
        let mut record = AttemptRecord::new(&before, random_id(), result, answer);
        record.access_expires_after = row.expiry.access_token;
        let key = IntegrationKey::from(&row);
        self.opener
            .attempts
            .record(row.platform, key, &record)
            .await;
        let stored_at = clock.now();
        Ok(StageEnd {
            row: replace_or_count(&self.opener.integrations, row, stored_at, report).await?,
            processed: Processed::Attempted(Box::new(record)),
            failure: None,
        })
    }
}
