//! Integrations of one platform that asks some or all of them to wait, for short or for long,
//! and that sometimes names impossible lifetimes. The truth is kept beside the rows: when each
//! token really ends, and when a refresh would be granted. Every token's end is judged by that
//! truth.

use chrono::{DateTime, TimeDelta, Utc};
use test_support::{Random, Section, Seeds, Tally};

use super::step_kind::StepKind;
use crate::IntegrationKey;
use crate::domain::alert_policy::{AlertPolicy, PendingAlert};
use crate::domain::integration::{Integration, Sealed, State};
use crate::domain::platform_health::{Availability, Observation, PlatformHealth};
use crate::domain::refresh::{Lifetimes, Renewed};
use crate::domain::schedule::tests::{at, integration};
use crate::domain::verdict::{ThrottleScope, Transient, Verdict};
use crate::platforms::catalog::RefreshModel;
use crate::{IntegrationId, Platform};

/// An ordinary test run takes this many seeds.
const RUNS: u64 = 4_000;
/// The interval of the schedule.
const SWEEP: TimeDelta = TimeDelta::minutes(5);
/// A token must be refreshed if every sweep from this long before its end on could have done so.
const IN_TIME: TimeDelta = TimeDelta::minutes(10);

/// What the platform does for a while.
#[derive(Debug, Clone, Copy)]
enum TroubleKind {
    /// 5xx with `Retry-After`.
    Fails,
    /// 429 with `Retry-After`.
    Throttles,
    /// 5xx without `Retry-After`.
    FailsSilently,
}

/// A time in which the platform has trouble, with all integrations or with one.
#[derive(Debug, Clone, Copy)]
struct Trouble {
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    only: Option<usize>,
    kind: TroubleKind,
    /// What `Retry-After` says, in seconds, as it is read.
    wait: i64,
}

/// The truth about a row's token.
#[derive(Debug, Clone, Copy)]
struct Truth {
    ends: DateTime<Utc>,
    life: TimeDelta,
    /// Every sweep since this instant could have refreshed the token.
    grantable_since: Option<DateTime<Utc>>,
    /// The first failed refresh since the token was issued.
    failed_at: Option<DateTime<Utc>>,
    warned: bool,
    is_judged: bool,
}

const GRANTED: &str = "refreshes granted";
const THROTTLED: &str = "refused: 429 with Retry-After";
const FAILED: &str = "refused: 5xx, with and without";
const WAITED: &str = "not asked: the platform wants all of us to wait";
const ASKED_IN_A_HOLD: &str = "asked although it does: would end before";
const IMPOSSIBLE_LIVES: &str = "lives that cannot be";
const ENDED: &str = "tokens that ended, with a platform that refused to the end";
const UNREFRESHED: &str = "ended unrefreshed although a refresh would have been granted";
const UNWARNED: &str = "ended unwarned although that was to be seen";

struct HoldsWorld {
    chance: Random,
    platform: Platform,
    model: RefreshModel,
    now: DateTime<Utc>,
    application: PlatformHealth,
    rows: Vec<(Integration, Truth)>,
    troubles: Vec<Trouble>,
    tally: Tally<StepKind>,
    found: Vec<String>,
}

/// Runs a seed to its end.
fn run(seed: u64) -> (Tally<StepKind>, Vec<String>) {
    let mut world = HoldsWorld::new(seed);
    let sweeps = match world.model {
        RefreshModel::Extend => 400,
        _ => 150,
    };
    for _ in 0..sweeps {
        world.sweep();
        world.now += SWEEP;
        world.judge();
        if !world.found.is_empty() {
            break;
        }
    }
    let integrations = world.rows.len() as u64;
    world.tally.count(Section::Runs, "runs");
    world
        .tally
        .count_many(Section::Runs, "integrations", integrations);
    (world.tally, world.found)
}

