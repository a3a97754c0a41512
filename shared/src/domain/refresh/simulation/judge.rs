//! What became of the grant, once everything has settled.

use chrono::TimeDelta;
use test_support::Section;

use crate::domain::integration::State;
use crate::domain::verdict::ReconnectReason;
use crate::platforms::catalog::RefreshModel;

use super::loss;
use super::platform::{SimulatedTokens, Via};
use super::step_kind::StepKind;
use super::world::{Exchange, ProtocolWorld, Violation};

/// All that may happen between the platform's commit and our first durable copy:
/// storing it, and waiting for a place that takes it.
const WINDOW: [StepKind; 4] = [
    StepKind::Send,
    StepKind::Store,
    StepKind::StoreFallback,
    StepKind::Pause,
];
/// Covers two clocks, an exchange, and rounding.
const SLACK: TimeDelta = TimeDelta::seconds(25);

impl ProtocolWorld {
    pub(super) fn judge(&mut self) {
        for exchange in &self.exchanges {
            if exchange.is_durable() {
                self.tally.count(Section::Ends, "rotations made durable");
            } else {
                self.tally
                    .count(Section::Ends, "rotations never made durable");
            }
        }
        if !self.in_fallback.is_empty() {
            self.count(Section::Leftovers, "runs that leave a fallback copy behind");
        }
        if !self.found.is_empty() {
            return;
        }
        if let Some(outside) = self.exchanges.iter().find(|of| !of.is_in_window()) {
            let what = format!("{:?} before a durable copy", outside.steps);
            self.find(Violation::Invariant, what);
        }
        let Ok(tokens) = self.tokens_of(&self.row) else {
            return self.find(Violation::LostOutside, "it cannot be opened".to_owned());
        };
        let Some(tokens) = tokens else {
            return self.count(Section::Ends, "erased, as the person wanted");
        };
        let given_up = matches!(self.row.state, State::ReconnectRequired { .. });
        let works = self.platform.can_refresh(tokens, self.now);
        if works && !given_up {
            return self.count(Section::Ends, "the grant lives, and we can refresh it");
        }
        if self.platform.model == RefreshModel::Extend && !works {
            // No answer replaces anything: it ended of its own.
            return self.count(Section::Losses, loss::MISSED);
        }
        if works {
            return self.find(Violation::LostOutside, "a living grant given up".to_owned());
        }
        self.judge_loss(tokens, given_up);
    }

    fn judge_loss(&mut self, tokens: SimulatedTokens, given_up: bool) {
        let kill = self.platform.kill_of(tokens.grant);
        let replayed = kill.map_or(tokens.refresh, |kill| Some(kill.replayed));
        let of = |exchange: &&Exchange| Some(exchange.old) == replayed;
        let exchanges: Vec<_> = self.exchanges.iter().filter(of).collect();
        let killed_by_network = kill.is_some_and(|kill| kill.via != Via::Sender);
        let by_network = killed_by_network
            || exchanges
                .iter()
                .any(|of| of.masked || of.via != Via::Sender);
        // A copy made after whoever sent the token again had looked there came too
        // late to keep it from being sent.
        let (fallback, row) = match (kill, self.concluded_at) {
            (Some(kill), _) => kill.looked_at,
            (None, Some(end)) => (end, end),
            (None, None) => (self.now, self.now),
        };
        let was_durable = exchanges.iter().any(|of| {
            of.stored_in_fallback_at.is_some_and(|at| at <= fallback)
                || of.stored_at.is_some_and(|at| at <= row)
        });
        let inside = !exchanges.is_empty() && exchanges.iter().all(|it| it.is_in_window());
        let is_labelled = matches!(
            self.row.state,
            State::ReconnectRequired {
                reason: ReconnectReason::RotationLost,
                ..
            }
        );
        if !given_up {
            let what = format!("dead, and nobody says so: {:?}", self.row.state);
            self.find(Violation::Unlabelled, what);
        } else if (was_durable || !inside) && !killed_by_network {
            let what = format!("durable: {was_durable}, in the window: {inside}, killed: {kill:?}");
            self.find(Violation::LostOutside, what);
        } else if is_labelled && !killed_by_network {
            self.check_reconnect_by(tokens, kill.is_some());
            self.count(Section::Losses, loss::LABELLED);
        } else if by_network {
            self.count(Section::Losses, loss::NETWORK);
        } else {
            self.find(Violation::Unlabelled, format!("{:?}", self.row.state));
        }
    }

    /// Checks that `reconnect_by` is the true end of the access token.
    fn check_reconnect_by(&mut self, tokens: SimulatedTokens, killed: bool) {
        let end = self.platform.end_of(tokens.access);
        let reconnect_by = self.row.reconnect_by;
        let near = |at: chrono::DateTime<chrono::Utc>| (at - end).abs() <= SLACK;
        let ended = |at: chrono::DateTime<chrono::Utc>| killed && at <= self.now + SLACK;
        let concluded = self.concluded_at.is_some_and(|at| at >= end - SLACK);
        if !reconnect_by.is_some_and(|at| near(at) || ended(at) || concluded) {
            let what = format!("reconnect_by {reconnect_by:?}, ends {end}, killed: {killed}");
            self.find(Violation::Unlabelled, what);
        }
    }
}

impl Exchange {
    pub(super) const fn is_durable(&self) -> bool {
        self.stored_in_fallback_at.is_some() || self.stored_at.is_some()
    }

    fn is_in_window(&self) -> bool {
        self.steps.iter().all(|step| WINDOW.contains(step))
    }
}
