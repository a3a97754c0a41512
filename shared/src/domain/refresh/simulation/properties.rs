//! What must hold of every row that renewals, failures, doubts, probes and
//! people can lead to.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::bool;
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::{Just, Strategy, prop_oneof};
use proptest::sample::{select, subsequence};
use proptest::strategy::Union;
use test_support::{Seeds, check_property};

use crate::Platform;
use crate::domain::alert_policy::AlertPolicy;
use crate::domain::integration::{Integration, Intent, Lease, Sealed, State};
use crate::domain::refresh::attempt::LEASE_DURATION;
use crate::domain::refresh::{Ends, Lifetimes, ProbeResult, Renewed};
use crate::domain::schedule::tests::{at, integration};
use crate::domain::severity::{Severity, WarningWindow};
use crate::domain::verdict::{PlatformAction, ReconnectReason, ThrottleScope, Transient, Verdict};
use crate::platforms::catalog::RefreshModel;

/// An ordinary test run takes this many sequences.
const SEQUENCES: u64 = 3_000;

#[derive(Debug, Clone)]
enum Operation {
    Renew(Lifetimes),
    Fail(Verdict, bool, f64),
    Doubt(Verdict, bool, f64),
    LoseRotation(Option<Result<ProbeResult, Verdict>>),
    ApplyProbe(ProbeResult),
    ApplyProbeOfExtension(ProbeResult),
    Probe(Result<ProbeResult, Verdict>, bool, f64),
    Disconnect,
    Reconnect,
    Claim,
    Release(bool, f64),
    Damage,
    SendAlerts,
}

/// A starting row, and what happens to it after which pause.
#[derive(Debug, Clone)]
struct Sequence {
    platform: Platform,
    has_refresh_token: bool,
    ends: Option<i64>,
    operations: Vec<(TimeDelta, Operation)>,
}

fn sequences() -> impl Strategy<Value = Sequence> {
    let operations = vec((pauses(), operations()), 1..13);
    let ends = weighted(0.9, -100_000..6_000_000_i64);
    (
        select(&Platform::ALL[..]),
        bool::weighted(0.7),
        ends,
        operations,
    )
        .prop_map(|(platform, has_refresh_token, ends, operations)| Sequence {
            platform,
            has_refresh_token,
            ends,
            operations,
        })
}

/// Returns pauses from seconds to months.
fn pauses() -> impl Strategy<Value = TimeDelta> + Clone {
    let lengths = [1_i64, 60, 3_600, 86_400, 40 * 86_400].map(|most| (0..=most).boxed());
    Union::new(lengths).prop_map(TimeDelta::seconds)
}

fn operations() -> impl Strategy<Value = Operation> {
    let jitter = || 0.0..1.0_f64;
    let lifetimes = (weighted(0.8, pauses()), weighted(0.4, pauses()), scopes()).prop_map(
        |(access, refresh, scopes)| Lifetimes {
            access,
            refresh,
            scopes,
        },
    );
    let conclusive = || bool::weighted(0.8);
    let results = || prop_oneof![1 => probe_results().prop_map(Ok), 1 => verdicts().prop_map(Err)];
    prop_oneof![
        15 => lifetimes.prop_map(Operation::Renew),
        10 => (verdicts(), conclusive(), jitter()).prop_map(|(v, c, j)| Operation::Fail(v, c, j)),
        5 => (verdicts(), conclusive(), jitter()).prop_map(|(v, c, j)| Operation::Doubt(v, c, j)),
        5 => weighted(0.66, results()).prop_map(Operation::LoseRotation),
        5 => probe_results().prop_map(Operation::ApplyProbe),
        5 => probe_results().prop_map(Operation::ApplyProbeOfExtension),
        10 => (results(), conclusive(), jitter()).prop_map(|(r, c, j)| Operation::Probe(r, c, j)),
        5 => Just(Operation::Disconnect),
        5 => Just(Operation::Reconnect),
        5 => Just(Operation::Claim),
        5 => (bool::ANY, jitter()).prop_map(|(unknown, j)| Operation::Release(unknown, j)),
        1 => Just(Operation::Damage),
        9 => Just(Operation::SendAlerts),
    ]
}

fn scopes() -> impl Strategy<Value = Vec<String>> {
    subsequence(vec!["read".to_owned(), "write".to_owned()], 0..=2)
}

fn probe_results() -> impl Strategy<Value = ProbeResult> {
    let ends = || {
        prop_oneof![
            6 => pauses().prop_map(|after| Ends::At(at(0) + after)),
            1 => Just(Ends::Never),
            3 => Just(Ends::NotSaid),
        ]
    };
    (ends(), ends(), scopes()).prop_map(|(access, data_access, scopes)| ProbeResult {
        access,
        data_access,
        scopes,
    })
}

