//! Our application as one platform sees it: whether it is held back, and
//! whether it may itself be what the platform refuses. Shared by all
//! integrations and all instances.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::IntegrationKey;
use crate::domain::refresh::Unbelieved;
use crate::domain::refresh::attempt::EXCHANGE;
use crate::domain::verdict::{ReconnectReason, Throttled, Transient, Verdict};
use crate::platforms::catalog::Platform;

/// A platform that asks the whole application to wait is asked again after this
/// long at the latest: there are tokens that live two hours.
const MAX_HOLD: TimeDelta = TimeDelta::hours(1);
/// How long it waits if the platform does not say.
const DEFAULT_HOLD: TimeDelta = TimeDelta::minutes(1);
/// Refusals within this long, with no success in between, are seen together.
const REFUSAL_WINDOW: TimeDelta = TimeDelta::hours(1);
/// How many integrations must be refused that had refreshed before, or failed.
const EVIDENCE_THRESHOLD: usize = 3;
/// How many refusals and successes are remembered.
const MAX_SUCCESSES: usize = 3;
/// How many lives of tokens are remembered.
const MAX_LIFETIMES: usize = 16;
/// How long refusals are doubted.
const MAX_DOUBT: TimeDelta = TimeDelta::hours(6);
/// How often a broken application is tried.
const TRIAL_INTERVAL: TimeDelta = TimeDelta::minutes(4);
/// How many integrations try it each time.
const TRIALS_PER_INTERVAL: u8 = 3;
/// Failures within this long, with no success in between, are seen together: two sweeps.
const OUTAGE_WINDOW: TimeDelta = TimeDelta::minutes(10);
/// The operator hears of the same surprise this often.
const REPORT_INTERVAL: TimeDelta = TimeDelta::days(1);
/// How many surprises are told apart.
const MAX_SURPRISES: usize = 32;
/// An application that worked within this long is not what is wrong with a
/// credential that never did.
const TRUST_PERIOD: TimeDelta = TimeDelta::days(7);

/// What is known of our application at a platform. One row in the table of quotas.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlatformHealth {
    /// The platform.
    pub platform: Platform,
    /// Counts writes: every write is conditional on the one it read.
    pub version: u64,
    /// The platform asks all of us to wait, by its own word: a 429, or a code that
    /// means the application. Kept when it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// It fails several of us, asking to come back later, and none succeeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outage: Option<Outage>,
    /// Integrations that it failed since the last success, asking to come back later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failing: Vec<Sighting>,
    /// What keeps integrations from being tried in vain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaker: Option<Breaker>,
    /// Integrations refused since the last success, that had refreshed before.
    #[serde(default)]
    pub refused: Vec<Sighting>,
    /// The integrations that refreshed most recently, the last one first, of
    /// different organisations where possible.
    #[serde(default)]
    pub succeeded: Vec<Sighting>,
    /// Surprises, and when the operator last heard of each: an answer by its code, so
    /// that one that recurs hides no other, and a clock that was not believed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub surprises: BTreeMap<String, DateTime<Utc>>,
    /// The lives of access tokens that were seen, in seconds, each unlike the
    /// others: accounts of different kinds may get different ones for ever.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub access_lives: Vec<i64>,
    /// The same of single-use refresh tokens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refresh_lives: Vec<i64>,
}

/// An integration, and when something was seen of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// The integration.
    #[serde(flatten)]
    pub key: IntegrationKey,
    /// When.
    #[serde(with = "chrono::serde::ts_seconds")]
    pub at: DateTime<Utc>,
}

/// A platform's word that all of us must wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Until when.
    #[serde(with = "chrono::serde::ts_seconds")]
    pub until: DateTime<Utc>,
    /// Since when.
    #[serde(with = "chrono::serde::ts_seconds")]
    pub since: DateTime<Utc>,
    /// The integration that it was said to.
    #[serde(flatten)]
    pub by: IntegrationKey,
}

/// A platform that fails several integrations. The first success refutes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    /// Until when it asked them to wait.
    #[serde(with = "chrono::serde::ts_seconds")]
    pub until: DateTime<Utc>,
    /// When it last did.
    #[serde(with = "chrono::serde::ts_seconds")]
    pub since: DateTime<Utc>,
}

