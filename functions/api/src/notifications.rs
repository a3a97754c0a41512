//! A person's own notifications of one organisation.

use axum::Json;
use axum::extract::State;
use http::{StatusCode, Uri};
use serde::Serialize;
use serde_json::Value;
use shared::OrgId;
use shared::domain::alert::AlertKind;
use shared::domain::notification::Notification;
use shared::domain::severity::Severity;
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::paging::{CURSOR_SOURCE, LIMIT_RANGE, parse_limit};
use edge::member::Member;
use edge::problem::Problem;
use edge::query::QueryParameters;

const DEFAULT_LIMIT: usize = 20;

#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
struct NotificationsQuery {
    /// Whether only those are listed that have not been read.
    #[param(value_type = Option<bool>)]
    unread: bool,
    /// The most rows of the answer; 20 if it is absent.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: usize,
    /// `next` of the page before.
    next: Option<String>,
}

/// One page, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NotificationPage {
    notifications: Vec<NotificationView>,
    /// Counts the unread notifications of all pages.
    unread_count: u64,
    /// The value of `next` for the following page; null on the last.
    next: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct NotificationView {
    notification_id: String,
    org_id: OrgId,
    #[serde(rename = "type")]
    kind: AlertKind,
    title: String,
    message: String,
    /// The facts, such as `integration_id`, `platform`, `expires_at`.
    #[schema(value_type = Object)]
    data: Value,
    severity: Severity,
    is_read: bool,
    action_url: String,
    created_at: String,
}

impl NotificationsQuery {
    fn parse(query: Option<&str>) -> Result<Self, Problem> {
        let parameters = QueryParameters::parse(query, &["unread", "limit", "next"])?;
        let unread = parameters.get("unread", "true or false", |value| value.parse().ok())?;
        let limit = parameters.get("limit", LIMIT_RANGE, parse_limit)?;
        let next = parameters.get("next", CURSOR_SOURCE, parse_cursor)?;
        Ok(Self {
            unread: unread.unwrap_or(false),
            limit: limit.unwrap_or(DEFAULT_LIMIT),
            next,
        })
    }
}

/// Parses the id of a notification. Refuses the `#` that separates parts of a key.
fn parse_cursor(value: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    ((1..=128).contains(&value.len()) && value.bytes().all(plain)).then(|| value.to_owned())
}

/// Lists the caller's own notifications
///
/// Newest first.
#[utoipa::path(
    get,
    path = "/api/dashboard/{orgId}/notifications",
    operation_id = "listNotifications",
    tag = "Notifications",
    security(("bearer" = [])),
    params(NotificationsQuery),
    responses((status = 200, description = "One page.", body = NotificationPage)),
)]
pub(crate) async fn list(
    member: Member,
    State(app): State<App>,
    uri: Uri,
) -> Result<Json<NotificationPage>, Problem> {
    let NotificationsQuery {
        unread,
        limit,
        next,
    } = NotificationsQuery::parse(uri.query())?;
    let (user, org) = (member.user(), member.org());
    let (page, unread_count) = tokio::try_join!(
        app.notifications
            .list(user, org, unread, limit, next.as_deref()),
        app.notifications.count_unread(user, org),
    )?;
    Ok(Json(NotificationPage {
        notifications: page.rows.into_iter().map(NotificationView::from).collect(),
        unread_count,
        next: page.next,
    }))
}

/// Marks a notification as read
#[utoipa::path(
    post,
    path = "/api/dashboard/{orgId}/notifications/{notificationId}/read",
    operation_id = "readNotification",
    tag = "Notifications",
    security(("bearer" = [])),
    responses((status = 204, description = "It is read.")),
)]
pub(crate) async fn mark_read(
    member: Member,
    State(app): State<App>,
) -> Result<StatusCode, Problem> {
    let id = member.route().notification.as_deref().unwrap_or_default();
    let known = app
        .notifications
        .mark_read(member.user(), member.org(), id)
        .await?;
    known
        .then_some(StatusCode::NO_CONTENT)
        .ok_or_else(|| Problem::not_found("You have no such notification."))
}

/// How many notifications were marked.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MarkedRead {
    marked: usize,
}

/// Marks all notifications as read
///
/// All that there are now.
#[utoipa::path(
    post,
    path = "/api/dashboard/{orgId}/notifications/read-all",
    operation_id = "readAllNotifications",
    tag = "Notifications",
    security(("bearer" = [])),
    responses((status = 200, description = "How many were unread.", body = MarkedRead)),
)]
pub(crate) async fn mark_all_read(
    member: Member,
    State(app): State<App>,
) -> Result<Json<MarkedRead>, Problem> {
    let marked = app
        .notifications
        .mark_all_read(member.user(), member.org())
        .await?;
    Ok(Json(MarkedRead { marked }))
}

impl From<Notification> for NotificationView {
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
    use shared::UserId;

    use super::*;

    #[test]
    fn defaults_and_limits() {
        let query = NotificationsQuery::parse(None).unwrap();
        assert!(!query.unread && query.limit == 20 && query.next.is_none());
        let query = NotificationsQuery::parse(Some("unread=true&limit=100&next=001-a")).unwrap();
        assert!(query.unread && query.limit == 100 && query.next.as_deref() == Some("001-a"));
        for bad in [
            "unread=1",
            "unread=True",
            "limit=0",
            "limit=1001",
            "limit=+5",
            "limit=ten",
            "next=",
            "next=a%23b",
            "page=2",
        ] {
            assert!(NotificationsQuery::parse(Some(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_row_reads_as_the_original_said() {
        let at = DateTime::from_timestamp(1_764_061_200, 0).unwrap();
        let row = NotificationView::from(Notification {
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
