//! What a step does to the store, the fallback and the platform, and what
//! must hold after every write.

use std::collections::BTreeSet;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use test_support::Section;

use crate::domain::integration::{Integration, State};
use crate::domain::refresh::attempt::{Answered, Event, Step};
use crate::domain::refresh::{Ends, Lifetimes, ProbeResult, Renewed};
use crate::domain::verdict::{ReconnectReason, Verdict};
use crate::platforms::catalog::RefreshModel;

use super::loss;
use super::platform::{ExchangeAnswer, SimulatedTokens, Via};
use super::step_kind::StepKind;
use super::world::{Exchange, ProtocolWorld, Violation};

/// Covers the least pause between two tries, a skewed clock, and a sweep that is late.
const LAST_MINUTES: TimeDelta = TimeDelta::minutes(3);

/// Something done to the outside.
#[derive(Clone)]
pub(super) enum Effect {
    Key,
    /// The row is already settled and its version counted, as the store's adapter does.
    Write(Box<Integration>, StepKind),
    Find(usize, u64),
    Read(usize),
    Pause,
    StoreFallback(u64, Box<Renewed>),
    Remove(u64),
    Exchange {
        with: SimulatedTokens,
        generation: u64,
        sent_at: DateTime<Utc>,
        /// When the sender had last looked for an answer in the fallback, and in the row.
        looked_at: (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
    },
    Probe(SimulatedTokens),
}

impl ProtocolWorld {
    pub(super) fn effect_of(&mut self, who: usize, step: Step) -> Effect {
        let tokens = self.sweepers[who].tokens.unwrap();
        let read = self.sweepers[who].row.as_ref().unwrap();
        let generation = read.credential.generation;
        match step {
            Step::SecureKey | Step::Done(_) => Effect::Key,
            Step::Claim(row) => self.write(who, *row, StepKind::Claim),
            Step::Store(row) => self.write(who, *row, StepKind::Store),
            Step::Record(row) => self.write(who, *row, StepKind::Record),
            Step::FindFallback(generation) => Effect::Find(who, generation),
            Step::ReadAgain => Effect::Read(who),
            Step::Pause(_) => Effect::Pause,
            Step::StoreFallback(renewed) => Effect::StoreFallback(generation + 1, renewed),
            Step::RemoveFallback(generation) => Effect::Remove(generation),
            Step::Send => Effect::Exchange {
                with: tokens,
                generation,
                sent_at: self.local(who),
                looked_at: self.sweepers[who].looked_at,
            },
            Step::Probe => Effect::Probe(tokens),
        }
    }

    pub(super) fn write(&self, who: usize, mut row: Integration, kind: StepKind) -> Effect {
        row.version += 1;
        row.derive_index_keys(self.local(who));
        Effect::Write(Box::new(row), kind)
    }

    pub(super) fn apply(&mut self, effect: Effect, via: Via) -> Event {
        match effect {
            Effect::Key => Event::Key(true),
            Effect::Pause => Event::Paused,
            Effect::Write(row, kind) => self.apply_write(row, kind),
            Effect::Find(who, generation) => {
                self.sweepers[who].looked_at.0 = Some(self.now);
                let found = self.in_fallback.get(&generation).cloned();
                let found = found.filter(|renewed| {
                    let (access, refresh) = (&renewed.access_token, renewed.refresh_token.as_ref());
                    self.open(Some(access), refresh, generation).is_ok()
                });
                Event::FallbackFound(found.map(Box::new))
            }
            Effect::Read(who) => {
                self.sweepers[who].looked_at.1 = Some(self.now);
                Event::Read(Some(Box::new(self.row.clone())))
            }
            Effect::StoreFallback(generation, renewed) => {
                let now = self.now;
                self.each_copied(Some(&renewed), generation, |of| {
                    of.stored_in_fallback_at = of.stored_in_fallback_at.or(Some(now));
                });
                self.in_fallback.insert(generation, *renewed);
                self.narrate(|| format!("  in the fallback for generation {generation}"));
                Event::FallbackStored(true)
            }
            Effect::Remove(generation) => {
                self.in_fallback.remove(&generation);
                Event::Removed
            }
            Effect::Exchange {
                with,
                generation,
                sent_at,
                looked_at: (fallback, row),
            } => self.apply_exchange(
                with,
                generation,
                sent_at,
                (fallback.unwrap_or(self.now), row.unwrap_or(self.now)),
                via,
            ),
            Effect::Probe(tokens) => Event::Probed(self.platform.probes.then(|| {
                let end = self.platform.end_of(tokens.access).trunc_subsecs(0);
                if !self.platform.lives(tokens.access, self.now) {
                    return Err(Verdict::ReconnectNeeded(ReconnectReason::GrantRefused));
                }
                Ok(ProbeResult {
                    access: Ends::At(end),
                    ..ProbeResult::default()
                })
            })),
        }
    }

