//! One run: integrations, sweeps among faults, then calm until nothing is in
//! doubt any more.

use std::collections::BTreeMap;

use check_tokens::SweepError;
use chrono::{DateTime, TimeDelta, Utc};
use local::platforms::Rules;
use serde_json::json;
use shared::IntegrationKey;
use shared::Platform;
use shared::domain::integration::{Integration, State};
use shared::domain::report::SweepReport;
use test_support::{Random, Section, Tally};
use tokio::task::{AbortHandle, JoinSet};

use super::judge::UNASKED;
use super::lab::Lab;
use super::plan::{Disturbance, Interruption, Plan};
use super::proxy::{Call, Logged, Process};
use super::request::{RequestKind, id_of};
use crate::world::{key, start};

/// Covers the least pause between two tries, and an answer that took its time.
const LAST_MINUTES: TimeDelta = TimeDelta::minutes(3);

/// Everything settles within this many sweeps.
const MAX_SETTLING_SWEEPS: usize = 60;

pub(super) struct EndedRun {
    pub(super) tally: Tally<RequestKind>,
    /// Problems that the run found.
    pub(super) found: Vec<String>,
    pub(super) story: Vec<String>,
}

pub(super) struct SimulationRun<'a> {
    pub(super) lab: &'a mut Lab,
    pub(super) org: String,
    pub(super) integrations: Vec<Subject>,
    pub(super) tally: Tally<RequestKind>,
    pub(super) found: Vec<String>,
    pub(super) story: Vec<String>,
    /// Processes that died.
    pub(super) buried: Vec<Process>,
    random: Random,
}

pub(super) struct Subject {
    pub(super) platform: Platform,
    /// Credentials that people gave it so far.
    pub(super) credentials: u32,
    /// Whether a person switched it off.
    pub(super) is_off: bool,
}

/// Runs a seed; where `lying`, the table lies about what it stored.
pub(super) async fn run(lab: &mut Lab, seed: u64, lying: bool) -> EndedRun {
    let mut run = SimulationRun::begin(lab, seed, lying).await;
    run.disturb(lying).await;
    run.settle().await;
    let generations = run.let_all_refresh().await;
    run.judge(&generations).await;
    run.end().await
}

fn rules(random: &mut Random, platform: Platform) -> Rules {
    Rules {
        family_kill: random.percent(50),
        grace_window: random.pick(&[0, 0, 30, 180]),
        ..Rules::documented(platform)
    }
}

impl<'a> SimulationRun<'a> {
    async fn begin(lab: &'a mut Lab, seed: u64, lying: bool) -> Self {
        let mut random = Random::new(seed);
        lab.world.clock.set(start());
        for platform in [Platform::Twitter, Platform::Tiktok, Platform::Snapchat] {
            let rules = rules(&mut random, platform);
            lab.world.stack.platforms().set_rules(platform, rules);
        }
        let platforms = [
            Platform::Twitter,
            Platform::Twitter,
            random.pick(&[Platform::Tiktok, Platform::Snapchat]),
            random.pick(&[Platform::Twitter, Platform::Tiktok, Platform::Google]),
        ];
        let plan = match lying {
            true => Plan::of_a_lying_store(),
            false => Plan::random(&mut random, platforms.len()),
        };
        lab.proxy.begin(plan);
        let mut run = Self {
            lab,
            org: format!("s{seed}"),
            integrations: Vec::new(),
            tally: Tally::new(),
            found: Vec::new(),
            story: Vec::new(),
            buried: Vec::new(),
            random,
        };
        run.import(&json!({
            "type": "organization", "org_id": run.org, "name": "Acme", "owner_id": "olga",
        }))
        .await;
        for platform in platforms {
            run.integrations.push(Subject {
                platform,
                credentials: 0,
                is_off: false,
            });
            run.connect(run.integrations.len() - 1, TimeDelta::hours(1))
                .await;
        }
        run
    }

    async fn disturb(&mut self, lying: bool) {
        if !lying {
            self.lab.proxy.ambush(Interruption::rare(&mut self.random));
        }
        for _ in 0..self.random.below(3) + 3 {
            let further = match self.random.percent(50) {
                true => 0,
                false => self.random.below(480),
            };
            self.pass_until_due(TimeDelta::seconds(further.into()))
                .await;
            let processes = if self.random.percent(15) { 2 } else { 1 };
            let hurried = self.random.percent(15);
            let interruption = Interruption::random(&mut self.random).filter(|_| !lying);
            self.lab.proxy.arm(interruption);
            let deadline = hurried.then(|| self.lab.world.now() + TimeDelta::seconds(60));
            self.sweep(processes, deadline).await;
        }
    }

