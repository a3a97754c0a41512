//! What became of each grant: the stored credential, the log of what every
//! service really did, and the platform's own word.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;
use shared::aws::token_cipher::{EncryptionContext, SealedField};
use shared::domain::integration::{Integration, Sealed, State};
use shared::domain::platform_health::BreakerCause;
use shared::domain::verdict::ReconnectReason;
use shared::oauth::Tokens;

use super::lab::Lab;
use super::plan::Effect;
use super::proxy::{Logged, Process};
use super::request::{Kind, id_of};
use super::run::Run;
use super::tally::Topic;

/// Lost, labelled, and people told: what a crash inside the window may cost.
pub(super) const INSIDE: &str = "inside the exposed window, labelled rotation lost";
/// A request reaches the platform when its sender's lease has ended and another
/// has taken over: no client can prevent that.
const DELAYED: &str = "a request arrived after its sender's lease had ended: told";
pub(super) const OUTSIDE: &str = "outside the exposed window";
pub(super) const UNLABELLED: &str = "inside the exposed window, unlabelled";

/// Whatever a platform asked for or said.
pub(super) const UNASKED: &str = "left to end unrefreshed although a refresh would be granted";

/// An exchange that the platform did, by its place in the log.
struct Rotation {
    at: usize,
    old: String,
    new: String,
    /// The first place in the log at which its new token was durable.
    durable_at: Option<usize>,
}