    fn apply_write(&mut self, row: Box<Integration>, kind: StepKind) -> Event {
        if self.rates.storm && kind == StepKind::Store && self.chance.percent(90) {
            self.edit();
        }
        if self.row == *row {
            return Event::Written(row);
        }
        if self.row.version + 1 != row.version {
            return Event::Lost(Some(Box::new(self.row.clone())));
        }
        self.narrate(|| format!("  {kind:?} is written, version {}", row.version));
        self.renewed_in_health |= self.healthy && kind == StepKind::Store;
        self.put(*row.clone());
        Event::Written(row)
    }

    /// Stores a row, and checks what every write must leave behind, whoever wrote.
    pub(super) fn put(&mut self, row: Integration) {
        let mut broken = Vec::new();
        let old = &self.row;
        let erased = matches!(row.state, State::Disconnected { .. });
        let dead = matches!(row.state, State::ReconnectRequired { .. });
        match (self.tokens_of(&row), self.wanted) {
            (Err(()), _) => {
                // The credential of an older grant has this one's generation at best.
                let refresh = row
                    .credential
                    .refresh_token
                    .as_ref()
                    .map(|sealed| sealed.0[..4].to_vec());
                let number =
                    refresh.and_then(|bytes| Some(u32::from_be_bytes(bytes.try_into().ok()?)));
                let grant = number.map(|token| self.platform.grant_of_refresh(token));
                let violation = match grant == self.wanted {
                    true => Violation::LostOutside,
                    false => Violation::PersonOverwritten,
                };
                self.find(violation, "a credential that cannot be opened".to_owned());
                return;
            }
            (Ok(tokens), wanted) if tokens.map(|tokens| tokens.grant) != wanted => {
                let what = format!("the person wants {wanted:?}, the row has {tokens:?}");
                self.find(Violation::PersonOverwritten, what);
                return;
            }
            (Ok(Some(_)), _) if erased => broken.push("tokens of what is switched off"),
            (Ok(None), _) if !erased => broken.push("no tokens"),
            (Ok(Some(tokens)), _)
                if tokens.refresh.is_none() && self.platform.model != RefreshModel::Extend =>
            {
                broken.push("no refresh token");
            }
            _ => {}
        }
        // Of an extension that came too late nothing more can come.
        let ended = self.platform.model == RefreshModel::Extend
            && row.expiry.access_token.is_some_and(|end| end <= self.now);
        if row.next_action_at.is_none() && !(erased || dead || ended) {
            broken.push("nobody will look at it again");
        }
        if row.credential.generation < old.credential.generation
            || row.credential.grant < old.credential.grant
        {
            broken.push("a counter goes back");
        }
        if row.credential.generation == old.credential.generation
            && (&row.credential.access_token, &row.credential.refresh_token)
                != (&old.credential.access_token, &old.credential.refresh_token)
        {
            broken.push("other tokens, the same generation");
        }
        if dead {
            self.concluded_at = self.concluded_at.or(Some(self.now));
        }
        self.row = row;
        self.check_that_it_is_asked_about_in_time();
        for what in broken {
            self.find(Violation::Invariant, what.to_owned());
        }
        let (access, refresh) = (
            &self.row.credential.access_token,
            &self.row.credential.refresh_token,
        );
        let copy = access.clone().map(|access_token| Renewed {
            rotated: true,
            access_token,
            refresh_token: refresh.clone(),
            lifetimes: Lifetimes::default(),
            sent_at: self.now,
        });
        let now = self.now;
        self.each_copied(copy.as_ref(), self.row.credential.generation, |of| {
            of.stored_at = of.stored_at.or(Some(now));
        });
    }

