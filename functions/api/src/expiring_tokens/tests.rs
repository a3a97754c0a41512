use chrono::TimeDelta;
use serde_json::json;

use super::*;

fn now() -> DateTime<Utc> {
    "2025-11-18T09:00:00Z".parse().unwrap()
}

fn integration(id: &str, seconds_left: i64) -> Integration {
    let reconnect_by = now() + TimeDelta::seconds(seconds_left);
    serde_json::from_value(json!({
        "org_id": "acme", "integration_id": id, "platform": "meta", "username": "example_user",
        "account_id": "1234567890", "created_by": "ian", "version": 1, "generation": 1, "grant": 1,
        "granted_at": 1_700_000_000, "refresh_token": [1, 2, 3], "state": {"kind": "active"},
        "reconnect_by": reconnect_by.timestamp(),
    }))
    .unwrap()
}

fn answer(rows: &[Integration]) -> String {
    serde_json::to_string(&page(rows, WarningWindow::default(), now()).unwrap()).unwrap()
}

const DAY: i64 = 86_400;

#[test]
fn the_answer_is_the_originals_to_the_letter() {
    let expected = concat!(
        r#"{"expiring_tokens":[{"integration_id":"uuid","platform":"meta","#,
        r#""platform_name":"Facebook","username":"example_user","account_id":"1234567890","#,
        r#""expires_at":"2025-11-25T09:00:00+00:00","expires_at_human":"in 7 days","#,
        r#""days_until_expiry":7,"hours_until_expiry":168,"severity":"warning","#,
        r#""has_refresh_token":true,"#,
        r#""reconnect_url":"/dashboard/acme/integrations/uuid/reconnect"}],"#,
        r#""total_count":1,"critical_count":0,"urgent_count":0,"warning_count":1}"#,
    );
    assert_eq!(answer(&[integration("uuid", 7 * DAY)]), expected);
}

#[test]
fn counts_follow_severities_at_their_edges() {
    let rows = [1, DAY, DAY + 1, 3 * DAY, 3 * DAY + 1, 7 * DAY].map(|left| integration("i", left));
    let answer = page(&rows, WarningWindow::default(), now()).unwrap();
    let counts = (
        answer.critical_count,
        answer.urgent_count,
        answer.warning_count,
    );
    assert_eq!((answer.total_count, counts), (6, (2, 2, 2)));
    assert_eq!(answer.next, None);
}

#[test]
fn fractions_have_one_decimal() {
    let json = answer(&[integration("i", DAY + DAY / 2 + 360)]);
    let expected = r#""days_until_expiry":1.5,"hours_until_expiry":36.1,"#;
    assert!(json.contains(expected), "{json}");
}

#[test]
fn what_has_expired_is_not_expiring() {
    let answer = page(&[integration("i", 0)], WarningWindow::default(), now()).unwrap();
    assert_eq!(answer.total_count, 0);
}

#[test]
fn ten_thousand_rows_are_all_and_one_more_is_next() {
    let mut rows: Vec<_> = (0..10_000)
        .map(|i| integration(&format!("7f0c1e1c-0000-4000-8000-{i:012}"), DAY))
        .collect();
    let all = page(&rows, WarningWindow::default(), now()).unwrap();
    assert_eq!((all.total_count, all.next), (10_000, None));
    rows.push(integration("last", 2 * DAY));
    let part = page(&rows, WarningWindow::default(), now()).unwrap();
    assert_eq!(part.expiring_tokens.len(), 10_000);
    let next = ExpiryCursor::decode(&part.next.unwrap()).unwrap();
    assert_eq!(Some(next), ExpiryCursor::after(&rows[9_999]));
}

#[test]
fn an_answer_stays_within_what_lambda_can_return() {
    let mut row = integration("i", DAY);
    row.account.username = "\"".repeat(1_000);
    let rows = vec![row; 5_000];
    let answer = page(&rows, WarningWindow::default(), now()).unwrap();
    assert!(answer.next.is_some());
    let body = serde_json::to_string(&answer).unwrap();
    let response = serde_json::to_string(&json!({"body": body})).unwrap();
    assert!(response.len() < 6_000_000, "{}", response.len());
}

#[test]
fn days_are_whole_from_1_to_365() {
    assert_eq!(
        ExpiringQuery::parse(None).unwrap().window,
        WarningWindow::default()
    );
    let year = ExpiringQuery::parse(Some("days=365")).unwrap();
    assert_eq!(year.window, WarningWindow::days(365).unwrap());
    for bad in ["0", "-1", "1.5", "abc", "100000", "366", "", "%207", "1e2"] {
        let problem = ExpiringQuery::parse(Some(&format!("days={bad}"))).unwrap_err();
        let text = format!("{problem:?}");
        let expected = "days must be a whole number from 1 to 365, not ";
        assert!(text.contains(expected), "{bad}: {text}");
    }
}

#[test]
fn a_cursor_round_trips_and_a_made_up_one_is_refused() {
    let cursor = ExpiryCursor::after(&integration("a.b|c", 5)).unwrap();
    assert_eq!(ExpiryCursor::decode(&cursor.encode()), Some(cursor));
    for bad in [
        "",
        "x",
        "ä",
        "AAAA",
        &BASE64.encode("1.a#b"),
        &BASE64.encode("x.a"),
    ] {
        assert_eq!(ExpiryCursor::decode(bad), None, "{bad}");
    }
}
