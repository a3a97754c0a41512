//! The history of an integration, for people and programs.

use chrono::{DateTime, Utc};
use comfy_table::CellAlignment;
use serde::Serialize;
use shared::IntegrationKey;
use shared::aws::tables::{Action, AuditEntry, AuditEvent};
use shared::domain::report::AttemptRecord;

use crate::output::exact;
use crate::table;

/// The audit events of an integration, newest first.
#[derive(Debug, Serialize)]
pub(crate) struct History<'a> {
    #[serde(flatten)]
    integration: &'a IntegrationKey,
    history: Vec<AuditEntry>,
}

const HEADER: [&str; 7] = [
    "When",
    "What",
    "Result",
    "Code",
    "Platform's request",
    "Took",
    "Access token ends",
];

impl<'a> History<'a> {
    pub(crate) const fn new(integration: &'a IntegrationKey, history: Vec<AuditEntry>) -> Self {
        Self {
            integration,
            history,
        }
    }

    pub(crate) fn render(&self) -> String {
        if self.history.is_empty() {
            let IntegrationKey {
                org_id,
                integration_id,
            } = self.integration;
            return format!(
                "nothing is recorded of {org_id}/{integration_id}: nothing has happened to it yet, \
                 or there is no such integration"
            );
        }
        let mut table = table::table(HEADER);
        for entry in &self.history {
            table.add_row(cells(entry));
        }
        if let Some(took) = table.column_mut(5) {
            took.set_cell_alignment(CellAlignment::Right);
        }
        table::render(table)
    }
}

fn cells(entry: &AuditEntry) -> [String; 7] {
    let dash = || "-".to_owned();
    let at = exact(entry.at);
    match &entry.event {
        AuditEvent::Action(done) => {
            let action = format!("{} by {}", action_name(done.action), done.by);
            [at, action, dash(), dash(), dash(), dash(), dash()]
        }
        AuditEvent::Attempt(attempt) => [
            at,
            "attempt".to_owned(),
            attempt.result.to_string(),
            attempt.answer.code.clone().unwrap_or_else(dash),
            (attempt.answer.platform_request_id.clone()).unwrap_or_else(dash),
            format!("{} ms", attempt.answer.duration_ms),
            render_ends(attempt),
        ],
    }
}

const fn action_name(action: Action) -> &'static str {
    match action {
        Action::Registered => "registered",
        Action::Replaced => "credential replaced",
        Action::Disconnected => "disconnected",
        Action::QuotaReset => "quota reset",
        Action::AccessTokenTaken => "access token taken",
    }
}

/// Renders the end of the access token before and after an attempt.
fn render_ends(attempt: &AttemptRecord) -> String {
    let end = |at: Option<DateTime<Utc>>| at.map_or_else(|| "no known end".to_owned(), exact);
    let (before, after) = (
        end(attempt.access_expires_before),
        end(attempt.access_expires_after),
    );
    if before == after {
        before
    } else {
        format!("{before} -> {after}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::UserId;
    use shared::aws::tables::MemberAction;

    use super::*;
    use crate::integration::integration;

    const NOW: i64 = 1_800_000_000; // 2027-01-15T08:00:00Z

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(NOW + seconds, 0).unwrap()
    }

    fn entries() -> Vec<AuditEntry> {
        let attempt = serde_json::from_value(json!({
            "attempt_id": "a1", "result": "reconnect_needed", "code": "190/460",
            "platform_request_id": "trace-1", "duration_ms": 321,
            "access_expires_before": at(600), "access_expires_after": at(7_200),
        }));
        vec![
            AuditEntry {
                at: at(5),
                event: AuditEvent::Attempt(attempt.unwrap()),
            },
            AuditEntry {
                at: at(0),
                event: AuditEvent::Action(MemberAction {
                    action: Action::Replaced,
                    by: UserId::new("ian").unwrap(),
                }),
            },
        ]
    }

    #[test]
    fn attempts_and_actions_are_rows_of_one_table() {
        let key = integration("acme/7").unwrap();
        let text = History::new(&key, entries()).render();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for row in [
            "2027-01-15T08:00:05Z attempt reconnect needed 190/460 trace-1 321 ms \
             2027-01-15T08:10:00Z -> 2027-01-15T10:00:00Z",
            "2027-01-15T08:00:00Z credential replaced by ian - - - - -",
        ] {
            assert!(text.contains(row), "{row}: {text}");
        }
        let none = History::new(&key, Vec::new()).render();
        assert!(
            none.starts_with("nothing is recorded of acme/7: "),
            "{none}"
        );
    }

    #[test]
    fn an_end_that_did_not_move_is_rendered_once() {
        let AuditEvent::Attempt(mut attempt) = entries().remove(0).event else {
            panic!()
        };
        attempt.access_expires_after = attempt.access_expires_before;
        assert_eq!(render_ends(&attempt), "2027-01-15T08:10:00Z");
        attempt.access_expires_before = None;
        assert_eq!(
            render_ends(&attempt),
            "no known end -> 2027-01-15T08:10:00Z"
        );
    }

    #[test]
    fn a_history_is_one_object() {
        let key = integration("acme/7").unwrap();
        let object = serde_json::to_value(History::new(&key, entries())).unwrap();
        assert_eq!(
            (&object["org_id"], &object["integration_id"]),
            (&json!("acme"), &json!("7"))
        );
        let [attempt, action] = [0, 1].map(|index| object["history"][index].clone());
        assert_eq!(attempt["kind"], "attempt");
        assert_eq!(attempt["result"], "reconnect_needed");
        let expected = json!({"at": "2027-01-15T08:00:00Z", "kind": "action", "action": "replaced", "by": "ian"});
        assert_eq!(action, expected);
    }
}
