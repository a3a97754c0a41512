//! What must hold of every row that renewals, failures, doubts, probes and
//! people can lead to. A failing sequence is shortened before it is shown.

use chrono::{DateTime, TimeDelta, Utc};

use crate::Platform;
use crate::domain::alert_policy::AlertPolicy;
use crate::domain::integration::{Integration, Intent, Lease, Sealed, State};
use crate::domain::refresh::attempt::LEASE;
use crate::domain::refresh::{Ends, Lifetimes, ProbeResult, Renewed};
use crate::domain::schedule::tests::{at, integration};
use crate::domain::severity::{Severity, WarningWindow};
use crate::domain::verdict::{PlatformAction, ReconnectReason, Throttled, Transient, Verdict};
use crate::platforms::catalog::RefreshModel;

use super::random::Random;

const SEQUENCES: u64 = 3_000;

#[derive(Debug, Clone)]
enum Operation {
    Renew(Lifetimes),
    Fail(Verdict, bool, f64),
    Doubt(Verdict, bool, f64),
    LoseRotation(Option<Result<ProbeResult, Verdict>>),
    See(ProbeResult),
    SeeExtended(ProbeResult),
    Probe(Result<ProbeResult, Verdict>, bool, f64),
    Disconnect,
    Reconnect,
    Claim,
    Release(bool, f64),
    Damage,
    Tell,
}

/// Where it begins, and what happens after which pause.
#[derive(Debug, Clone)]
struct Sequence {
    platform: Platform,
    has_refresh_token: bool,
    ends: Option<i64>,
    operations: Vec<(TimeDelta, Operation)>,
}

fn sequence(chance: &mut Random) -> Sequence {
    let operations = (0..1 + chance.below(12)).map(|_| (pause(chance), operation(chance)));
    Sequence {
        operations: operations.collect(),
        platform: chance.pick(&Platform::ALL),
        has_refresh_token: chance.percent(70),
        ends: chance
            .percent(90)
            .then(|| chance.millis(-100_000, 6_000_000).num_milliseconds()),
    }
}

/// From seconds to months.
fn pause(chance: &mut Random) -> TimeDelta {
    let most = chance.pick(&[1, 60, 3_600, 86_400, 40 * 86_400]);
    TimeDelta::seconds(chance.millis(0, most).num_milliseconds())
}

fn operation(chance: &mut Random) -> Operation {
    let jitter = chance.unit();
    match chance.below(17) {
        0..3 => Operation::Renew(Lifetimes {
            access: chance.percent(80).then(|| pause(chance)),
            refresh: chance.percent(40).then(|| pause(chance)),
            scopes: scopes(chance),
        }),
        3..5 => Operation::Fail(verdict(chance), chance.percent(80), jitter),
        5 => Operation::Doubt(verdict(chance), chance.percent(80), jitter),
        6 => Operation::LoseRotation(match chance.below(3) {
            0 => None,
            1 => Some(Err(verdict(chance))),
            _ => Some(Ok(seen(chance))),
        }),
        7 => Operation::See(seen(chance)),
        8 => Operation::Disconnect,
        9 => Operation::Reconnect,
        10 => Operation::Claim,
        11 => Operation::Release(chance.percent(50), jitter),
        12 => Operation::Tell,
        13 => Operation::SeeExtended(seen(chance)),
        14 => Operation::Probe(Ok(seen(chance)), true, jitter),
        15 => Operation::Probe(Err(verdict(chance)), chance.percent(80), jitter),
        _ if chance.percent(20) => Operation::Damage,
        _ => Operation::Tell,
    }
}

fn scopes(chance: &mut Random) -> Vec<String> {
    let all = ["read", "write"].map(str::to_owned);
    all[..chance.below(3)].to_vec()
}

fn seen(chance: &mut Random) -> ProbeResult {
    let mut instant = || {
        let after = pause(chance);
        match chance.below(10) {
            0..6 => Ends::At(at(0) + after),
            6 => Ends::Never,
            _ => Ends::NotSaid,
        }
    };
    ProbeResult {
        access: instant(),
        data_access: instant(),
        scopes: scopes(chance),
    }
}

fn verdict(chance: &mut Random) -> Verdict {
    match chance.below(7) {
        0 => Verdict::Transient(Transient::NoAnswer),
        1 => Verdict::Throttled {
            wait: chance.percent(50).then(|| pause(chance)),
            whom: Throttled::Integration,
        },
        2 | 3 => Verdict::ReconnectNeeded(
            chance.pick(&[ReconnectReason::GrantRefused, ReconnectReason::Revoked]),
        ),
        4 => Verdict::PlatformActionNeeded(PlatformAction::LogIn),
        5 => Verdict::PermissionLost(scopes(chance)),
        _ => Verdict::AppMisconfigured,
    }
}

