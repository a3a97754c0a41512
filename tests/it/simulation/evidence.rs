//! What a run's log, the stored row and the platform say about a grant.

use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;
use shared::aws::token_cipher::{EncryptionContext, SealedField};
use shared::domain::integration::{Integration, Sealed};
use shared::domain::platform_health::BreakerCause;
use shared::oauth::Tokens;

use super::lab::Lab;
use super::plan::Effect;
use super::proxy::{Logged, Process};
use super::request::{RequestKind, id_of};
use super::run::SimulationRun;

/// An exchange that the platform did, by its place in the log.
pub(super) struct Rotation {
    pub(super) at: usize,
    pub(super) old: String,
    pub(super) new: String,
    /// The first place in the log at which its new token was durable.
    pub(super) durable_at: Option<usize>,
}

impl SimulationRun<'_> {
    /// Returns the first exchange in which the platform refused a used token of `stored`'s
    /// grant, if the platform kills the whole grant for that.
    pub(super) fn killed_at(
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
            let token = logged.request.token.as_ref();
            let used = |of: &Rotation| of.at < at && Some(&of.old) == token;
            let used = |of: &Rotation| used(of) && family.contains(&of.old.as_str());
            logged.request.kind == RequestKind::Exchange
                && logged.effect.acts()
                && logged.granted.is_none()
                && rotations.iter().any(used)
        };
        let mut exchanges = log.iter().enumerate();
        exchanges
            .position(|(at, logged)| is_replay(at, logged))
            .filter(|_| rules.family_kill)
    }

    pub(super) async fn notified(&self, integration: usize, kind: &str) -> bool {
        let notifications = self.lab.world.notifications("olga", &self.org).await;
        let id = id_of(integration);
        notifications.iter().any(|notification| {
            notification["type"] == kind && notification["data"]["integration_id"] == id.as_str()
        })
    }

    /// Whether two processes that had claimed the integration died.
    pub(super) fn died_twice(&self, log: &[&Logged]) -> bool {
        let has_claimed = |process: &&Process| {
            let claims =
                |of: &&Logged| of.process == **process && of.request.kind == RequestKind::Claim;
            log.iter().any(claims)
        };
        self.buried.iter().filter(has_claimed).count() > 1
    }

    /// Whether the circuit breaker put refusals down to our application.
    pub(super) async fn was_held_up(&self, integration: usize) -> bool {
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

    pub(super) async fn open(
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

    /// Asks the platform itself, past the product, whether the credential still works.
    pub(super) async fn still_works(&self, row: &Integration) -> bool {
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
        let Lab { oauth, clients, .. } = &*self.lab;
        let answer = oauth
            .refresh(row.platform, row.refresh_model(), clients, &tokens)
            .await;
        answer.result.is_ok()
    }

    /// Returns every exchange in which the platform replaced a token.
    pub(super) async fn rotations(&self, row: &Integration, log: &[&Logged]) -> Vec<Rotation> {
        let mut copies = Vec::new();
        for (at, logged) in log.iter().enumerate() {
            let stays = matches!(
                logged.request.kind,
                RequestKind::Store | RequestKind::StoreFallback
            ) && logged.done;
            if let Some(copy) = logged.request.copy.as_ref().filter(|_| stays) {
                let sealed = Some(&copy.refresh_token);
                copies.push((at, self.open(row, sealed, copy.generation).await));
            }
        }
        let mut rotations = Vec::new();
        for (at, logged) in log.iter().enumerate() {
            let (Some(old), Some(Some(new))) = (&logged.request.token, &logged.granted) else {
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
}

/// Whether another process claimed the integration between this one's claim and its
/// request.
pub(super) fn was_taken_over(log: &[&Logged], at: usize) -> bool {
    let process = log[at].process;
    let mut claims = log[..at]
        .iter()
        .filter(|of| of.done && of.request.kind == RequestKind::Claim)
        .skip_while(|of| of.process != process);
    claims.any(|of| of.process != process)
}

/// Whether the platform failed again after the exchange whose answer was lost, while the
/// access token lived, so that the refusal came that much later.
pub(super) fn failed_again(
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
            .any(|of| of.request.kind == RequestKind::Exchange && of.effect != Effect::Pass)
    })
}

/// Whether a fault explains that an answer was not stored. `log` begins with the exchange
/// that brought the answer.
pub(super) fn has_cause(log: &[&Logged]) -> bool {
    let exchange = log[0];
    if !exchange.answered {
        return true;
    }
    let own = || log[1..].iter().filter(|of| of.process == exchange.process);
    let stores: Vec<_> = own()
        .filter(|of| {
            matches!(
                of.request.kind,
                RequestKind::Store | RequestKind::StoreFallback
            )
        })
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