impl HoldsWorld {
    fn new(seed: u64) -> Self {
        let mut chance = Random::new(seed);
        let platform = chance.pick(&[
            Platform::Google,
            Platform::Twitter,
            Platform::Tiktok,
            Platform::Snapchat,
            Platform::Linkedin,
            Platform::Meta,
            Platform::Instagram,
        ]);
        let has_refresh_token = !matches!(platform, Platform::Meta | Platform::Instagram);
        let model = platform.refresh_model(has_refresh_token, true);
        let rows = (0..1 + chance.below(8)).map(|n| {
            // Sixty-day tokens are met towards their end, or were given a short life.
            let life = match platform.usual_access_lifetime() {
                long if long > TimeDelta::days(1) => chance.pick(&[
                    TimeDelta::seconds(5_000),
                    TimeDelta::hours(6),
                    TimeDelta::days(3),
                ]),
                short => short,
            };
            let age = life * chance.below(90) / 100;
            let seconds = |time: TimeDelta| time.num_seconds();
            let ends = seconds(life - age);
            let mut row = integration(platform, has_refresh_token, -seconds(age), Some(ends));
            row.integration_id = IntegrationId::new(format!("i{n}")).unwrap();
            if chance.percent(70) {
                (row.refresh.renewed_at, row.refresh.attempted_at) =
                    (row.expiry.issued_at, row.expiry.issued_at);
            }
            row.derive_index_keys(at(0));
            let truth = Truth {
                ends: at(ends),
                life,
                grantable_since: None,
                failed_at: None,
                warned: false,
                is_judged: false,
            };
            (row, truth)
        });
        let rows: Vec<_> = rows.collect();
        let troubles = (0..chance.below(6)).map(|_| {
            let from = at(0) + chance.millis(0, 40_000_000);
            let length = chance.pick(&[60, 600, 1_800, 7_200]);
            let wait = chance.pick(&[1, 30, 91, 900, 3_600]);
            Trouble {
                from,
                until: from + chance.millis(0, length * 1_000),
                only: chance.percent(40).then(|| chance.below(rows.len())),
                kind: chance.pick(&[
                    TroubleKind::Fails,
                    TroubleKind::Fails,
                    TroubleKind::Throttles,
                    TroubleKind::Throttles,
                    TroubleKind::FailsSilently,
                ]),
                wait: i64::from(wait),
            }
        });
        let troubles = troubles.collect();
        Self {
            troubles,
            rows,
            platform,
            model,
            now: at(0),
            application: PlatformHealth::new(platform),
            tally: Tally::new(),
            found: Vec::new(),
            chance,
        }
    }

    fn trouble(&self, who: usize) -> Option<Trouble> {
        let is_now = |of: &&Trouble| of.from <= self.now && self.now < of.until;
        let is_its = |of: &&Trouble| of.only.is_none_or(|only| only == who);
        self.troubles.iter().filter(is_now).find(is_its).copied()
    }

    fn sweep(&mut self) {
        for who in 0..self.rows.len() {
            let trouble = self.trouble(who);
            let (row, truth) = &mut self.rows[who];
            let would_be_granted = trouble.is_none() && self.now < truth.ends;
            truth.grantable_since = match would_be_granted {
                true => truth.grantable_since.or(Some(self.now)),
                false => None,
            };
            if row.next_action_at.is_none_or(|at| at > self.now) {
                continue;
            }
            if row
                .refresh_due_at(self.now)
                .is_some_and(|at| at <= self.now)
            {
                self.attempt(who, trouble);
            }
            let (row, truth) = &mut self.rows[who];
            let mut due = row.pending_alerts(self.now, AlertPolicy::default());
            due.retain(|(at, _)| *at <= self.now);
            for (_, what) in &due {
                row.record_sent(what);
                truth.warned |= matches!(what, PendingAlert::Expiry { .. });
            }
            row.derive_index_keys(self.now);
        }
    }

    /// Attempts a refresh as `check-tokens` does.
    fn attempt(&mut self, who: usize, trouble: Option<Trouble>) {
        let (row, _) = &mut self.rows[who];
        match self.application.availability(self.now) {
            Availability::HeldBack(until) if !row.ends_before(until, self.now) => {
                row.wait_until(until, self.now);
                self.tally.count(Section::Attempts, WAITED);
                return;
            }
            Availability::HeldBack(_) => self.tally.count(Section::Attempts, ASKED_IN_A_HOLD),
            Availability::Available | Availability::BreakerOpen(_) => {}
        }
        match trouble {
            Some(trouble) => self.refuse(who, trouble),
            None => self.grant(who),
        }
    }

    fn refuse(&mut self, who: usize, trouble: Trouble) {
        let wait = Some(TimeDelta::seconds(trouble.wait));
        let verdict = match trouble.kind {
            TroubleKind::Fails => Verdict::Throttled {
                wait,
                scope: ThrottleScope::Platform,
            },
            TroubleKind::Throttles => Verdict::Throttled {
                wait,
                scope: ThrottleScope::Application,
            },
            TroubleKind::FailsSilently => Verdict::Transient(Transient::ServerError),
        };
        match trouble.kind {
            TroubleKind::Throttles => self.tally.count(Section::Attempts, THROTTLED),
            _ => self.tally.count(Section::Attempts, FAILED),
        }
        let jitter = self.chance.unit();
        let (row, truth) = &mut self.rows[who];
        truth.failed_at = truth.failed_at.or(Some(self.now));
        let observation = Observation::Failure {
            key: IntegrationKey::from(&*row),
            verdict: verdict.clone(),
            had_worked: row.refresh.renewed_at.is_some(),
            refused_since: None,
            code: None,
        };
        self.application.observe(&observation, self.now);
        row.fail(&verdict, true, self.now, jitter);
    }