/// An open breaker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaker {
    /// Why.
    pub cause: BreakerCause,
    /// Since when.
    #[serde(with = "chrono::serde::ts_seconds")]
    pub since: DateTime<Utc>,
    /// When a few integrations next try.
    #[serde(with = "chrono::serde::ts_seconds")]
    pub next_try_at: DateTime<Utc>,
}

/// Why a breaker opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerCause {
    /// The platform says that our client id, secret or application is wrong.
    Misconfigured,
    /// The platform refuses many grants at once that had worked, and accepts none.
    Refusals,
}

/// Whether an integration may be tried now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// It may.
    Available,
    /// Not before this.
    HeldBack(DateTime<Utc>),
    /// Not before the application works again.
    BreakerOpen(BreakerCause),
}

/// What an exchange showed of the application.
#[derive(Debug, Clone, PartialEq)]
pub enum Observation {
    /// New tokens came.
    Success {
        /// The integration.
        key: IntegrationKey,
        /// When they were asked for.
        sent_at: DateTime<Utc>,
        /// The life of its access token, where the platform was free to choose it.
        access_life: Option<TimeDelta>,
        /// The life of its refresh token, likewise.
        refresh_life: Option<TimeDelta>,
    },
    /// None came.
    Failure {
        /// The integration.
        key: IntegrationKey,
        /// Why.
        verdict: Verdict,
        /// Whether it had refreshed before.
        had_worked: bool,
        /// Since when it has been refused, or in doubt, if it was before.
        refused_since: Option<DateTime<Utc>>,
        /// The platform's code, or what came in its place.
        code: Option<String>,
    },
    /// Lives that were not believed.
    Unbelieved(Vec<Unbelieved>),
}

/// How an observation is to be assessment.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessment {
    /// What the answer means for the integration, given all that is known.
    pub verdict: Option<Verdict>,
    /// Whether a refusal may be believed.
    pub conclusive: bool,
    /// What the operator should hear.
    pub events: Vec<HealthEvent>,
    /// Whether other instances must know of it at once.
    pub is_urgent: bool,
}

/// Something that only an operator can look into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthEvent {
    /// The breaker opened.
    BreakerOpened(BreakerCause),
    /// It closed: the application works.
    BreakerClosed,
    /// It refuses our application to an integration that never worked, while others work.
    RefusedForOne,
    /// It answers what we do not understand: its code, or what came instead.
    UnknownAnswer(String),
    /// It names a life that cannot be.
    Unbelieved(Unbelieved),
    /// Tokens live differently from all that were seen.
    LifeChanged {
        /// `access` or `refresh`.
        token: &'static str,
        /// Seconds.
        before: i64,
        /// Seconds.
        now: i64,
    },
}

impl PlatformHealth {
    /// One of which nothing is known.
    #[must_use]
    pub const fn new(platform: Platform) -> Self {
        Self {
            platform,
            version: 0,
            hold: None,
            outage: None,
            failing: Vec::new(),
            breaker: None,
            refused: Vec::new(),
            succeeded: Vec::new(),
            surprises: BTreeMap::new(),
            access_lives: Vec::new(),
            refresh_lives: Vec::new(),
        }
    }

    /// Whether integrations may be tried.
    #[must_use]
    pub fn availability(&self, now: DateTime<Utc>) -> Availability {
        if let Some(breaker) = self.open_breaker(now) {
            return Availability::BreakerOpen(breaker.cause);
        }
        match self.held_until(now) {
            Some(until) => Availability::HeldBack(until),
            None => Availability::Available,
        }
    }

    /// Until when all of us must wait, if we must.
    fn held_until(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let outage = self.outage.map(|outage| outage.until);
        let hold = self.hold.as_ref().map(|hold| hold.until);
        hold.max(outage).filter(|until| *until > now)
    }

    /// Whether others were let through since this integration was last told to wait:
    /// told so again, it is about this one (LinkedIn, for one, limits each member).
    fn is_about_one(&self, key: &IntegrationKey) -> bool {
        self.hold.as_ref().is_some_and(|hold| {
            let of_others = |seen: &Sighting| seen.key != *key && seen.at > hold.since;
            hold.by == *key && self.succeeded.iter().any(of_others)
        })
    }

