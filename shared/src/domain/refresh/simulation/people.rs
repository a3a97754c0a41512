//! Sweeps, as `check-tokens` makes them, and people, who act at any instant.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use test_support::Section;

use crate::domain::alert_policy::AlertPolicy;
use crate::domain::check_result::CheckResult;
use crate::domain::integration::{
    Credential, Expiry, Integration, RefreshState, RetryReason, State,
};
use crate::domain::refresh::attempt::{Attempt, End, LEASE_DURATION, Outcome, Step};
use crate::domain::sent_alerts::SentAlerts;
use crate::domain::verdict::{Transient, Verdict};

use super::driver::AgendaItem;
use super::sabotage::DrivenAttempt;
use super::step_kind::StepKind;
use super::world::{ProtocolWorld, Sweeper, Violation};

#[derive(Debug, Clone, Copy)]
pub(super) enum PersonAction {
    Reconnect,
    Disconnect,
    /// Changes something that has nothing to do with the credential.
    Edit,
    /// Has the integration checked now, due or not, given up or not.
    Check,
}

impl ProtocolWorld {
    pub(super) fn wake(&mut self, who: usize) {
        self.begin_sweep();
        let now = self.local(who);
        self.sweepers[who].life += 1;
        let mut row = self.row.clone();
        if row.is_leased(now) || row.next_action_at.is_none_or(|at| at > now) {
            self.maybe_a_person_acts();
            return self.wake_later(who);
        }
        self.clear_fallback(&mut row, now);
        if row.refresh_due_at(now).is_none_or(|at| at > now) {
            return self.send_alerts(who, row);
        }
        self.attempt(who, row);
    }

    /// Removes a lease that has ended, and what is left in the fallback.
    fn clear_fallback(&mut self, row: &mut Integration, now: DateTime<Utc>) {
        row.refresh.lease = None;
        if let Some(generation) = row.stale_fallback()
            && row
                .refresh
                .intent
                .as_ref()
                .is_some_and(|it| it.at + LEASE_DURATION <= now)
            && (self.healthy || !self.chance.percent(self.rates.fallback))
        {
            self.in_fallback.remove(&generation);
            row.refresh.intent = None;
        }
    }

    /// Checks by an instance that does nothing else.
    fn check(&mut self) {
        let skew = self.chance.millis(-10_000, 10_000);
        let who = self.sweepers.len();
        self.sweepers.push(Sweeper {
            skew,
            leaves: true,
            ..Sweeper::default()
        });
        let now = self.local(who);
        let mut row = self.row.clone();
        let told_to_wait = matches!(
            row.state,
            State::Retrying { reason: RetryReason::Throttled, next_attempt_at, .. }
                if next_attempt_at > now
        );
        if row.is_leased(now) || told_to_wait || !row.is_refreshable(now) {
            return;
        }
        self.clear_fallback(&mut row, now);
        self.count(
            Section::People,
            match row.state {
                State::ReconnectRequired { .. } => "checks of what was given up",
                _ => "checks",
            },
        );
        self.attempt(who, row);
    }

    fn attempt(&mut self, who: usize, row: Integration) {
        let now = self.local(who);
        let Ok(tokens) = self.tokens_of(&row) else {
            return self.find(Violation::LostOutside, "it cannot be opened".to_owned());
        };
        let deadline = (!self.healthy && self.chance.percent(40)).then(|| {
            let left = self.chance.millis(30_000, 180_000);
            let life = self.sweepers[who].life;
            self.push(left, AgendaItem::Deadline(who, life));
            (self.now + self.sweepers[who].skew + left).trunc_subsecs(0)
        });
        let id = format!("{who}.{}", self.sweepers[who].life);
        let jitter = self.chance.unit();
        let attempt = Attempt::new(id, row.clone(), deadline, jitter, now);
        let generation = row.credential.generation;
        let mut attempt = DrivenAttempt::new(attempt, generation, self.broken);
        let step = attempt.begin(now);
        let sweeper = &mut self.sweepers[who];
        sweeper.in_doubt = row.is_in_doubt();
        sweeper.attempt = Some(attempt);
        sweeper.row = Some(row);
        sweeper.tokens = tokens;
        (sweeper.by_grace, sweeper.probed) = (false, None);
        (sweeper.looked_at, sweeper.holding) = ((None, None), None);
        let doubt = sweeper.in_doubt;
        self.narrate(|| format!("instance {who} begins, in doubt: {doubt}"));
        self.perform(who, step);
    }

