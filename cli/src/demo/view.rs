//! What a person sees of the demo.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::IntegrationKey;
use shared::aws::tables::NotificationsTable;
use shared::domain::notification::Notification;
use shared::domain::report::SweepReport;
use shared::{OrgId, UserId};

use super::standing::Standing;
use super::{CREATOR, MEMBER, OWNER, integration_id, integrations};
use crate::target::Target;
use crate::{report, table};

/// How many notifications are read at once.
const PAGE: usize = 100;

/// How the demo stands after its sweep.
#[derive(Debug, Serialize)]
pub(crate) struct Demo {
    org_id: OrgId,
    integrations: Vec<Standing>,
    report: SweepReport,
    /// How many notifications each person has.
    notifications: BTreeMap<UserId, usize>,
    /// When all this was so.
    at: DateTime<Utc>,
}

pub(super) async fn look(
    target: &Target,
    org: &OrgId,
    report: SweepReport,
    at: DateTime<Utc>,
) -> anyhow::Result<Demo> {
    let store = target.notifications()?;
    let mut notifications = BTreeMap::new();
    let mut last_told = HashMap::new();
    for user in [OWNER, CREATOR, MEMBER] {
        let user = UserId::new(user)?;
        let all = all(&store, &user, org).await?;
        notifications.insert(user.clone(), all.len());
        if user.as_str() == OWNER {
            // Newest first; the last one inserted stays.
            last_told = all
                .into_iter()
                .rev()
                .filter_map(|told| {
                    Some((told.data["integration_id"].as_str()?.to_owned(), told.title))
                })
                .collect();
        }
    }
    let table = target.integrations()?;
    let mut standings = Vec::new();
    for (_, _, id) in integrations() {
        let key = IntegrationKey {
            org_id: org.clone(),
            integration_id: integration_id(&id)?,
        };
        // One that somebody has removed since is not missed.
        if let Some(row) = table.get(&key).await? {
            standings.push(Standing::of(&row, last_told.remove(&id), at));
        }
    }
    Ok(Demo {
        org_id: org.clone(),
        integrations: standings,
        report,
        notifications,
        at,
    })
}

async fn all(
    store: &NotificationsTable,
    user: &UserId,
    org: &OrgId,
) -> anyhow::Result<Vec<Notification>> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let page = store.list(user, org, false, PAGE, after.as_deref()).await?;
        all.extend(page.rows);
        after = page.next;
        if after.is_none() {
            return Ok(all);
        }
    }
}

impl Demo {
    pub(crate) fn render(&self) -> String {
        let mut table = table::table(Standing::HEADER);
        for standing in &self.integrations {
            table.add_row(standing.cells(self.at));
        }
        let told: Vec<String> = self
            .notifications
            .iter()
            .map(|(user, count)| format!("{user} {count}"))
            .collect();
        format!(
            "{}\n\nThe sweep just now\n{}\n\nNotifications: {}",
            table::render(table),
            report::render(&self.report),
            told.join(", ")
        )
    }
}