    /// The breaker, while it is open: refusals are doubted for six hours, then
    /// each integration is judged by itself.
    fn open_breaker(&self, now: DateTime<Utc>) -> Option<&Breaker> {
        self.breaker.as_ref().filter(|breaker| {
            breaker.cause == BreakerCause::Misconfigured || now < breaker.since + MAX_DOUBT
        })
    }

    /// Takes the right to let a few integrations try a broken application, and
    /// says how many; 0 if it is not the time, or nothing is broken.
    pub fn half_open(&mut self, now: DateTime<Utc>) -> u8 {
        if self.open_breaker(now).is_none() || self.held_until(now).is_some() {
            return 0;
        }
        match &mut self.breaker {
            Some(breaker) if breaker.next_try_at <= now => {
                breaker.next_try_at = now + TRIAL_INTERVAL;
                TRIALS_PER_INTERVAL
            }
            _ => 0,
        }
    }

    /// Takes an observation in.
    pub fn observe(&mut self, observation: &Observation, now: DateTime<Utc>) -> Assessment {
        match observation {
            Observation::Success {
                key,
                sent_at,
                access_life,
                refresh_life,
            } => self.succeed(key, *sent_at, *access_life, *refresh_life),
            Observation::Failure {
                key,
                verdict,
                had_worked,
                refused_since,
                code,
            } => {
                let mut assessment = self.fail(key, verdict, *had_worked, *refused_since, now);
                let code = code.as_deref().unwrap_or("none");
                if *verdict == Verdict::Transient(Transient::Unintelligible)
                    && self.is_surprised(code, now)
                {
                    assessment
                        .events
                        .push(HealthEvent::UnknownAnswer(code.to_owned()));
                    assessment.is_urgent = true;
                }
                if assessment.events.contains(&HealthEvent::RefusedForOne) {
                    match self.is_surprised(&format!("{code} for one"), now) {
                        true => assessment.is_urgent = true,
                        false => assessment
                            .events
                            .retain(|event| *event != HealthEvent::RefusedForOne),
                    }
                }
                assessment
            }
            Observation::Unbelieved(lives) => {
                let mut events = Vec::new();
                for life in lives {
                    if self.is_surprised(&format!("{} life", life.clock.name()), now) {
                        events.push(HealthEvent::Unbelieved(*life));
                    }
                }
                Assessment {
                    verdict: None,
                    conclusive: true,
                    is_urgent: !events.is_empty(),
                    events,
                }
            }
        }
    }

    /// Depends on when it was sent and on nothing else, so that it may be taken
    /// in late, or again by a row that others have written meanwhile. One that
    /// was under way when the application was held back or found broken says
    /// nothing of the time since.
    fn succeed(
        &mut self,
        key: &IntegrationKey,
        sent_at: DateTime<Utc>,
        access_life: Option<TimeDelta>,
        refresh_life: Option<TimeDelta>,
    ) -> Assessment {
        let mut events = Vec::new();
        // That it is misconfigured is the platform's word, and holds until a later
        // request shows otherwise. That it is refused is our conclusion from none
        // succeeding, so any success refutes it: otherwise a few dead grants among
        // many that work would hold up all of them again and again.
        let is_refuted = self.breaker.as_ref().is_some_and(|breaker| {
            breaker.cause == BreakerCause::Refusals || breaker.since < sent_at
        });
        if is_refuted {
            self.breaker = None;
            events.push(HealthEvent::BreakerClosed);
        }
        // Whoever ends before a hold does is asked although it lasts. That one was let
        // through does not take back the platform's word about all the others; that it
        // fails all was our conclusion.
        let was_out = self.outage.is_some();
        self.outage = self
            .outage
            .filter(|outage| sent_at + EXCHANGE <= outage.since);
        let was_released = was_out && self.outage.is_none();
        // Its answer came within the time of an exchange: after these.
        let before = self.refused.len() + self.failing.len();
        self.refused.retain(|seen| seen.at > sent_at + EXCHANGE);
        self.failing.retain(|seen| seen.at > sent_at + EXCHANGE);
        let had_refusals = self.refused.len() + self.failing.len() < before || was_released;
        self.remember_success(key, sent_at);
        for (token, lives, life) in [
            ("access", &mut self.access_lives, access_life),
            ("refresh", &mut self.refresh_lives, refresh_life),
        ] {
            let changed = life.and_then(|life| remember_life(lives, life.num_seconds()));
            events.extend(changed.map(|(before, now)| HealthEvent::LifeChanged {
                token,
                before,
                now,
            }));
        }
        Assessment {
            verdict: None,
            conclusive: true,
            is_urgent: !events.is_empty() || had_refusals || self.version == 0,
            events,
        }
    }

