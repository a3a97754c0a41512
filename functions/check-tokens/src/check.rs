//! One connection, because somebody asked: refreshed now, due or not; probed
//! where nothing refreshes it; the answer in words.

use chrono::{DateTime, Utc};
use shared::application::{Observation, Standing};
use shared::integration::{Integration, State};
use shared::lapse::humanly;
use shared::oauth::Credentials;
use shared::report::{Attempt as Entry, Checked, Report};
use shared::store::{Conflict, Key, Stream as AuditStream};
use shared::verdict::Verdict;
use tracing::warn;

use crate::attend::{AttendError, Tried, Why, told_to_wait};
use crate::sweep::Sweep;
use crate::{CheckTokens, Request, SweepError};

impl CheckTokens {
    /// Checks one connection now.
    ///
    /// # Errors
    /// [`SweepError`] when it could not be handled, or nobody knows how it ended.
    pub async fn check(
        &self,
        key: &Key,
        deadline: Option<DateTime<Utc>>,
    ) -> Result<Checked, SweepError> {
        let credentials = self.fetch_credentials().await?;
        let sweep = self
            .begin_sweep(Request::default(), deadline, Some(&credentials))
            .await;
        let checked = self.check_one(key, &credentials, &sweep).await;
        self.finish_sweep(sweep).await;
        checked.map_err(|error| SweepError::Connection(error.to_string()))
    }

    async fn check_one(
        &self,
        key: &Key,
        credentials: &Credentials,
        sweep: &Sweep<'_>,
    ) -> Result<Checked, AttendError> {
        let now = self.clock.now();
        let Some(row) = self.integrations.get(key).await? else {
            return Ok(answer(key, None, "not_found", None, now));
        };
        if row.access_token.is_none() {
            return Ok(answer(key, Some(&row), "disconnected", None, now));
        }
        if row.is_leased(now) {
            return Ok(answer(key, Some(&row), "busy", None, now));
        }
        if told_to_wait(&row, now) {
            return Ok(answer(key, Some(&row), "held_back", None, now));
        }
        let (verdict, attempt) = if row.is_refreshable(now) {
            let mut report = Report::default();
            match self.handle_row(row, Why::Asked, sweep, &mut report).await? {
                Tried::Refresh(verdict, attempt) => (verdict, Some(attempt)),
                Tried::HeldBack(Standing::Broken(_)) => ("breaker_open".to_owned(), None),
                Tried::HeldBack(_) => ("held_back".to_owned(), None),
                Tried::Nothing => ("nothing_to_ask".to_owned(), None),
            }
        } else {
            self.probe(row, credentials, sweep).await?
        };
        let row = self.integrations.get(key).await?;
        Ok(answer(
            key,
            row.as_ref(),
            &verdict,
            attempt,
            self.clock.now(),
        ))
    }