    /// Checks that a token that can still be refreshed is tried before it really ends, whatever the
    /// platform asked for or said.
    fn check_that_it_is_asked_about_in_time(&mut self) {
        let row = &self.row;
        let tokens = match row.state {
            State::Active | State::Retrying { .. } if row.refresh.lease.is_none() => {
                self.tokens_of(row)
            }
            _ => return,
        };
        let Ok(Some(tokens)) = tokens else { return };
        let end = self.platform.end_of(tokens.access);
        let is_near = end - self.now < LAST_MINUTES;
        let in_time = |at: Option<DateTime<Utc>>| at.is_some_and(|at| at < end);
        if is_near || in_time(row.next_attempt_at(self.now)) {
            return;
        }
        // Extended, it would have ended at what is believed to be its end.
        if self.platform.can_refresh(tokens, self.now) {
            self.count(Section::Losses, loss::UNASKED);
            let what = format!("not asked about before {end}: {:?}", self.row.state);
            self.find(Violation::Invariant, what);
        }
    }

    /// Marks the exchanges whose new token `copy` is a copy of.
    fn each_copied(
        &mut self,
        copy: Option<&Renewed>,
        generation: u64,
        mark: impl Fn(&mut Exchange),
    ) {
        let Some(copy) = copy else { return };
        let (access, refresh) = (Some(&copy.access_token), copy.refresh_token.as_ref());
        let Ok(Some(SimulatedTokens {
            refresh: Some(token),
            ..
        })) = self.open(access, refresh, generation)
        else {
            return;
        };
        for exchange in self.exchanges.iter_mut().filter(|of| of.new == token) {
            mark(exchange);
        }
    }

    fn apply_exchange(
        &mut self,
        with: SimulatedTokens,
        generation: u64,
        sent_at: DateTime<Utc>,
        looked_at: (DateTime<Utc>, DateTime<Utc>),
        via: Via,
    ) -> Event {
        if via == Via::Sender
            && let Some(wire) = &mut self.wire
        {
            wire.until = wire.until.min(self.now);
        }
        let given = self
            .platform
            .exchange(with, via, looked_at, self.now, &mut self.chance);
        self.narrate(|| format!("  the platform: {with:?} ({via:?}) becomes {given:?}"));
        let Some(ExchangeAnswer {
            tokens,
            rotated,
            grace,
        }) = given
        else {
            let conclusive = self.healthy || !self.chance.percent(10);
            return Event::Answered(Answered::Refused {
                verdict: Verdict::ReconnectNeeded(ReconnectReason::GrantRefused),
                conclusive,
                code: None,
            });
        };
        let next = generation + 1;
        let access_token = self.seal(tokens.access, next);
        let refresh_token = tokens.refresh.map(|token| self.seal(token, next));
        if rotated && let (Some(old), Some(new)) = (with.refresh, tokens.refresh) {
            self.exchanges.push(Exchange {
                old,
                new,
                access: access_token.clone(),
                via,
                steps: BTreeSet::new(),
                stored_in_fallback_at: None,
                stored_at: None,
                masked: false,
            });
        }
        for sweeper in &mut self.sweepers {
            sweeper.by_grace = grace;
        }
        let names_life = self.platform.names_life || self.platform.model != RefreshModel::Extend;
        // Milliseconds, an instant, nothing: no life that can be.
        let absurd = !self.healthy && self.chance.percent(self.rates.platform / 5);
        let said = match absurd {
            true => {
                self.count(Section::Faults, "exchange: a life that cannot be");
                let seconds = self.platform.life.num_seconds();
                TimeDelta::seconds(self.chance.pick(&[seconds * 1_000, 1_800_000_000, 0]))
            }
            false => self.platform.life,
        };
        Event::Answered(Answered::Renewed(Box::new(Renewed {
            rotated: tokens.refresh != with.refresh,
            access_token,
            refresh_token,
            lifetimes: Lifetimes {
                access: names_life.then_some(said),
                ..Lifetimes::default()
            },
            sent_at,
        })))
    }
}