    /// The most recent first; one of another organisation is worth more than
    /// a second of the same, because it shows that there are two.
    fn remember_success(&mut self, key: &IntegrationKey, at: DateTime<Utc>) {
        let known = |seen: &Sighting| seen.key == *key && seen.at > at;
        if self.succeeded.iter().any(known) {
            return;
        }
        self.succeeded.retain(|seen| seen.key != *key);
        let place = self.succeeded.iter().position(|seen| seen.at <= at);
        self.succeeded.insert(
            place.unwrap_or(self.succeeded.len()),
            Sighting {
                key: key.clone(),
                at,
            },
        );
        if self.succeeded.len() > MAX_SUCCESSES {
            let repeated = (1..self.succeeded.len()).rev().find(|&n| {
                let org = &self.succeeded[n].key.org_id;
                self.succeeded[..n]
                    .iter()
                    .any(|seen| seen.key.org_id == *org)
            });
            self.succeeded.remove(repeated.unwrap_or(MAX_SUCCESSES));
        }
    }

    fn fail(
        &mut self,
        key: &IntegrationKey,
        verdict: &Verdict,
        had_worked: bool,
        refused_since: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Assessment {
        let mut assessment = Assessment {
            verdict: Some(verdict.clone()),
            conclusive: self.open_breaker(now).is_none(),
            events: Vec::new(),
            is_urgent: false,
        };
        match verdict {
            Verdict::AppMisconfigured if self.works_without(had_worked, now) => {
                // Somebody registered a credential of another application: as
                // good as a refused one, and the others must not suffer for it.
                // Believed once others have worked since the first refusal.
                let last = self.succeeded.first().map(|seen| seen.at);
                assessment.events.push(HealthEvent::RefusedForOne);
                assessment.verdict = Some(Verdict::ReconnectNeeded(ReconnectReason::GrantRefused));
                assessment.conclusive = refused_since.is_some() && last > refused_since;
            }
            Verdict::AppMisconfigured => {
                assessment.conclusive = false;
                self.open(BreakerCause::Misconfigured, now, &mut assessment);
            }
            Verdict::ReconnectNeeded(ReconnectReason::GrantRefused) if had_worked => {
                let known = self.refused.iter().any(|seen| seen.key == *key);
                self.refused
                    .retain(|seen| now - seen.at < REFUSAL_WINDOW && seen.key != *key);
                self.refused.push(Sighting {
                    key: key.clone(),
                    at: now,
                });
                assessment.is_urgent = !known && self.refused.len() <= EVIDENCE_THRESHOLD;
                if self.is_suspicious() && self.breaker.is_none() {
                    self.open(BreakerCause::Refusals, now, &mut assessment);
                    assessment.conclusive = false;
                }
                // Enough to see that there are many, and of how many organisations.
                if self.refused.len() > EVIDENCE_THRESHOLD * 2 {
                    self.refused.remove(0);
                }
            }
            Verdict::Throttled {
                wait,
                whom: Throttled::Application,
            } if self.is_about_one(key) => {}
            Verdict::Throttled {
                wait,
                whom: Throttled::Application,
            } => {
                let until = end_of_hold(*wait, now);
                let before = self.hold.as_ref().filter(|hold| hold.until > now);
                let (before, since) = match before {
                    Some(hold) => (Some(hold.until), hold.since),
                    None => (None, now),
                };
                assessment.is_urgent = is_later(until, before);
                self.hold = Some(Hold {
                    until: before.map_or(until, |before| before.max(until)),
                    since,
                    by: key.clone(),
                });
            }
            // One request's bad jitter, until several integrations meet it.
            Verdict::Throttled {
                wait,
                whom: Throttled::Everyone,
            } => {
                let known = self.failing.iter().any(|seen| seen.key == *key);
                self.failing
                    .retain(|seen| now - seen.at < OUTAGE_WINDOW && seen.key != *key);
                self.failing.push(Sighting {
                    key: key.clone(),
                    at: now,
                });
                assessment.is_urgent = !known && self.failing.len() <= EVIDENCE_THRESHOLD;
                if self.failing.len() >= EVIDENCE_THRESHOLD {
                    let until = end_of_hold(*wait, now);
                    let before = self.outage.map(|outage| outage.until);
                    assessment.is_urgent |= is_later(until, before);
                    self.outage = Some(Outage {
                        until: before.map_or(until, |before| before.max(until)),
                        since: now,
                    });
                    self.failing
                        .drain(..self.failing.len() - EVIDENCE_THRESHOLD);
                }
            }
            _ => {}
        }
        assessment
    }

    /// Whether the operator has not heard of it lately; he does now.
    fn is_surprised(&mut self, by: &str, now: DateTime<Utc>) -> bool {
        self.surprises
            .retain(|_, told| now - *told < REPORT_INTERVAL);
        // Whatever codes a platform makes up: so many, and all others as one.
        let by = match self.surprises.len() >= MAX_SURPRISES {
            true if !self.surprises.contains_key(by) => "others",
            _ => by,
        };
        if self.surprises.contains_key(by) {
            return false;
        }
        self.surprises.insert(by.to_owned(), now);
        true
    }

    /// Whether the application has been seen to work lately, and it is a
    /// credential that never did which says otherwise.
    fn works_without(&self, had_worked: bool, now: DateTime<Utc>) -> bool {
        let last = self.succeeded.first();
        !had_worked
            && self.breaker.is_none()
            && last.is_some_and(|seen| now - seen.at < TRUST_PERIOD)
    }

    /// Whether so many refusals are about the application: not if they are one
    /// organisation's, where there are others.
    fn is_suspicious(&self) -> bool {
        let orgs = |seen: &[Sighting]| -> BTreeSet<_> {
            seen.iter().map(|seen| seen.key.org_id.clone()).collect()
        };
        let refused = orgs(&self.refused);
        let known = refused.union(&orgs(&self.succeeded)).count();
        self.refused.len() >= EVIDENCE_THRESHOLD && (refused.len() >= 2 || known < 2)
    }

    fn open(&mut self, cause: BreakerCause, now: DateTime<Utc>, assessment: &mut Assessment) {
        if let Some(breaker) = &self.breaker
            && breaker.cause == BreakerCause::Misconfigured
        {
            return;
        }
        self.breaker = Some(Breaker {
            cause,
            since: now,
            next_try_at: now + TRIAL_INTERVAL,
        });
        assessment.events.push(HealthEvent::BreakerOpened(cause));
        assessment.is_urgent = true;
    }
}

/// The end of a hold that begins now.
fn end_of_hold(wait: Option<TimeDelta>, now: DateTime<Utc>) -> DateTime<Utc> {
    now + wait.unwrap_or(DEFAULT_HOLD).min(MAX_HOLD)
}

/// Whether others must know of it: a second or two more is not worth a write.
fn is_later(until: DateTime<Utc>, before: Option<DateTime<Utc>>) -> bool {
    before.is_none_or(|before| until - before > TimeDelta::seconds(10))
}

/// Remembers a life that differs from all that were seen by more than a fifth,
/// and returns it with the last of those, if there was one.
fn remember_life(lives: &mut Vec<i64>, life: i64) -> Option<(i64, i64)> {
    let alike = |seen: &i64| (life - seen).abs() * 5 <= *seen;
    if lives.iter().any(alike) {
        return None;
    }
    let before = lives.last().copied();
    lives.push(life);
    if lives.len() > MAX_LIFETIMES {
        lives.remove(0);
    }
    before.map(|before| (before, life))
}

impl BreakerCause {
    /// Its name, as serialised.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Misconfigured => "misconfigured",
            Self::Refusals => "refusals",
        }
    }
}

#[cfg(test)]
mod tests;
