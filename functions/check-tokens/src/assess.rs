//! Assesses answers by the health of their platform.

use chrono::{DateTime, Utc};
use shared::domain::integration::{Integration, RetryReason, State};
use shared::domain::platform_health::Observation;
use shared::domain::refresh::{EXPIRY_TOLERANCE, ImplausibleLifetime, Lifetimes, ProbeResult};
use shared::domain::report::AnswerRecord;
use shared::domain::verdict::{ThrottleScope, Verdict};
use shared::oauth::Unsuccessful;
use shared::platforms::catalog::RefreshModel;
use shared::{IntegrationKey, Platform};

use crate::operator_events::OperatorEvent;
use crate::run::Run;

impl Run<'_> {
    /// Returns the verdict on a failure, given the platform's health, and whether it is conclusive.
    pub(crate) async fn assess(
        &self,
        row: &Integration,
        refused: &Unsuccessful,
        answer: &AnswerRecord,
    ) -> (Verdict, bool) {
        let Unsuccessful { verdict, code } = refused.clone();
        let refused_since = match row.state {
            State::Retrying {
                reason: RetryReason::Refused | RetryReason::InDoubt,
                since,
                ..
            } => Some(since),
            _ => None,
        };
        // A refusal that our own crash explains says nothing of the application: a
        // sweep that dies may leave many. What the platform's own answer left in
        // doubt may be about both.
        let is_answered = row
            .refresh
            .intent
            .as_ref()
            .is_some_and(|intent| intent.answered);
        let is_refusal = matches!(verdict, Verdict::ReconnectNeeded(_));
        let is_explained = is_refusal && row.is_in_doubt() && !is_answered;
        let observation = Observation::Failure {
            key: IntegrationKey::from(row),
            verdict: verdict.clone(),
            had_worked: had_worked(row) && !is_explained,
            refused_since,
            code,
        };
        let assessment = self.health.observe(row.platform, observation).await;
        for event in &assessment.events {
            let event = OperatorEvent::for_answer(row, event, answer);
            self.operator_events.add(event);
        }
        (assessment.verdict.unwrap_or(verdict), assessment.conclusive)
    }

    /// Returns whether a failed probe is conclusive. An outage of the API is not assessed: it
    /// says nothing about the token endpoint.
    pub(crate) async fn assess_probe(
        &self,
        row: &Integration,
        refused: &Unsuccessful,
        answer: &AnswerRecord,
    ) -> bool {
        let is_outage = matches!(
            refused.verdict,
            Verdict::Throttled {
                scope: ThrottleScope::Platform,
                ..
            }
        );
        is_outage || self.assess(row, refused, answer).await.1
    }

    /// Observes a success after a probe that found a token alive, if the probe names our
    /// application. Like a refresh, such a probe shows that the application works there.
    pub(crate) async fn observe_alive(&self, row: &Integration) {
        if row.platform.probe_names_application() {
            let observation = Observation::Success {
                key: IntegrationKey::from(row),
                sent_at: self.health.now(),
                access_lifetime: None,
                refresh_lifetime: None,
            };
            self.observe(row.platform, observation).await;
        }
    }

    /// Reports the implausible ends that a probe names.
    pub(crate) async fn report_implausible_ends(&self, platform: Platform, seen: &ProbeResult) {
        let (_, implausible) = seen.clone().plausible(platform, self.health.now());
        self.report_implausible_lifetimes(platform, implausible)
            .await;
    }

    pub(crate) async fn report_implausible_lifetimes(
        &self,
        platform: Platform,
        lives: Vec<ImplausibleLifetime>,
    ) {
        if !lives.is_empty() {
            self.observe(platform, Observation::ImplausibleLifetime(lives))
                .await;
        }
    }

    /// Applies an observation to platform health, and keeps the operator events that follow.
    pub(crate) async fn observe(&self, platform: Platform, observation: Observation) {
        let assessment = self.health.observe(platform, observation).await;
        for event in &assessment.events {
            let event = OperatorEvent::for_health(platform, event);
            self.operator_events.add(event);
        }
    }
}

/// Whether the integration has worked before. If the platform now refuses it and others, it may
/// be refusing our application.
fn had_worked(row: &Integration) -> bool {
    let is_all_that_shows = row.refresh_model() == RefreshModel::None;
    row.refresh.renewed_at.is_some() || is_all_that_shows && row.refresh.alive_at.is_some()
}

/// Returns a success, with the lifetimes of tokens only where the platform was free to choose them.
pub(crate) fn success(
    row: &Integration,
    lifetimes: &Lifetimes,
    sent_at: DateTime<Utc>,
) -> Observation {
    let model = row.refresh_model();
    // An extension that moved nothing says how much is left, and no access token
    // outlives a refresh token that does not slide (LinkedIn).
    let unmoved = model == RefreshModel::Extend && row.refresh.renewed_at.is_none();
    let clipped = match (row.expiry.access_token, row.expiry.refresh_token) {
        (Some(access), Some(refresh)) => (access - refresh).abs() < EXPIRY_TOLERANCE,
        _ => false,
    };
    Observation::Success {
        key: IntegrationKey::from(row),
        sent_at,
        access_lifetime: lifetimes.access.filter(|_| !unmoved && !clipped),
        refresh_lifetime: lifetimes
            .refresh
            .filter(|_| model == RefreshModel::Rotating),
    }
}