    fn grant(&mut self, who: usize) {
        let (row, truth) = &mut self.rows[who];
        // Too young, or ended: no platform grants that.
        if self.model == RefreshModel::Extend && self.now >= truth.ends {
            return;
        }
        let life = self.platform.usual_access_lifetime();
        // Now and then a short one, as the platforms' own bad hours bring.
        let life = match self.model {
            RefreshModel::Extend if self.chance.percent(50) => TimeDelta::seconds(5_000),
            _ => life,
        };
        let seconds = life.num_seconds();
        let absurd = self.chance.percent(10) && life == self.platform.usual_access_lifetime();
        let said = match absurd {
            true => self.chance.pick(&[
                Some(seconds * 1_000),
                Some(self.now.timestamp() + seconds),
                Some(0),
                // Where no extension's answer may leave it out.
                Some(i64::from(u32::MAX)),
            ]),
            false => Some(seconds),
        };
        let number = u64::from(absurd);
        self.tally
            .count_many(Section::Faults, IMPOSSIBLE_LIVES, number);
        self.tally.count(Section::Attempts, GRANTED);
        let lifetimes = Lifetimes {
            access: said.map(TimeDelta::seconds),
            ..Lifetimes::default()
        };
        let renewed = Renewed {
            access_token: Sealed(self.now.timestamp().to_be_bytes().to_vec()),
            refresh_token: row.credential.refresh_token.clone(),
            rotated: false,
            lifetimes,
            sent_at: self.now,
        };
        let observation = Observation::Success {
            key: IntegrationKey::from(&*row),
            sent_at: self.now,
            access_lifetime: None,
            refresh_lifetime: None,
        };
        self.application.observe(&observation, self.now);
        row.renew(renewed, self.now);
        *truth = Truth {
            ends: self.now + life,
            life,
            grantable_since: Some(self.now),
            failed_at: None,
            // A warning of the old end still holds if that has not moved.
            warned: row.sent_alerts.threshold.is_some(),
            is_judged: false,
        };
    }

    /// Judges every token that has ended since the last sweep by the truth.
    fn judge(&mut self) {
        for (row, truth) in &mut self.rows {
            if truth.is_judged || truth.ends > self.now {
                continue;
            }
            truth.is_judged = true;
            let grantable = truth
                .grantable_since
                .is_some_and(|since| since <= truth.ends - IN_TIME.min(truth.life / 2));
            if grantable {
                self.tally.count(Section::Losses, UNREFRESHED);
                self.found
                    .push(format!("ended unrefreshed: {truth:?} {row:#?}"));
                continue;
            }
            self.tally.count(Section::Losses, ENDED);
            // It could be seen: no refresh will come any more, or the platform itself
            // says that it wants to be left alone for longer than the token lives.
            let is_final = self.model == RefreshModel::Extend;
            let must_wait = matches!(row.state, State::Retrying { failures: 2.., wait_until: Some(until), since, .. }
                if until >= truth.ends && since < truth.ends);
            let in_time = |at: DateTime<Utc>| at <= truth.ends - IN_TIME;
            if (is_final || must_wait) && truth.failed_at.is_some_and(in_time) && !truth.warned {
                self.tally.count(Section::Losses, UNWARNED);
                self.found
                    .push(format!("ended unwarned: {truth:?} {row:#?}"));
            }
        }
    }
}

#[test]
fn nothing_ends_that_a_refresh_would_have_kept_alive() {
    let command = "cargo test -p shared --lib holds -- --nocapture";
    let seeds = Seeds::from_environment("SIMULATION_RUNS", RUNS, command);
    let mut all = Tally::new();
    for what in [UNREFRESHED, UNWARNED] {
        all.count_many(Section::Losses, what, 0); // printed also where there are none
    }
    for seed in seeds.all() {
        let (tally, found) = run(seed);
        all.add(tally);
        if let [what, ..] = &found[..] {
            panic!("{what}\nalone: {}", seeds.replay(seed));
        }
    }
    println!("Holds and impossible lives\n{all}");
    for never in [UNREFRESHED, UNWARNED] {
        assert_eq!(all.of(Section::Losses, never), 0);
    }
    if seeds.runs >= RUNS {
        for (section, what) in [
            (Section::Attempts, THROTTLED),
            (Section::Attempts, FAILED),
            (Section::Attempts, WAITED),
            (Section::Attempts, ASKED_IN_A_HOLD),
            (Section::Faults, IMPOSSIBLE_LIVES),
            (Section::Losses, ENDED),
        ] {
            let count = all.of(section, what);
            assert!(count >= seeds.runs / 20, "{what}: {count}");
        }
    }
}
