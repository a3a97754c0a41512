//! What became of each grant: the stored credential, the log of what every
//! service really did, and the platform's own word.

use std::collections::BTreeMap;

use shared::domain::integration::{Integration, State};
use shared::domain::verdict::ReconnectReason;
use test_support::Section;

use super::evidence::{Rotation, failed_again, has_cause, was_taken_over};
use super::plan::Effect;
use super::proxy::Logged;
use super::request::{RequestKind, id_of};
use super::run::SimulationRun;

/// Lost, labelled, and people alerted: what a crash inside the window may cost.
pub(super) const INSIDE: &str = "inside the exposed window, labelled rotation lost";
/// A request reaches the platform when its sender's lease has ended and another
/// has taken over: no client can prevent that.
const DELAYED: &str = "a request arrived after its sender's lease had ended: people were alerted";
pub(super) const OUTSIDE: &str = "outside the exposed window";
pub(super) const UNLABELLED: &str = "inside the exposed window, unlabelled";

/// This is a loss whatever a platform asked for or said.
pub(super) const UNASKED: &str = "left to end unrefreshed although a refresh would be granted";

impl SimulationRun<'_> {
    /// Judges every integration; `generations` are those of before the last refresh.
    pub(super) async fn judge(&mut self, generations: &[u64]) {
        self.lab.world.stack.settled().await;
        // Printed also where there are none.
        for what in [OUTSIDE, INSIDE, UNLABELLED, UNASKED] {
            self.tally.count_many(Section::Losses, what, 0);
        }
        let log = self.lab.proxy.log();
        for (integration, before) in generations.iter().enumerate() {
            let of: Vec<_> = log
                .iter()
                .filter(|logged| logged.request.integration == Some(integration))
                .collect();
            let found = self.found.len();
            self.judge_one(integration, *before, &of).await;
            self.check_window(integration, &of);
            self.count_attempts(integration, &of).await;
            if self.found.len() > found {
                self.narrate(integration, &of);
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
                    .count(Section::Ends, "switched off, as the person wanted");
            }
            _ if self.integrations[integration].is_off => {
                self.find(
                    integration,
                    format!("a person's act undone: {:?}", row.state),
                );
            }
            State::Active if row.credential.generation > before => {
                self.tally.count(
                    Section::Ends,
                    "the grant lives, and was refreshed once more",
                );
            }
            State::ReconnectRequired { reason, .. } => {
                self.tally.count(Section::Ends, "reconnect required");
                self.judge_loss(integration, &row, reason, log).await;
            }
            ref other => self.lost_outside(integration, format!("{other:?} in the end")),
        }
    }

    fn lost_outside(&mut self, integration: usize, what: impl std::fmt::Display) {
        self.tally.count(Section::Losses, OUTSIDE);
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
                    self.tally.count(Section::Losses, UNLABELLED);
                    return self.find(integration, format!("lost, and labelled {reason:?}"));
                }
                self.tally.count(Section::Losses, INSIDE);
                self.check_alerted(integration, row, &stored, log, &rotations)
                    .await;
            }
            // What is stored came late: a replay of the one before had killed it.
            None => {
                let killed_at = self.killed_at(integration, &stored, log, &rotations);
                if killed_at.is_some_and(|at| was_taken_over(log, at)) {
                    self.tally.count(Section::Losses, DELAYED);
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
                    self.tally.count(Section::Losses, UNLABELLED);
                    return self.find(integration, format!("lost, and labelled {reason:?}"));
                }
                self.tally.count(Section::Losses, INSIDE);
                self.check_notified(integration).await;
            }
        }
    }

    /// Checks that people heard of the loss while the access token lived, or why they heard
    /// late.
    async fn check_alerted(
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
                let published = logged.request.kind == RequestKind::Publish && logged.done;
                published && end.is_some_and(|end| logged.at < end)
            });
        let killed = self
            .killed_at(integration, stored, log, rotations)
            .is_some();
        let what = match alive {
            _ if killed => "alerted when the platform had killed the access token too",
            true => "alerted while the access token lived",
            // The refusal that makes it sure came after that.
            false if warned => "warned while the access token lived",
            false if self.was_held_up(integration).await => {
                "alerted late: the breaker doubted the refusals"
            }
            // A token is due 10 minutes before its end at least, and who dies costs five.
            false if self.died_twice(log) => "alerted late: a second process died in between",
            false if failed_again(log, rotations, stored, end) => {
                "alerted late: the platform itself failed again in between"
            }
            false => {
                let what = format!("alerted at {since}, ended {:?}", row.expiry.access_token);
                return self.find(integration, what);
            }
        };
        self.tally.count(Section::Losses, what);
    }

    async fn check_notified(&mut self, integration: usize) {
        if !self
            .notified(integration, "integration_reconnect_required")
            .await
        {
            self.find(integration, "lost, and nobody was alerted");
        }
    }

    /// Checks that, from the platform's answer to the first durable copy, a process asks for
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
                match next.request.kind {
                    RequestKind::Store | RequestKind::StoreFallback if next.done => break,
                    RequestKind::Store | RequestKind::StoreFallback => {}
                    // It has given up, and says so.
                    RequestKind::Audit => break,
                    other => {
                        self.find(integration, format!("{other:?} in the exposed window"));
                        break;
                    }
                }
            }
        }
    }

    /// Counts the attempts, and how those in doubt ended.
    async fn count_attempts(&mut self, integration: usize, log: &[&Logged]) {
        let rows = self
            .lab
            .world
            .audit(&format!("integration#{}#{}", self.org, id_of(integration)))
            .await;
        let results: BTreeMap<_, _> = rows
            .iter()
            .filter_map(|row| Some((row["attempt_id"].as_str()?, row["result"].as_str()?)))
            .collect();
        let mut counted = Vec::new();
        for logged in log
            .iter()
            .filter(|of| of.done && of.request.kind == RequestKind::Claim)
        {
            let Some((attempt, in_doubt)) = &logged.request.lease else {
                continue;
            };
            if counted.contains(&attempt) {
                continue;
            }
            counted.push(attempt);
            let result = results.get(attempt.as_str());
            let result = result.copied().unwrap_or("cut, or not recorded");
            self.tally.count(Section::Attempts, result.to_owned());
            if *in_doubt {
                self.tally.count(Section::Doubts, result.to_owned());
            }
        }
        self.count_leftovers(integration, log);
    }

    /// Counts fallback copies that outlive their use, as they may only if a place failed or a
    /// process died. Nobody reads them then, and the bucket drops them in time.
    fn count_leftovers(&mut self, integration: usize, log: &[&Logged]) {
        let of = |kind| log.iter().filter(move |of| of.request.kind == kind);
        let fallback = of(RequestKind::StoreFallback).filter(|of| of.done).count();
        let removed = of(RequestKind::RemoveFallback).filter(|of| of.done).count();
        if fallback == 0 {
            return;
        }
        self.tally
            .count(Section::Leftovers, "integrations that had a fallback copy");
        if removed > 0 {
            return;
        }
        let stores = [
            RequestKind::Store,
            RequestKind::StoreFallback,
            RequestKind::RemoveFallback,
        ];
        let failed = log
            .iter()
            .any(|of| stores.contains(&of.request.kind) && of.effect != Effect::Pass);
        match failed || !self.buried.is_empty() {
            true => self
                .tally
                .count(Section::Leftovers, "of these, still there in the end"),
            false => self.find(integration, "a fallback copy is left for no reason"),
        }
    }

    fn narrate(&mut self, integration: usize, log: &[&Logged]) {
        self.story.push(format!("c{integration}:"));
        for (at, logged) in log.iter().enumerate() {
            self.story.push(format!(
                "  {at}: process {} {:?}: {}{}{}",
                logged.process,
                logged.request.kind,
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
