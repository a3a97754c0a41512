//! A person's own notifications of one organisation.

use serde::Serialize;
use serde_json::Value;
use shared::aws::tables::{NotificationsTable, TableError};
use shared::domain::alert::AlertKind;
use shared::domain::notification::Notification;
use shared::domain::severity::Severity;
use shared::{OrgId, UserId};

use crate::problem::Problem;
use crate::query::{LIMITS, Parameters, limit};

const USUAL: usize = 20;

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Query {
    unread: bool,
    limit: usize,
    next: Option<String>,
}

/// One page, newest first.
#[derive(Debug, Serialize)]
pub(crate) struct Listing {
    notifications: Vec<Row>,
    /// Of all pages.
    unread_count: u64,
    /// What to ask for as `next` to get the following page; null on the last.
    next: Option<String>,
}

#[derive(Debug, Serialize)]
struct Row {
    notification_id: String,
    org_id: OrgId,
    #[serde(rename = "type")]
    kind: AlertKind,
    title: String,
    message: String,
    data: Value,
    severity: Severity,
    is_read: bool,
    action_url: String,
    created_at: String,
}

impl Query {
    pub(crate) fn parse(query: Option<&str>) -> Result<Self, Problem> {
        let parameters = Parameters::parse(query, &["unread", "limit", "next"])?;
        let unread = parameters.get("unread", "true or false", |value| value.parse().ok())?;
        let limit = parameters.get("limit", LIMITS, limit)?;
        let next = parameters.get("next", "what the page before said", position)?;
        Ok(Self {
            unread: unread.unwrap_or(false),
            limit: limit.unwrap_or(USUAL),
            next,
        })
    }
}

/// An id in a key: without the `#` that separates, whatever else it is.
fn position(value: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    ((1..=128).contains(&value.len()) && value.bytes().all(plain)).then(|| value.to_owned())
}

/// Reads one page.
pub(crate) async fn list(
    notifications: &NotificationsTable,
    user: &UserId,
    org: &OrgId,
    query: &Query,
) -> Result<Listing, TableError> {
    let (page, unread_count) = tokio::try_join!(
        notifications.list(user, org, query.unread, query.limit, query.next.as_deref()),
        notifications.count_unread(user, org),
    )?;
    Ok(Listing {
        notifications: page.rows.into_iter().map(Row::from).collect(),
        unread_count,
        next: page.next,
    })
}

impl From<Notification> for Row {
    fn from(notification: Notification) -> Self {
        Self {
            notification_id: notification.id().to_owned(),
            org_id: notification.org_id,
            kind: notification.kind,
            title: notification.title,
            message: notification.message,
            data: notification.data,
            severity: notification.severity,
            is_read: notification.is_read,
            action_url: notification.action_url,
            created_at: notification.created_at.to_rfc3339(),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::json;

    use super::*;

    #[test]
    fn defaults_and_limits() {
        let query = Query::parse(None).unwrap();
        assert!(!query.unread && query.limit == 20 && query.next.is_none());
        let query = Query::parse(Some("unread=true&limit=100&next=001-a")).unwrap();
        assert!(query.unread && query.limit == 100 && query.next.as_deref() == Some("001-a"));
        for bad in [
            "unread=1",
            "unread=True",
            "limit=0",
            "limit=101",
            "limit=+5",
            "limit=ten",
            "next=",
            "next=a%23b",
            "page=2",
        ] {
            assert!(Query::parse(Some(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_row_reads_as_the_original_said() {
        let at = DateTime::from_timestamp(1_764_061_200, 0).unwrap();
        let row = Row::from(Notification {
            user_id: UserId::new("ian").unwrap(),
            notification_id: "acme#001764061200-abc".to_owned(),
            org_id: OrgId::new("acme").unwrap(),
            kind: AlertKind::TokenExpiring,
            title: "T".to_owned(),
            message: "M".to_owned(),
            data: json!({"days_until_expiry": 7}),
            severity: Severity::Warning,
            is_read: false,
            action_url: "/x".to_owned(),
            created_at: at,
            ttl: at,
        });
        let expected = r#"{"notification_id":"001764061200-abc","org_id":"acme","type":"integration_token_expiring","title":"T","message":"M","data":{"days_until_expiry":7},"severity":"warning","is_read":false,"action_url":"/x","created_at":"2025-11-25T09:00:00+00:00"}"#;
        assert_eq!(serde_json::to_string(&row).unwrap(), expected);
    }
}