    /// Asks whether the access token lives, and takes the answer in.
    async fn probe(
        &self,
        mut row: Integration,
        credentials: &Credentials,
        sweep: &Sweep<'_>,
    ) -> Result<(String, Option<String>), AttendError> {
        let (access, refresh) = (row.access_token.as_ref(), row.refresh_token.as_ref());
        let Some(tokens) = self.open(&row, row.generation, access, refresh).await? else {
            return Ok(("disconnected".to_owned(), None));
        };
        let id = format!("{:016x}", rand::random::<u64>());
        let began = self.clock.precise();
        let _turn = self.turn(row.platform).await;
        let Some(probed) = self.oauth.probe(row.platform, credentials, &tokens).await else {
            return Ok(("nothing_to_ask".to_owned(), None));
        };
        let duration = self.clock.precise() - began;
        let now = self.clock.now();
        let key = Key::from(&row);
        let before = row.access_expires_at;
        let (verdict, code) = match probed {
            Ok(seen) => {
                row.see(&seen, now);
                ("alive", None)
            }
            Err(refused) => {
                let observation = Observation::Failure {
                    key: key.clone(),
                    verdict: refused.verdict.clone(),
                    had_worked: row.renewed_at.is_some(),
                    refused_since: None,
                };
                let taken = sweep.standings.observe(row.platform, observation).await;
                // Only evidence that it is dead changes anything: that a token
                // could not be asked about says nothing of it.
                if matches!(
                    refused.verdict,
                    Verdict::ReconnectNeeded(_) | Verdict::PlatformActionNeeded(_)
                ) {
                    row.fail(&refused.verdict, taken.conclusive, now, rand::random());
                }
                (refused.verdict.name(), refused.code)
            }
        };
        let entry = Entry {
            attempt_id: id.clone(),
            verdict: verdict.to_owned(),
            code,
            platform_request_id: None,
            duration_ms: duration.num_milliseconds(),
            expired_at: before,
            expires_at: row.access_expires_at,
        };
        if let Err(error) = self
            .audit
            .record(AuditStream::Attempts(key), &id, entry)
            .await
        {
            warn!(%error, "an attempt's audit row could not be written");
        }
        match self.integrations.replace(row, now).await {
            Ok(row) => {
                let mut report = Report::default();
                self.tell(row, sweep, &mut report).await?;
            }
            // Whoever wrote it knows more than we do.
            Err(Conflict::Lost(_)) => {}
            Err(Conflict::Failed(error)) => return Err(error.into()),
        }
        Ok((verdict.to_owned(), Some(id)))
    }
}

fn answer(
    key: &Key,
    row: Option<&Integration>,
    verdict: &str,
    attempt_id: Option<String>,
    now: DateTime<Utc>,
) -> Checked {
    Checked {
        org_id: key.org_id.to_string(),
        integration_id: key.integration_id.to_string(),
        verdict: verdict.to_owned(),
        message: message(row, verdict, now),
        expires_at: row.and_then(|row| row.access_expires_at),
        next_attempt_at: row.and_then(|row| row.refresh_due_at(now)),
        attempt_id,
    }
}

/// What happened, and what to do.
fn message(row: Option<&Integration>, verdict: &str, now: DateTime<Utc>) -> String {
    let Some(row) = row else {
        return "There is no such connection.".to_owned();
    };
    let platform = row.platform.display_name();
    let next = row.refresh_due_at(now).map_or_else(String::new, |at| {
        let when = if at <= now {
            "within minutes".to_owned()
        } else {
            humanly(at, now)
        };
        format!(" It is tried again {when}.")
    });
    let life = row.access_expires_at.map_or_else(String::new, |end| {
        format!("; its token ends {}", humanly(end, now))
    });
    if let State::ReconnectRequired { reason, .. } = row.state {
        return format!("The connection must be made anew: {reason}.");
    }
    if let State::PlatformActionRequired { action, .. } = row.state {
        return format!("{platform} waits for the account's owner: {action}.");
    }
    match verdict {
        "renewed" | "recovered" => format!("Refreshed{life}."),
        "unchanged" => format!("{platform} accepted the token and left its end as it was{life}."),
        "alive" => format!("{platform} says that the token is alive{life}."),
        "busy" => "It is being refreshed right now; look again in a minute.".to_owned(),
        "held_back" => format!("{platform} asked us to wait.{next}"),
        "breaker_open" => format!(
            "{platform} refuses our application at the moment, so nothing was tried; whoever runs \
             this has been told. The connection stays as it is."
        ),
        "disconnected" => "It is disconnected; connect it anew to use it.".to_owned(),
        "nothing_to_ask" => format!(
            "{platform} has nothing to refresh here now, and no free way to ask about the token{life}."
        ),
        "in_doubt" => format!("{platform} gave no clear answer.{next}"),
        "app_misconfigured" => format!(
            "{platform} refuses our application; whoever runs this has been told. The connection \
             stays as it is."
        ),
        "permission_lost" => {
            format!("{platform} says that a permission is missing; reconnect to grant it.")
        }
        "superseded" => "Somebody else changed it at the same moment; look again.".to_owned(),
        _ => format!(
            "It could not be refreshed now ({}).{next}",
            verdict.replace('_', " ")
        ),
    }
}