impl Operation {
    /// Only what can happen to such a row does.
    fn apply(&self, row: &mut Integration, now: DateTime<Utc>) {
        let has_tokens = row.credential.access_token.is_some();
        match self {
            Self::Reconnect => {
                let before = row.clone();
                row.credential.generation += 1;
                row.credential.grant += 1;
                row.credential.granted_at = now;
                row.credential.access_token = Some(Sealed(vec![7]));
                (row.expiry.issued_at, row.expiry.access_token) =
                    (Some(now), Some(now + TimeDelta::hours(2)));
                (
                    row.refresh.renewed_at,
                    row.refresh.attempted_at,
                    row.refresh.lease,
                ) = (None, None, None);
                row.state = State::Active;
                row.sent_alerts = crate::domain::sent_alerts::SentAlerts::default();
                *row = row.clone().following(&before, now);
            }
            Self::Tell => {
                for (begins, what) in row.pending_alerts(now, AlertPolicy::default()) {
                    if begins <= now {
                        row.record_sent(&what);
                    }
                }
            }
            _ if !has_tokens => {}
            // Nobody asks the platform in vain.
            Self::Renew(_) | Self::Fail(..) | Self::Claim if !row.is_refreshable(now) => {}
            Self::Renew(lifetimes) => {
                let renewed = Renewed {
                    rotated: true,
                    access_token: Sealed(vec![8]),
                    refresh_token: row.credential.refresh_token.clone(),
                    lifetimes: lifetimes.clone(),
                    sent_at: now,
                };
                row.renew(renewed, now);
            }
            Self::Fail(verdict, conclusive, jitter) => row.fail(verdict, *conclusive, now, *jitter),
            Self::Doubt(verdict, conclusive, jitter) if row.refresh.intent.is_some() => {
                row.doubt(verdict, *conclusive, now, *jitter)
            }
            Self::LoseRotation(probed) if row.refresh.intent.is_some() => {
                row.lose_rotation(probed.as_ref(), now);
            }
            Self::See(seen) => row.see(seen, now),
            // Only of a token that an extension brought.
            Self::SeeExtended(seen)
                if row.refresh_model() == RefreshModel::Extend
                    && matches!(row.state, State::Active)
                    && row.refresh.attempted_at.is_some() =>
            {
                row.see_extended(seen, now);
            }
            // Only of what nothing refreshes.
            Self::Probe(..) if row.is_refreshable(now) => {}
            Self::Probe(said, conclusive, jitter) => {
                row.probed(said.as_ref(), *conclusive, now, *jitter);
            }
            Self::Disconnect => row.disconnect(now),
            Self::Claim if !row.is_leased(now) => {
                row.refresh.lease = None;
                let in_doubt = row.is_in_doubt();
                row.refresh.lease = Some(Lease {
                    attempt: format!("a{}", now.timestamp()),
                    until: now + LEASE,
                });
                if row.refresh_model() == RefreshModel::Rotating && !in_doubt {
                    row.refresh.intent = Some(Intent {
                        attempt: format!("a{}", now.timestamp()),
                        at: now,
                        generation: row.credential.generation,
                        answered: false,
                    });
                }
            }
            Self::Release(unknown, jitter) if row.refresh.lease.is_some() => {
                row.release(*unknown, now, *jitter);
            }
            Self::Damage => row.damage(now),
            Self::SeeExtended(_)
            | Self::Doubt(..)
            | Self::LoseRotation(_)
            | Self::Claim
            | Self::Release(..) => {}
        }
    }
}

fn due(row: &Integration, now: DateTime<Utc>) -> Vec<&'static str> {
    let told = row.pending_alerts(now, AlertPolicy::default());
    let in_vain = row.stale_fallback().and(row.refresh.intent.as_ref());
    [
        (
            row.refresh.lease.as_ref().is_some_and(|it| it.until <= now),
            "lease",
        ),
        (
            row.refresh_due_at(now).is_some_and(|at| at <= now),
            "refresh",
        ),
        (row.probe_due_at(now).is_some_and(|at| at <= now), "probe"),
        (told.iter().any(|(at, _)| *at <= now), "pending alert"),
        (
            in_vain.is_some_and(|it| it.at + LEASE <= now),
            "left in the fallback",
        ),
    ]
    .into_iter()
    .filter_map(|(is, what)| is.then_some(what))
    .collect()
}