fn verdicts() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        1 => Just(Verdict::Transient(Transient::NoAnswer)),
        1 => weighted(0.5, pauses()).prop_map(|wait| Verdict::Throttled {
            wait,
            scope: ThrottleScope::Integration,
        }),
        2 => select(&[ReconnectReason::GrantRefused, ReconnectReason::Revoked][..])
            .prop_map(Verdict::ReconnectNeeded),
        1 => Just(Verdict::PlatformActionNeeded(PlatformAction::LogIn)),
        1 => scopes().prop_map(Verdict::PermissionLost),
        1 => Just(Verdict::AppMisconfigured),
    ]
}

impl Operation {
    /// Applies the operation if it can happen to such a row.
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
                *row = row.clone().with_recovery_after(&before, now);
            }
            Self::SendAlerts => {
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
                row.mark_in_doubt(verdict, *conclusive, now, *jitter)
            }
            Self::LoseRotation(probed) if row.refresh.intent.is_some() => {
                row.lose_rotation(probed.as_ref(), now);
            }
            Self::ApplyProbe(seen) => row.apply_probe(seen, now),
            // Only of a token that an extension brought.
            Self::ApplyProbeOfExtension(seen)
                if row.refresh_model() == RefreshModel::Extend
                    && matches!(row.state, State::Active)
                    && row.refresh.attempted_at.is_some() =>
            {
                row.apply_probe_of_extension(seen, now);
            }
            // Only of what nothing refreshes.
            Self::Probe(..) if row.is_refreshable(now) => {}
            Self::Probe(result, conclusive, jitter) => {
                row.probed(result.as_ref(), *conclusive, now, *jitter);
            }
            Self::Disconnect => row.disconnect(now),
            Self::Claim if !row.is_leased(now) => {
                row.refresh.lease = None;
                let in_doubt = row.is_in_doubt();
                row.refresh.lease = Some(Lease {
                    attempt: format!("a{}", now.timestamp()),
                    until: now + LEASE_DURATION,
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
            Self::Damage => row.mark_credential_damaged(now),
            Self::ApplyProbeOfExtension(_)
            | Self::Doubt(..)
            | Self::LoseRotation(_)
            | Self::Claim
            | Self::Release(..) => {}
        }
    }
}

fn due(row: &Integration, now: DateTime<Utc>) -> Vec<&'static str> {
    let pending = row.pending_alerts(now, AlertPolicy::default());
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
        (pending.iter().any(|(at, _)| *at <= now), "pending alert"),
        (
            in_vain.is_some_and(|it| it.at + LEASE_DURATION <= now),
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
    row.derive_index_keys(now);
    for (pause, operation) in &sequence.operations {
        holds_until(&row, now, now + *pause)?;
        now += *pause;
        operation.apply(&mut row, now);
        row.version += 1;
        row.derive_index_keys(now);
        holds_at(&row, now).map_err(|error| format!("after {operation:?}: {error}\n{row:#?}"))?;
    }
    holds_until(&row, now, now + TimeDelta::days(400))
}

/// Checks a row that was just written.
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
                    let sent = row.sent_alerts.threshold.as_ref();
                    sent.is_some_and(|sent| {
                        (sent.reconnect_by, sent.threshold) == (reconnect_by, Severity::Expired)
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
        return Err("next action without a shard".to_owned());
    }
    if row.credential.access_token.is_none() != matches!(row.state, State::Disconnected { .. }) {
        return Err("tokens and state contradict each other".to_owned());
    }
    let pending: Vec<_> = row.pending_alerts(now, AlertPolicy::default());
    let mut silent = row.clone();
    for (begins, what) in pending.iter().filter(|(begins, _)| *begins <= now) {
        silent.record_sent(what);
        if silent
            .pending_alerts(now, AlertPolicy::default())
            .contains(&(*begins, what.clone()))
        {
            return Err(format!("{what:?} would be alerted twice"));
        }
    }
    Ok(())
}

/// Checks a row that nobody writes meanwhile.
fn holds_until(row: &Integration, from: DateTime<Utc>, end: DateTime<Utc>) -> Result<(), String> {
    let mut severity = None;
    for step in 0..=24 {
        let now = from + (end - from) * step / 24;
        let is = row
            .reconnect_by(now)
            .and_then(|at| Severity::at(at, now, WarningWindow::default()));
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

#[test]
fn every_row_is_looked_at_in_time_and_for_a_reason() {
    let command = "cargo test -p shared --lib properties";
    let seeds = Seeds::from_environment("SIMULATION_RUNS", SEQUENCES, command);
    check_property(&seeds, &sequences(), |sequence| check(&sequence));
}
