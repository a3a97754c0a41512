//! Checks one integration on a person's request: refreshes it even before it is due, or probes
//! it where nothing refreshes it. Answers in words.

use chrono::{DateTime, Utc};
use shared::IntegrationKey;
use shared::domain::check_result::CheckResult;
use shared::domain::error_code;
use shared::domain::integration::{Integration, State};
use shared::domain::platform_health::Availability;
use shared::domain::report::{Checked, SweepReport};
use shared::domain::state_message::{self, AGAIN_WITH_ALL_OTHERS};
use shared::domain::time_left::humanly;

use crate::decide::{self, Trigger};
use crate::error::SweepError;
use crate::request::Request;
use crate::run::Run;
use crate::stage::{ProcessError, Processed};
use crate::sweep::Pipeline;

pub(crate) async fn check(
    pipeline: &Pipeline,
    key: &IntegrationKey,
    generation: Option<u64>,
    deadline: Option<DateTime<Utc>>,
) -> Result<Checked, SweepError> {
    let clients = pipeline.secret.clients().await?;
    let run = Run::begin(
        Request::default(),
        deadline,
        Some(&clients),
        &pipeline.platform_health,
        &pipeline.clock,
    )
    .await;
    let checked = check_row(pipeline, key, generation, &run).await;
    pipeline.finish(run).await;
    checked.map_err(|error| SweepError::Integration(error.to_string()))
}

async fn check_row(
    pipeline: &Pipeline,
    key: &IntegrationKey,
    generation: Option<u64>,
    run: &Run<'_>,
) -> Result<Checked, ProcessError> {
    let now = pipeline.clock.now();
    let unasked = |row, result| answer(key, row, result, Findings::default(), now);
    let Some(row) = pipeline.integrations.get(key).await? else {
        return Ok(unasked(None, CheckResult::NotFound));
    };
    // Others were quicker: who asks for a new token looks at theirs.
    let is_late = |wanted| wanted != row.credential.generation || row.has_just_failed(now);
    if generation.is_some_and(is_late) {
        return Ok(unasked(Some(&row), CheckResult::Superseded));
    }
    if let Some(obstacle) = decide::obstacle_to_check(&row, now) {
        return Ok(unasked(Some(&row), obstacle));
    }
    let mut report = SweepReport::default();
    let _slot = pipeline.limiter.acquire(row.platform).await;
    let processed = pipeline.process_row(row, Trigger::Manual, run, &mut report);
    let mut findings = Findings::default();
    let result = match processed.await? {
        Processed::Attempted(attempt) => {
            findings.attempt_id = Some(attempt.attempt_id);
            findings.code = attempt.answer.code;
            attempt.result
        }
        Processed::HeldBack(Availability::HeldBack(until)) => {
            findings.held_until = Some(until);
            CheckResult::HeldBack
        }
        Processed::HeldBack(_) => CheckResult::BreakerOpen,
        Processed::Untried => CheckResult::NothingToCheck,
    };
    let row = pipeline.integrations.get(key).await?;
    let now = pipeline.clock.now();
    Ok(answer(key, row.as_ref(), result, findings, now))
}

/// What a check finds beside its result.
#[derive(Default)]
struct Findings {
    attempt_id: Option<String>,
    /// The platform's error code, or what stood in its place.
    code: Option<String>,
    /// Until when all integrations of the platform must wait.
    held_until: Option<DateTime<Utc>>,
}

fn answer(
    key: &IntegrationKey,
    row: Option<&Integration>,
    result: CheckResult,
    findings: Findings,
    now: DateTime<Utc>,
) -> Checked {
    Checked {
        org_id: key.org_id.to_string(),
        integration_id: key.integration_id.to_string(),
        result,
        message: message(row, result, &findings, now),
        access_expires_at: row.and_then(|row| row.expiry.access_token),
        next_attempt_at: row.and_then(|row| row.next_attempt_at(now)),
        attempt_id: findings.attempt_id,
    }
}

/// Says what happened, and what to do.
fn message(
    row: Option<&Integration>,
    result: CheckResult,
    findings: &Findings,
    now: DateTime<Utc>,
) -> String {
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
        return format!("The account must be reconnected: {reason}.");
    }
    if let State::PlatformActionRequired { action, .. } = row.state {
        return format!("{platform} waits for a person to act: {action}.");
    }
    let wait_until = match row.state {
        State::Retrying { wait_until, .. } => wait_until,
        _ => None,
    };
    let code = findings.code.as_deref();
    let reason = code.map_or_else(String::new, |code| {
        format!(" ({})", error_code::in_words(code))
    });
    let asks_to_wait = |until| state_message::asks_to_wait(platform, until, now);
    match result {
        CheckResult::Renewed | CheckResult::StoredFromFallback => format!("Refreshed{life}."),
        CheckResult::Unchanged => {
            format!("{platform} accepted the token and left its end as it was{life}.{next}")
        }
        CheckResult::Shortened => format!(
            "{platform} accepted the token and gave one that ends sooner than the old one{life}.{next}"
        ),
        CheckResult::Alive => format!("{platform} says that the token is alive{life}."),
        CheckResult::Busy => "It is being refreshed right now; look again in a minute.".to_owned(),
        CheckResult::HeldBack | CheckResult::Throttled => {
            match wait_until
                .or(findings.held_until)
                .filter(|until| *until > now)
            {
                Some(until) if findings.held_until.is_some() => {
                    format!("{} {AGAIN_WITH_ALL_OTHERS}", asks_to_wait(until))
                }
                Some(until) => format!("{}{next}", asks_to_wait(until)),
                None => format!("{platform} asks us to wait.{next}"),
            }
        }
        CheckResult::BreakerOpen => format!(
            "{platform} refuses our application at the moment, so nothing was tried; the \
             operator has been told. The integration stays as it is."
        ),
        CheckResult::Disconnected => {
            "It is disconnected; reconnect the account to use it.".to_owned()
        }
        CheckResult::NothingToCheck => format!(
            "{platform} has nothing to refresh here now, and no free way to ask about the token{life}."
        ),
        CheckResult::ReconnectNeeded => format!(
            "{platform} refuses the token{reason}; a second refusal would confirm that it is dead.{next}"
        ),
        CheckResult::InDoubt if row.was_refused() => format!(
            "{platform} has refused the token{reason}; a second refusal would confirm that it is lost.{next}"
        ),
        CheckResult::InDoubt => state_message::gave_no_clear_answer(platform, &reason) + &next,
        CheckResult::AppMisconfigured => format!(
            "{platform} refuses our application; the operator has been told. The integration \
             stays as it is."
        ),
        CheckResult::ProbeNotApplicable => format!(
            "{platform} did not say whether the token lives: what was asked is not for this \
             account. The integration stays as it is."
        ),
        CheckResult::PermissionLost => {
            format!("{platform} says that a permission is missing; reconnect to grant it.")
        }
        CheckResult::Superseded => {
            "Somebody else changed it at the same moment; look again.".to_owned()
        }
        _ => format!(
            "Nothing came of it: {}.{next}",
            code.map_or_else(|| result.to_string(), error_code::in_words)
        ),
    }
}