    /// Sweeps without faults, until nothing is under way or in doubt.
    async fn settle(&mut self) {
        self.lab.proxy.calm();
        for _ in 0..MAX_SETTLING_SWEEPS {
            let rows = self.rows().await;
            let now = self.lab.world.now();
            if rows.iter().all(|row| is_settled(row, now)) {
                return;
            }
            if !self.pass_until_due(TimeDelta::zero()).await {
                self.lab.world.pass(TimeDelta::minutes(5));
            }
            self.sweep(1, None).await;
        }
        let rows: Vec<_> = self.rows().await.into_iter().map(|row| row.state).collect();
        self.found.push(format!("nothing settles: {rows:?}"));
    }

    /// Lets time pass until every integration that works must have refreshed once more, and
    /// returns the generations from before.
    async fn let_all_refresh(&mut self) -> Vec<u64> {
        let rows = self.rows().await;
        let now = self.lab.world.now();
        let active = rows.iter().filter(|row| row.state == State::Active);
        if let Some(last) = active.filter_map(|row| row.refresh_due_at(now)).max() {
            self.lab.world.clock.set(last.max(now));
            self.sweep(1, None).await;
            self.settle().await;
        }
        rows.iter().map(|row| row.credential.generation).collect()
    }

    pub(super) fn key(&self, integration: usize) -> IntegrationKey {
        key(&self.org, &id_of(integration))
    }

    pub(super) async fn row(&self, integration: usize) -> Integration {
        let row = self.lab.integrations.get(&self.key(integration)).await;
        row.unwrap().unwrap()
    }

    pub(super) async fn rows(&self) -> Vec<Integration> {
        let all = (0..self.integrations.len()).map(|integration| self.row(integration));
        futures::future::join_all(all).await
    }

    /// Moves the clock to the first `next_action_at` and `further`, unless that is past.
    /// Returns whether it moved.
    async fn pass_until_due(&mut self, further: TimeDelta) -> bool {
        let rows = self.rows().await;
        let next = rows.iter().filter_map(|row| row.next_action_at).min();
        let later = next.filter(|next| *next > self.lab.world.now());
        if let Some(next) = later {
            self.lab.world.clock.set(next + further);
        }
        later.is_some()
    }

    /// Sweeps with so many processes at once.
    async fn sweep(&mut self, processes: usize, deadline: Option<DateTime<Utc>>) {
        let (mut tasks, mut handles) = (JoinSet::new(), BTreeMap::new());
        for _ in 0..processes {
            let (process, function) = self.lab.start(&[]);
            let sweep = async move {
                let request = check_tokens::Request::default();
                function.sweep(request, deadline, |_| {}).await
            };
            handles.insert(process, tasks.spawn(sweep));
        }
        loop {
            tokio::select! {
                biased;
                Some(call) = self.lab.calls.recv() => self.interrupt(call, &handles).await,
                ended = tasks.join_next() => match ended {
                    None => break,
                    Some(Ok(result)) => self.check_for_panics(result),
                    Some(Err(error)) => assert!(error.is_cancelled(), "{error}"),
                },
            }
        }
        self.wait_until_quiet().await;
        self.check_that_all_are_asked_about_in_time().await;
    }

    /// Waits until requests of processes that are gone have ended.
    async fn wait_until_quiet(&mut self) {
        let proxy = self.lab.proxy.clone();
        let mut quiet = std::pin::pin!(proxy.quiet());
        loop {
            tokio::select! {
                biased;
                Some(call) = self.lab.calls.recv() => drop(call),
                () = &mut quiet => break,
            }
        }
    }

    /// Checks that a token that can still be refreshed is tried before it really ends,
    /// whatever a platform asked for or said.
    async fn check_that_all_are_asked_about_in_time(&mut self) {
        let (rows, log, now) = (
            self.rows().await,
            self.lab.proxy.log(),
            self.lab.world.now(),
        );
        for (integration, row) in rows.iter().enumerate() {
            let is_idle = row.refresh.lease.is_none() && row.refresh.intent.is_none();
            let works = matches!(row.state, State::Active | State::Retrying { .. });
            let Some(end) = self
                .true_end(integration, row, &log)
                .filter(|_| is_idle && works)
            else {
                continue;
            };
            let next = row.next_attempt_at(now);
            if end - now >= LAST_MINUTES && next.is_none_or(|next| next >= end) {
                self.tally.count(Section::Losses, UNASKED);
                let what = format!("c{integration}: ends {end}, next tried {next:?}: {row:?}");
                self.found.push(what);
            }
        }
    }