impl Run<'_> {
    /// Judges every integration; `generations` are those of before the last refresh.
    pub(super) async fn judge(&mut self, generations: &[u64]) {
        self.lab.world.stack.settled().await;
        // Printed also where there are none.
        for what in [OUTSIDE, INSIDE, UNLABELLED, UNASKED] {
            self.tally.count_many(Topic::Losses, what, 0);
        }
        let log = self.lab.proxy.log();
        for (integration, before) in generations.iter().enumerate() {
            let of: Vec<_> = log
                .iter()
                .filter(|logged| logged.asked.integration == Some(integration))
                .collect();
            let found = self.found.len();
            self.judge_one(integration, *before, &of).await;
            self.check_window(integration, &of);
            self.count_attempts(integration, &of).await;
            if self.found.len() > found {
                self.tell_story(integration, &of);
            }
        }
    }

    fn find(&mut self, integration: usize, what: impl std::fmt::Display) {
        let platform = self.integrations[integration].platform;
        let rules = self.lab.world.stack.platforms().rules(platform);
        self.found.push(format!(
            "c{integration} ({platform}, family kill {}, grace {} s): {what}",
            rules.family_kill, rules.grace_window
        ));
    }

    async fn judge_one(&mut self, integration: usize, before: u64, log: &[&Logged]) {
        let row = self.row(integration).await;
        match row.state {
            State::Disconnected { .. } if self.integrations[integration].is_off => {
                if row.credential.access_token.is_some() || row.credential.refresh_token.is_some() {
                    self.find(integration, "switched off, and a token is left");
                }
                self.tally
                    .count(Topic::Ends, "switched off, as the person wanted");
            }
            _ if self.integrations[integration].is_off => {
                self.find(
                    integration,
                    format!("a person's act undone: {:?}", row.state),
                );
            }
            State::Active if row.credential.generation > before => {
                self.tally
                    .count(Topic::Ends, "the grant lives, and was refreshed once more");
            }
            State::ReconnectRequired { reason, .. } => {
                self.tally.count(Topic::Ends, "reconnect required");
                self.judge_loss(integration, &row, reason, log).await;
            }
            ref other => self.lost_outside(integration, format!("{other:?} in the end")),
        }
    }

    fn lost_outside(&mut self, integration: usize, what: impl std::fmt::Display) {
        self.tally.count(Topic::Losses, OUTSIDE);
        self.find(integration, format!("lost outside the window: {what}"));
    }

    async fn judge_loss(
        &mut self,
        integration: usize,
        row: &Integration,
        reason: ReconnectReason,
        log: &[&Logged],
    ) {
        let stored = self
            .open(
                row,
                row.credential.refresh_token.as_ref(),
                row.credential.generation,
            )
            .await
            .unwrap();
        let rotations = self.rotations(row, log).await;
        if self.still_works(row).await {
            return self.lost_outside(integration, format!("a living grant given up: {reason:?}"));
        }
        let is_labelled = reason == ReconnectReason::RotationLost;
        match rotations.iter().find(|rotation| rotation.old == stored) {
            // The one whose answer we do not have.
            Some(rotation) => {
                if rotation.durable_at.is_some() {
                    return self.lost_outside(integration, "a durable token was overwritten");
                }
                if !has_cause(&log[rotation.at..]) {
                    return self.lost_outside(integration, "an answer was dropped for no reason");
                }
                if !is_labelled {
                    self.tally.count(Topic::Losses, UNLABELLED);
                    return self.find(integration, format!("lost, and labelled {reason:?}"));
                }
                self.tally.count(Topic::Losses, INSIDE);
                self.check_told(integration, row, &stored, log, &rotations)
                    .await;
            }
            // What is stored came late: a replay of the one before had killed it.
            None => {
                let killed_at = self.killed_at(integration, &stored, log, &rotations);
                if killed_at.is_some_and(|at| was_taken_over(log, at)) {
                    self.tally.count(Topic::Losses, DELAYED);
                    return self.check_notified(integration).await;
                }
                let stored_at = rotations.last().and_then(|rotation| rotation.durable_at);
                // Stored by a process whose lease had ended: the one that took over
                // may have sent the old token on either side of that.
                let came_late = stored_at.is_some_and(|at| was_taken_over(log, at));
                if killed_at.is_none() || killed_at > stored_at && !came_late {
                    let what = format!("killed at {killed_at:?}, stored at {stored_at:?}");
                    return self.lost_outside(integration, what);
                }
                // A process that hung longer than its lease, in the window.
                if !is_labelled {
                    self.tally.count(Topic::Losses, UNLABELLED);
                    return self.find(integration, format!("lost, and labelled {reason:?}"));
                }
                self.tally.count(Topic::Losses, INSIDE);
                self.check_notified(integration).await;
            }
        }
    }

    /// People heard of it, while the access token still lived unless the
    /// platform had killed that too.
    async fn check_told(
        &mut self,
        integration: usize,
        row: &Integration,
        stored: &str,
        log: &[&Logged],
        rotations: &[Rotation],
    ) {
        self.check_notified(integration).await;
        let since = row.state.since().unwrap();
        let end = row.expiry.access_token;
        let alive = end.is_some_and(|end| since < end);
        let warned = self
            .notified(integration, "integration_token_expiring")
            .await
            && log.iter().any(|logged| {
                let published = logged.asked.kind == Kind::Publish && logged.done;
                published && end.is_some_and(|end| logged.at < end)
            });
        let killed = self
            .killed_at(integration, stored, log, rotations)
            .is_some();
        let what = match alive {
            _ if killed => "told when the platform had killed the access token too",
            true => "told while the access token lived",
            // The refusal that makes it sure came after that.
            false if warned => "warned while the access token lived",
            false if self.was_held_up(integration).await => {
                "told late: the breaker doubted the refusals"
            }
            // A token is due 10 minutes before its end at least, and who dies costs five.
            false if self.died_twice(log) => "told late: a second process died in between",
            false if failed_again(log, rotations, stored, end) => {
                "told late: the platform itself failed again in between"
            }
            false => {
                let what = format!("told at {since}, ended {:?}", row.expiry.access_token);
                return self.find(integration, what);
            }
        };
        self.tally.count(Topic::Losses, what);
    }

    /// The first exchange in which a used token of the grant that `stored` belongs
    /// to was refused, where the platform kills the whole grant for that.
    fn killed_at(
        &self,
        integration: usize,
        stored: &str,
        log: &[&Logged],
        rotations: &[Rotation],
    ) -> Option<usize> {
        let platform = self.integrations[integration].platform;
        let rules = self.lab.world.stack.platforms().rules(platform);
        let mut family = vec![stored];
        while let Some(of) = rotations
            .iter()
            .find(|of| of.new == *family[family.len() - 1])
        {
            family.push(&of.old);
        }
        let is_replay = |at: usize, logged: &Logged| {
            let token = logged.asked.token.as_ref();
            let used = |of: &Rotation| of.at < at && Some(&of.old) == token;
            let used = |of: &Rotation| used(of) && family.contains(&of.old.as_str());
            logged.asked.kind == Kind::Exchange
                && logged.effect.acts()
                && logged.granted.is_none()
                && rotations.iter().any(used)
        };
        let mut exchanges = log.iter().enumerate();
        exchanges
            .position(|(at, logged)| is_replay(at, logged))
            .filter(|_| rules.family_kill)
    }

    async fn check_notified(&mut self, integration: usize) {
        if !self
            .notified(integration, "integration_reconnect_required")
            .await
        {
            self.find(integration, "lost, and nobody was told");
        }
    }

    async fn notified(&self, integration: usize, kind: &str) -> bool {
        let told = self.lab.world.notifications("olga", &self.org).await;
        let id = id_of(integration);
        told.iter().any(|notification| {
            notification["type"] == kind && notification["data"]["integration_id"] == id.as_str()
        })
    }

    /// Whether two processes that had claimed the integration died.
    fn died_twice(&self, log: &[&Logged]) -> bool {
        let has_claimed = |process: &&Process| {
            let claims = |of: &&Logged| of.process == **process && of.asked.kind == Kind::Claim;
            log.iter().any(claims)
        };
        self.buried.iter().filter(has_claimed).count() > 1
    }

    /// Whether refusals were put down to our application meanwhile.
    async fn was_held_up(&self, integration: usize) -> bool {
        let platform = self.integrations[integration].platform;
        let table = self
            .lab
            .world
            .variable("CheckTokensFunction", "QUOTAS_TABLE");
        let client = self.lab.dynamodb.clone();
        let row = shared::aws::tables::PlatformHealthTable::new(client, table)
            .get(platform)
            .await;
        row.unwrap()
            .breaker
            .is_some_and(|breaker| breaker.cause == BreakerCause::Refusals)
    }

    async fn open(
        &self,
        row: &Integration,
        sealed: Option<&Sealed>,
        generation: u64,
    ) -> Option<String> {
        let context = EncryptionContext {
            org_id: &row.org_id,
            integration_id: &row.integration_id,
            field: SealedField::RefreshToken,
            generation,
        };
        let opened = self.lab.importer.sealer.open(context, sealed?).await;
        opened.ok().map(|token| token.expose_secret().to_owned())
    }

    /// The platform's word, asked past the product.
    async fn still_works(&self, row: &Integration) -> bool {
        let sealer = &self.lab.importer.sealer;
        let context = |field| EncryptionContext {
            org_id: &row.org_id,
            integration_id: &row.integration_id,
            field,
            generation: row.credential.generation,
        };
        let open = |field, sealed| sealer.open(context(field), sealed);
        let access_token = open(
            SealedField::AccessToken,
            row.credential.access_token.as_ref().unwrap(),
        );
        let refresh_token = open(
            SealedField::RefreshToken,
            row.credential.refresh_token.as_ref().unwrap(),
        );
        let tokens = Tokens {
            access_token: access_token.await.unwrap(),
            refresh_token: Some(refresh_token.await.unwrap()),
        };
        let Lab {
            oauth, credentials, ..
        } = &*self.lab;
        let answer = oauth
            .refresh(row.platform, row.refresh_model(), credentials, &tokens)
            .await;
        answer.result.is_ok()
    }

    /// Every exchange in which the platform replaced a token.
    async fn rotations(&self, row: &Integration, log: &[&Logged]) -> Vec<Rotation> {
        let mut copies = Vec::new();
        for (at, logged) in log.iter().enumerate() {
            let stays =
                matches!(logged.asked.kind, Kind::Store | Kind::StoreFallback) && logged.done;
            if let Some(copy) = logged.asked.copy.as_ref().filter(|_| stays) {
                let sealed = Some(&copy.refresh_token);
                copies.push((at, self.open(row, sealed, copy.generation).await));
            }
        }
        let mut rotations = Vec::new();
        for (at, logged) in log.iter().enumerate() {
            let (Some(old), Some(Some(new))) = (&logged.asked.token, &logged.granted) else {
                continue;
            };
            // A grace window gives the same answer again.
            if old == new || rotations.iter().any(|of: &Rotation| of.old == *old) {
                continue;
            }
            let durable_at = copies
                .iter()
                .find(|(_, token)| token.as_ref() == Some(new))
                .map(|(at, _)| *at);
            rotations.push(Rotation {
                at,
                old: old.clone(),
                new: new.clone(),
                durable_at,
            });
        }
        rotations
    }

    /// From the platform's answer to the first durable copy, a process asks for
    /// nothing about the integration but to store it.
    fn check_window(&mut self, integration: usize, log: &[&Logged]) {
        for (at, exchange) in log.iter().enumerate() {
            if !matches!(exchange.granted, Some(Some(_))) || !exchange.answered {
                continue;
            }
            let of_same = log[at + 1..]
                .iter()
                .filter(|next| next.process == exchange.process);
            for next in of_same {
                match next.asked.kind {
                    Kind::Store | Kind::StoreFallback if next.done => break,
                    Kind::Store | Kind::StoreFallback => {}
                    // It has given up, and says so.
                    Kind::Audit => break,
                    other => {
                        self.find(integration, format!("{other:?} in the exposed window"));
                        break;
                    }
                }
            }
        }
    }

    /// Counts the attempts, and what came of those in doubt.
    async fn count_attempts(&mut self, integration: usize, log: &[&Logged]) {
        let rows = self
            .lab
            .world
            .audit(&format!("integration#{}#{}", self.org, id_of(integration)))
            .await;
        let verdicts: BTreeMap<_, _> = rows
            .iter()
            .filter_map(|row| Some((row["attempt_id"].as_str()?, row["verdict"].as_str()?)))
            .collect();
        let mut counted = Vec::new();
        for logged in log
            .iter()
            .filter(|of| of.done && of.asked.kind == Kind::Claim)
        {
            let Some((attempt, in_doubt)) = &logged.asked.lease else {
                continue;
            };
            if counted.contains(&attempt) {
                continue;
            }
            counted.push(attempt);
            let verdict = verdicts.get(attempt.as_str());
            let verdict = verdict.copied().unwrap_or("cut, or not recorded");
            self.tally.count(Topic::Attempts, verdict);
            if *in_doubt {
                self.tally.count(Topic::Doubts, verdict);
            }
        }
        self.count_leftovers(integration, log);
    }

    /// Fallback copies outlive their use only if a place failed, or a process died;
    /// nobody reads them then, and the bucket drops them in time.
    fn count_leftovers(&mut self, integration: usize, log: &[&Logged]) {
        let of = |kind| log.iter().filter(move |of| of.asked.kind == kind);
        let fallback = of(Kind::StoreFallback).filter(|of| of.done).count();
        let removed = of(Kind::RemoveFallback).filter(|of| of.done).count();
        if fallback == 0 {
            return;
        }
        self.tally
            .count(Topic::Leftovers, "integrations that had a fallback copy");
        if removed > 0 {
            return;
        }
        let stores = [Kind::Store, Kind::StoreFallback, Kind::RemoveFallback];
        let failed = log
            .iter()
            .any(|of| stores.contains(&of.asked.kind) && of.effect != Effect::Pass);
        match failed || !self.buried.is_empty() {
            true => self
                .tally
                .count(Topic::Leftovers, "of these, still there in the end"),
            false => self.find(integration, "a fallback copy is left for no reason"),
        }
    }

    fn tell_story(&mut self, integration: usize, log: &[&Logged]) {
        self.story.push(format!("c{integration}:"));
        for (at, logged) in log.iter().enumerate() {
            self.story.push(format!(
                "  {at}: process {} {:?}: {}{}{}",
                logged.process,
                logged.asked.kind,
                logged.effect.name(),
                if logged.done { "" } else { ", not done" },
                match &logged.granted {
                    Some(Some(_)) => ", replaced",
                    Some(None) => ", granted",
                    None => "",
                }
            ));
        }
    }
}