    pub(super) fn finish(&mut self, who: usize, step: Step) {
        let Step::Done(end) = step else { return };
        let End { outcome, row } = *end;
        self.narrate(|| format!("instance {who} ends: {outcome:?}"));
        self.count(Section::Attempts, name(&outcome));
        if self.sweepers[who].in_doubt {
            let what = self.doubt_ended(who, &outcome);
            self.count(Section::Doubts, what);
        }
        if outcome == Outcome::NoKey {
            let mut row = self.sweepers[who].row.take().unwrap();
            let (verdict, now) = (
                Verdict::Transient(Transient::DecryptionFailed),
                self.local(who),
            );
            let jitter = self.chance.unit();
            match row.is_in_doubt() {
                true => row.mark_in_doubt(&verdict, true, now, jitter),
                false => row.fail(&verdict, true, now, jitter),
            }
            let effect = self.write(who, row, StepKind::Record);
            return self.write_and_leave(who, effect);
        }
        match row {
            Some(row) => self.send_alerts(who, row),
            None => {
                self.sweepers[who].attempt = None;
                self.wake_later(who);
            }
        }
    }

    fn doubt_ended(&self, who: usize, outcome: &Outcome) -> &'static str {
        let sweeper = &self.sweepers[who];
        match (outcome, sweeper.probed) {
            (Outcome::StoredFromFallback, _) => "fallback copy found",
            (Outcome::Renewed, _) if sweeper.by_grace => "grace window answered",
            (Outcome::Renewed, _) => "old token still worked",
            (Outcome::Superseded, _) => "somebody else had written",
            (Outcome::RotationLost, Some(true)) => "rotation lost, access alive",
            (Outcome::RotationLost, Some(false)) => "rotation lost, access dead or unknown",
            (Outcome::RotationLost, None) => "rotation lost, no probe",
            (Outcome::InFallback, _) => "stored in the fallback",
            (Outcome::StoreFailed, _) => "new answer not stored",
            _ => "still in doubt",
        }
    }

    fn send_alerts(&mut self, who: usize, mut row: Integration) {
        let now = self.local(who);
        let indexed = (row.next_action_at, row.reconnect_by);
        let mut due = row.pending_alerts(now, AlertPolicy::default());
        due.retain(|(at, _)| *at <= now);
        for (_, what) in &due {
            row.record_sent(what);
        }
        row.derive_index_keys(now);
        self.sweepers[who].attempt = None;
        if due.is_empty() && indexed == (row.next_action_at, row.reconnect_by) {
            return self.wake_later(who);
        }
        let effect = self.write(who, row, StepKind::Record);
        self.write_and_leave(who, effect);
    }

    pub(super) fn maybe_a_person_acts(&mut self) {
        if !self.healthy && self.chance.percent(self.rates.people) {
            let act = self.chance.pick(&[
                PersonAction::Reconnect,
                PersonAction::Disconnect,
                PersonAction::Edit,
                PersonAction::Edit,
                PersonAction::Check,
                PersonAction::Check,
            ]);
            let after = self.chance.millis(0, 10_000);
            self.push(after, AgendaItem::Person(act));
        }
    }

    pub(super) fn person_acts(&mut self, act: PersonAction) {
        self.narrate(|| format!("a person: {act:?}"));
        let now = self.now.trunc_subsecs(0);
        match act {
            PersonAction::Edit => self.edit(),
            PersonAction::Check => self.check(),
            PersonAction::Disconnect if matches!(self.row.state, State::Disconnected { .. }) => {}
            PersonAction::Disconnect => {
                let mut row = self.row.clone();
                row.disconnect(now);
                self.wanted = None;
                self.person_writes(row);
                self.count(Section::People, "disconnects");
            }
            PersonAction::Reconnect => {
                let tokens = self.platform.consent(self.now);
                let before = self.row.clone();
                let mut row = Integration {
                    credential: Credential {
                        generation: before.credential.generation + 1,
                        grant: before.credential.grant + 1,
                        granted_at: now,
                        ..before.credential.clone()
                    },
                    expiry: Expiry {
                        issued_at: Some(now),
                        access_token: Some(self.platform.end_of(tokens.access).trunc_subsecs(0)),
                        ..before.expiry.clone()
                    },
                    refresh: RefreshState {
                        renewed_at: None,
                        attempted_at: None,
                        lease: None,
                        possibly_replayed: None,
                        ..before.refresh.clone()
                    },
                    state: State::Active,
                    sent_alerts: SentAlerts::default(),
                    ..before.clone()
                };
                self.seal_into(&mut row, tokens);
                self.wanted = Some(tokens.grant);
                self.concluded_at = None;
                self.person_writes(row.with_recovery_after(&before, now));
                self.count(Section::People, "reconnects");
            }
        }
    }

    pub(super) fn edit(&mut self) {
        let mut row = self.row.clone();
        row.account.username.push('+');
        self.person_writes(row);
        self.count(Section::People, "edits");
    }

    fn person_writes(&mut self, mut row: Integration) {
        let skew = TimeDelta::zero();
        row.version += 1;
        row.derive_index_keys((self.now + skew).trunc_subsecs(0));
        self.put(row);
    }
}

fn name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Renewed => "renewed",
        Outcome::StoredFromFallback => "stored_from_fallback",
        Outcome::Refused(_) => "refused",
        Outcome::InDoubt(_) => "in doubt",
        Outcome::Unrecorded(_) => "unrecorded",
        other => CheckResult::from(other).name(),
    }
}