    /// Returns when the access token really ends, whatever was said of it.
    fn true_end(
        &self,
        integration: usize,
        row: &Integration,
        log: &[Logged],
    ) -> Option<DateTime<Utc>> {
        let platform = self.integrations[integration].platform;
        let life = self
            .lab
            .world
            .stack
            .platforms()
            .rules(platform)
            .access_lifetime;
        let granted = |of: &&Logged| {
            of.request.integration == Some(integration) && of.granted.is_some() && of.answered
        };
        let last = log.iter().rev().find(granted)?;
        // Only of what is stored: a later answer may have been lost.
        let is_stored = row
            .expiry
            .issued_at
            .is_some_and(|at| (at - last.at).abs() < LAST_MINUTES);
        is_stored.then(|| last.at + TimeDelta::seconds(life))
    }

    fn check_for_panics(&mut self, result: Result<SweepReport, SweepError>) {
        let Ok(report) = result else { return };
        let panicked = report
            .failures
            .iter()
            .filter(|f| f.problem.contains("panicked"));
        for failure in panicked {
            self.found.push(format!("{failure:?}"));
        }
    }

    /// Does what must happen in the middle of a request.
    async fn interrupt(&mut self, call: Call, handles: &BTreeMap<Process, AbortHandle>) {
        if self.buried.contains(&call.process) {
            return;
        }
        self.story.push(format!(
            "{} at {:?}: {:?} of {:?} by process {}, {}",
            self.lab.world.now(),
            call.moment,
            call.kind,
            call.integration,
            call.process,
            call.what.name()
        ));
        self.tally.count(Section::Interruptions, call.what.name());
        let integration = call.integration.unwrap_or_else(|| {
            let count = u32::try_from(self.integrations.len()).unwrap();
            self.random.below(count) as usize
        });
        match call.what {
            Disturbance::Crash => {
                self.tally.crash(call.kind, call.moment);
                self.buried.push(call.process);
                self.lab.proxy.bury(call.process);
                handles[&call.process].abort();
                while !handles[&call.process].is_finished() {
                    tokio::task::yield_now().await;
                }
            }
            Disturbance::Rival(seconds) => {
                self.lab.world.pass(TimeDelta::seconds(seconds.into()));
                let (_, function) = self.lab.start(&[]);
                let request = check_tokens::Request::default();
                let armed = self.lab.proxy.disarm();
                let result = function.sweep(request, None, |_| {}).await;
                self.lab.proxy.rearm(armed);
                self.check_for_panics(result);
            }
            Disturbance::Reconnect => self.connect(integration, TimeDelta::hours(3)).await,
            Disturbance::Disconnect => self.disconnect(integration).await,
        }
        drop(call);
    }

    /// Deletes what another run would come across, and returns the result.
    async fn end(mut self) -> EndedRun {
        self.lab.world.stack.settled().await;
        for (table, keys) in self.leftovers() {
            let item = keys.into_iter().map(|(name, value)| {
                let value = aws_sdk_dynamodb::types::AttributeValue::S(value);
                (name.to_owned(), value)
            });
            let delete = self.lab.dynamodb.delete_item().table_name(table);
            delete.set_key(Some(item.collect())).send().await.unwrap();
        }
        for logged in self.lab.proxy.log() {
            if logged.effect.name() != "passed" {
                let what = format!("{}: {}", logged.request.service, logged.effect.name());
                self.tally.count(Section::Faults, what);
            }
        }
        self.tally.count(Section::Runs, "runs");
        let integrations = self.integrations.len() as u64;
        self.tally
            .count_many(Section::Runs, "integrations", integrations);
        EndedRun {
            tally: self.tally,
            found: self.found,
            story: self.story,
        }
    }

    fn leftovers(&self) -> Vec<(String, Vec<(&'static str, String)>)> {
        let table = |name| self.lab.world.variable("CheckTokensFunction", name);
        let rows = (0..self.integrations.len()).map(|integration| {
            let keys = vec![
                ("org_id", self.org.clone()),
                ("integration_id", id_of(integration)),
            ];
            (table("INTEGRATIONS_TABLE"), keys)
        });
        let applications = Platform::ALL.map(|platform| {
            let keys = vec![("quota_key", format!("platform#{platform}"))];
            (table("QUOTAS_TABLE"), keys)
        });
        rows.chain(applications).collect()
    }
}

/// Whether nothing is under way, in doubt, or waiting for a confirmation.
fn is_settled(row: &Integration, now: DateTime<Utc>) -> bool {
    let is_idle = row.refresh.lease.is_none() && row.refresh.intent.is_none();
    let is_told = row.next_action_at.is_none_or(|at| at > now);
    let is_final = match row.state {
        State::Active => row.refresh.attempted_at.is_some(),
        State::ReconnectRequired { .. } | State::Disconnected { .. } => true,
        State::Retrying { .. } | State::PlatformActionRequired { .. } => false,
    };
    is_idle && is_told && is_final
}