/// Whether another process claimed the integration before this one's request
/// arrived, which it had claimed earlier.
fn was_taken_over(log: &[&Logged], at: usize) -> bool {
    let process = log[at].process;
    let mut claims = log[..at]
        .iter()
        .filter(|of| of.done && of.asked.kind == Kind::Claim)
        .skip_while(|of| of.process != process);
    claims.any(|of| of.process != process)
}

/// Whether the platform left a doubt once more after the exchange whose answer
/// was lost, while the access token lived, so that the refusal came that much later.
fn failed_again(
    log: &[&Logged],
    rotations: &[Rotation],
    stored: &str,
    end: Option<DateTime<Utc>>,
) -> bool {
    let lost = rotations.iter().find(|of| of.old == stored);
    lost.is_some_and(|lost| {
        log[lost.at + 1..]
            .iter()
            .take_while(|of| end.is_some_and(|end| of.at < end))
            .any(|of| of.asked.kind == Kind::Exchange && of.effect != Effect::Pass)
    })
}

/// Whether it is for a fault that an answer was not stored: `log` begins with
/// the exchange that brought it.
fn has_cause(log: &[&Logged]) -> bool {
    let exchange = log[0];
    if !exchange.answered {
        return true;
    }
    let own = || log[1..].iter().filter(|of| of.process == exchange.process);
    let stores: Vec<_> = own()
        .filter(|of| matches!(of.asked.kind, Kind::Store | Kind::StoreFallback))
        .collect();
    // It died, or every place failed it.
    let was_silent = own().count() == stores.len();
    // The first may have failed its condition only because the row had moved on.
    let all_failed = stores.iter().all(|of| !of.done)
        && stores
            .last()
            .is_some_and(|of| !matches!(of.effect, Effect::Pass | Effect::Lie));
    was_silent && stores.iter().all(|of| of.effect != Effect::Lie) || all_failed
}
