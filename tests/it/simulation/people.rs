//! What people do in a run: they import, reconnect and disconnect.

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::aws::tables::Conflict;
use shared::registration::import::Progress;

use super::request::id_of;
use super::run::SimulationRun;

impl SimulationRun<'_> {
    pub(super) async fn import(&mut self, record: &Value) {
        let mut problems = Vec::new();
        let text = record.to_string();
        let importer = &self.lab.importer;
        let summary = importer.import(text.as_bytes(), |progress| {
            if let Progress::Problem { reason, .. } = progress {
                problems.push(reason.to_owned());
            }
        });
        let summary = summary.await.unwrap();
        assert!(summary.is_clean(), "{summary:?} {problems:?}");
    }

    /// A person gives an integration a new credential.
    pub(super) async fn connect(&mut self, integration: usize, left: TimeDelta) {
        let (org, id) = (self.org.clone(), id_of(integration));
        let of = &mut self.integrations[integration];
        of.credentials += 1;
        of.is_off = false;
        let name = format!("{org}-{id}-{}", of.credentials);
        let token = format!("rt-{name}");
        self.lab.proxy.own(token.clone(), integration);
        let now = self.lab.world.now();
        // Newer than anything that the platform gave since.
        let end = now + left + TimeDelta::minutes(of.credentials.into());
        let line = json!({
            "type": "integration", "org_id": org, "integration_id": id,
            "platform": of.platform.name(), "username": id, "account_id": "1",
            "created_by": "carl", "access_token": format!("at-{name}"), "refresh_token": token,
            "token_expires_at": end, "is_active": true,
        });
        self.import(&line).await;
    }

    /// A person switches an integration off.
    pub(super) async fn disconnect(&mut self, integration: usize) {
        loop {
            let mut row = self.row(integration).await;
            let now = self.lab.world.now();
            row.disconnect(now);
            match self.lab.integrations.replace(row, now).await {
                Ok(_) => break,
                Err(Conflict::Lost(_)) => {}
                Err(Conflict::Failed(error)) => panic!("{error}"),
            }
        }
        self.integrations[integration].is_off = true;
    }
}
