//! What a person sees of the demo.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::IntegrationKey;
use shared::aws::tables::NotificationsTable;
use shared::domain::notification::Notification;
use shared::domain::report::SweepReport;
use shared::{IntegrationId, OrgId, UserId};

use super::demo_row::DemoRow;
use super::story::{CREATOR, MEMBER, OWNER, integrations};
use crate::target::Target;
use crate::{report, table};

/// How many notifications one query reads.
const PAGE_ROWS: usize = 100;

/// The demo after its sweep.
#[derive(Debug, Serialize)]
pub(crate) struct Demo {
    org_id: OrgId,
    integrations: Vec<DemoRow>,
    report: SweepReport,
    /// How many notifications each person has.
    notifications: BTreeMap<UserId, usize>,
    at: DateTime<Utc>,
}

pub(super) async fn read_demo(
    target: &Target,
    org: &OrgId,
    report: SweepReport,
    at: DateTime<Utc>,
) -> anyhow::Result<Demo> {
    let store = target.notifications()?;
    let mut notifications = BTreeMap::new();
    let mut last_notification = HashMap::new();
    for user in [OWNER, CREATOR, MEMBER] {
        let user = UserId::new(user)?;
        let all = all(&store, &user, org).await?;
        notifications.insert(user.clone(), all.len());
        if user.as_str() == OWNER {
            // Newest first; the last one inserted stays.
            last_notification = all
                .into_iter()
                .rev()
                .filter_map(|notification| {
                    Some((
                        notification.data["integration_id"].as_str()?.to_owned(),
                        notification.title,
                    ))
                })
                .collect();
        }
    }
    let table = target.integrations()?;
    let mut rows = Vec::new();
    for (_, _, id) in integrations() {
        let key = IntegrationKey {
            org_id: org.clone(),
            integration_id: IntegrationId::new(id.as_str())?,
        };
        // An integration that was removed since is left out.
        if let Some(row) = table.get(&key).await? {
            rows.push(DemoRow::new(&row, last_notification.remove(&id), at));
        }
    }
    Ok(Demo {
        org_id: org.clone(),
        integrations: rows,
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
        let page = store
            .list(user, org, false, PAGE_ROWS, after.as_deref())
            .await?;
        all.extend(page.rows);
        after = page.next;
        if after.is_none() {
            return Ok(all);
        }
    }
}

impl Demo {
    pub(crate) fn render(&self) -> String {
        let mut table = table::table(DemoRow::HEADER);
        for row in &self.integrations {
            table.add_row(row.cells(self.at));
        }
        let counts: Vec<String> = self
            .notifications
            .iter()
            .map(|(user, count)| format!("{user} {count}"))
            .collect();
        format!(
            "{}\n\nThe sweep just now\n{}\n\nNotifications: {}",
            table::render(table),
            report::render(&self.report),
            counts.join(", ")
        )
    }
}