fn check(sequence: &Sequence) -> Result<(), String> {
    let issued = sequence.ends.unwrap_or_default().min(0) - 3_600;
    let Sequence {
        platform,
        has_refresh_token,
        ends,
        ..
    } = *sequence;
    let mut row = integration(platform, has_refresh_token, issued, ends);
    let mut now = at(0);
    row.settle(now);
    for (pause, operation) in &sequence.operations {
        holds_until(&row, now, now + *pause)?;
        now += *pause;
        operation.apply(&mut row, now);
        row.version += 1;
        row.settle(now);
        holds_at(&row, now).map_err(|error| format!("after {operation:?}: {error}\n{row:#?}"))?;
    }
    holds_until(&row, now, now + TimeDelta::days(400))
}

/// Of a row that was just written.
fn holds_at(row: &Integration, now: DateTime<Utc>) -> Result<(), String> {
    let due = due(row, now);
    if row.next_action_at.is_some_and(|at| at <= now) && due.is_empty() {
        return Err(format!(
            "looked at now ({:?}) for nothing",
            row.next_action_at
        ));
    }
    let is_final = match row.state {
        State::Disconnected { .. } | State::ReconnectRequired { .. } => true,
        // Neither to be renewed nor to expire any more.
        _ => {
            row.next_attempt_at(now).is_none()
                && row.reconnect_by(now).is_none_or(|reconnect_by| {
                    let told = row.sent_alerts.threshold.as_ref();
                    told.is_some_and(|told| {
                        (told.reconnect_by, told.threshold) == (reconnect_by, Severity::Expired)
                    })
                })
        }
    };
    if row.next_action_at.is_none() && !is_final {
        return Err("nobody looks at it again".to_owned());
    }
    // What only the access token can show does not stay doubted.
    if row.refresh_model() == RefreshModel::None
        && matches!(
            row.state,
            State::Retrying { .. } | State::PlatformActionRequired { .. }
        )
        && row.expiry.access_token.is_none()
        && row.next_action_at.is_none()
    {
        return Err("nobody confirms or refutes a refusal".to_owned());
    }
    if row.next_action_at.is_some() != row.next_action_shard.is_some() {
        return Err("attention without a shard".to_owned());
    }
    if row.credential.access_token.is_none() != matches!(row.state, State::Disconnected { .. }) {
        return Err("tokens and state contradict each other".to_owned());
    }
    let told: Vec<_> = row.pending_alerts(now, AlertPolicy::default());
    let mut silent = row.clone();
    for (begins, what) in told.iter().filter(|(begins, _)| *begins <= now) {
        silent.record_sent(what);
        if silent
            .pending_alerts(now, AlertPolicy::default())
            .contains(&(*begins, what.clone()))
        {
            return Err(format!("{what:?} would be told twice"));
        }
    }
    Ok(())
}

/// Of a row that nobody writes meanwhile.
fn holds_until(row: &Integration, from: DateTime<Utc>, end: DateTime<Utc>) -> Result<(), String> {
    let mut severity = None;
    for step in 0..=24 {
        let now = from + (end - from) * step / 24;
        let is = row
            .reconnect_by(now)
            .and_then(|at| Severity::of(at, now, WarningWindow::default()));
        if is < severity {
            return Err(format!("{severity:?} becomes {is:?} at {now}\n{row:#?}"));
        }
        severity = is;
        let due = due(row, now);
        let waits = row.next_action_at.is_none_or(|at| now < at);
        if waits && !row.is_leased(now) && !due.is_empty() {
            let looked = row.next_action_at;
            return Err(format!("{due:?} at {now}, looked at {looked:?}\n{row:#?}"));
        }
    }
    Ok(())
}

/// The same failure with as few operations as possible.
fn shortened(mut sequence: Sequence) -> Sequence {
    let mut n = 0;
    while n < sequence.operations.len() {
        let mut shorter = sequence.clone();
        let (pause, _) = shorter.operations.remove(n);
        if let Some((next, _)) = shorter.operations.get_mut(n) {
            *next += pause;
        }
        if check(&shorter).is_err() {
            sequence = shorter;
        } else {
            n += 1;
        }
    }
    sequence
}

#[test]
fn every_row_is_looked_at_in_time_and_for_a_reason() {
    let first = super::setting("SIMULATION_SEED").unwrap_or(1);
    let runs = super::setting("SIMULATION_RUNS").unwrap_or(SEQUENCES);
    for seed in first..first + runs {
        let sequence = sequence(&mut Random::new(seed));
        if check(&sequence).is_err() {
            let sequence = shortened(sequence);
            let error = check(&sequence).unwrap_err();
            panic!(
                "SIMULATION_SEED={seed} SIMULATION_RUNS=1 cargo test -p shared --lib properties\n\
                 {sequence:#?}\n{error}"
            );
        }
    }
}
