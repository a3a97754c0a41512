//! One integration, because somebody asked: refreshed now, due or not; probed
//! where nothing refreshes it; the answer in words.

use chrono::{DateTime, Utc};
use shared::IntegrationKey;
use shared::domain::error_code;
use shared::domain::integration::{Integration, State};
use shared::domain::platform_health::Availability;
use shared::domain::report::{Checked, SweepReport};
use shared::domain::time_left::{exactly, humanly};

use crate::process::{ProcessError, Tried, Trigger, told_to_wait};
use crate::sweep::Sweep;
use crate::{CheckTokens, Request, SweepError};

impl CheckTokens {
    /// Checks one integration now.
    ///
    /// # Errors
    /// [`SweepError`] when it could not be handled, or nobody knows how it ended.
    pub async fn check(
        &self,
        key: &IntegrationKey,
        deadline: Option<DateTime<Utc>>,
    ) -> Result<Checked, SweepError> {
        let credentials = self.credentials.read().await?;
        let sweep = self
            .begin_sweep(Request::default(), deadline, Some(&credentials))
            .await;
        let checked = self.check_one(key, &sweep).await;
        self.finish_sweep(sweep).await;
        checked.map_err(|error| SweepError::Integration(error.to_string()))
    }

    async fn check_one(
        &self,
        key: &IntegrationKey,
        sweep: &Sweep<'_>,
    ) -> Result<Checked, ProcessError> {
        let now = self.clock.now();
        let untried = |row, verdict| answer(key, row, verdict, None, Said::default(), now);
        let Some(row) = self.integrations.get(key).await? else {
            return Ok(untried(None, "not_found"));
        };
        if row.credential.access_token.is_none() {
            return Ok(untried(Some(&row), "disconnected"));
        }
        if row.is_leased(now) {
            return Ok(untried(Some(&row), "busy"));
        }
        if told_to_wait(&row, now) {
            return Ok(untried(Some(&row), "held_back"));
        }
        let mut report = SweepReport::default();
        let tried = self.handle_row(row, Trigger::Manual, sweep, &mut report);
        let mut came = None;
        let (verdict, attempt, held_until) = match tried.await? {
            Tried::Asked {
                verdict,
                code,
                attempt,
            } => {
                came = code;
                (verdict, Some(attempt), None)
            }
            Tried::HeldBack(Availability::HeldBack(until)) => {
                ("held_back".to_owned(), None, Some(until))
            }
            Tried::HeldBack(_) => ("breaker_open".to_owned(), None, None),
            Tried::Nothing => ("nothing_to_ask".to_owned(), None, None),
        };
        let row = self.integrations.get(key).await?;
        Ok(answer(
            key,
            row.as_ref(),
            &verdict,
            attempt,
            Said {
                code: came,
                held_until,
            },
            self.clock.now(),
        ))
    }
}

/// What the platform said, beside the verdict.
#[derive(Default)]
struct Said {
    /// What came, as a code.
    code: Option<String>,
    /// Until when all of us must wait.
    held_until: Option<DateTime<Utc>>,
}

fn answer(
    key: &IntegrationKey,
    row: Option<&Integration>,
    verdict: &str,
    attempt_id: Option<String>,
    said: Said,
    now: DateTime<Utc>,
) -> Checked {
    Checked {
        org_id: key.org_id.to_string(),
        integration_id: key.integration_id.to_string(),
        verdict: verdict.to_owned(),
        message: message(row, verdict, said, now),
        expires_at: row.and_then(|row| row.expiry.access_token),
        next_attempt_at: row.and_then(|row| row.next_attempt_at(now)),
        attempt_id,
    }
}

/// What happened, and what to do.
fn message(row: Option<&Integration>, verdict: &str, said: Said, now: DateTime<Utc>) -> String {
    let Some(row) = row else {
        return "There is no such integration.".to_owned();
    };
    let platform = row.platform.display_name();
    let next = row.next_attempt_at(now).map_or_else(String::new, |at| {
        let when = if at <= now {
            "within minutes".to_owned()
        } else {
            humanly(at, now)
        };
        format!(" It is tried again {when}.")
    });
    let life = row.expiry.access_token.map_or_else(String::new, |end| {
        format!("; its token ends {}", humanly(end, now))
    });
    if let State::ReconnectRequired { reason, .. } = row.state {
        return format!("The integration must be made anew: {reason}.");
    }
    if let State::PlatformActionRequired { action, .. } = row.state {
        return format!("{platform} waits for a person to act: {action}.");
    }
    let wait_until = match row.state {
        State::Retrying { wait_until, .. } => wait_until,
        _ => None,
    };
    let code = said.code.as_deref();
    let what = code.map_or_else(String::new, |code| {
        format!(" ({})", error_code::in_words(code))
    });
    let asks_to_wait = |until: DateTime<Utc>| {
        let until = exactly(until, now);
        format!("{platform} asks us to wait until {until}.")
    };
    match verdict {
        "renewed" | "recovered" => format!("Refreshed{life}."),
        "unchanged" => {
            format!("{platform} accepted the token and left its end as it was{life}.{next}")
        }
        "shortened" => format!(
            "{platform} accepted the token and gave one that ends sooner than the old one{life}.{next}"
        ),
        "alive" => format!("{platform} says that the token is alive{life}."),
        "busy" => "It is being refreshed right now; look again in a minute.".to_owned(),
        "held_back" | "throttled" => {
            match wait_until.or(said.held_until).filter(|until| *until > now) {
                Some(until) if said.held_until.is_some() => format!(
                    "{} It is tried again then, or once the platform accepts others.",
                    asks_to_wait(until)
                ),
                Some(until) => format!("{}{next}", asks_to_wait(until)),
                None => format!("{platform} asks us to wait.{next}"),
            }
        }
        "breaker_open" => format!(
            "{platform} refuses our application at the moment, so nothing was tried; whoever runs \
             this has been told. The integration stays as it is."
        ),
        "disconnected" => "It is disconnected; connect it anew to use it.".to_owned(),
        "nothing_to_ask" => format!(
            "{platform} has nothing to refresh here now, and no free way to ask about the token{life}."
        ),
        "reconnect_needed" => format!(
            "{platform} refuses the token{what}; a second refusal would confirm that it is dead.{next}"
        ),
        "in_doubt" if row.was_refused() => format!(
            "{platform} has refused the token{what}; a second refusal would confirm that it is lost.{next}"
        ),
        "in_doubt" => format!(
            "{platform} gave no clear answer{what}, so nobody knows yet whether it has replaced the \
             token.{next}"
        ),
        "app_misconfigured" => format!(
            "{platform} refuses our application; whoever runs this has been told. The integration \
             stays as it is."
        ),
        "unanswered" => format!(
            "{platform} did not say whether the token lives: what was asked is not for this \
             account. The integration stays as it is."
        ),
        "permission_lost" => {
            format!("{platform} says that a permission is missing; reconnect to grant it.")
        }
        "superseded" => "Somebody else changed it at the same moment; look again.".to_owned(),
        _ => format!(
            "Nothing came of it: {}.{next}",
            code.map_or_else(|| verdict.replace('_', " "), error_code::in_words)
        ),
    }
}
