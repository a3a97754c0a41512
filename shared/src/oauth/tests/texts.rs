//! What is kept of an answer's texts, and how waits are read.

use chrono::DateTime;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::Platform;
use crate::domain::verdict::Verdict;
use crate::oauth::{response, wait};

#[test]
fn waits_are_read_and_bounded() {
    let asked = |name: &'static str, value: &str| {
        let headers = HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
        wait::from_headers(&headers, DateTime::UNIX_EPOCH).map(|wait| wait.num_seconds())
    };
    assert_eq!(asked("retry-after", "30"), Some(30));
    assert_eq!(asked("retry-after", "999999999"), Some(86_400));
    let date = "Thu, 01 Jan 1970 00:02:00 GMT";
    assert_eq!(asked("retry-after", date), Some(120));
    assert_eq!(asked("retry-after", "90.5"), Some(91));
    assert_eq!(asked("retry-after", "0.2"), Some(1));
    assert_eq!(asked("retry-after", &"9".repeat(20)), Some(86_400));
    for nonsense in ["soon", "+90", "1e3", "inf", "NaN", "90s", "9.9.9", "."] {
        assert_eq!(asked("retry-after", nonsense), None, "{nonsense}");
    }
    assert_eq!(asked("x-rate-limit-reset", "900.5"), Some(901));
    assert_eq!(asked("x-rate-limit-reset", "1800000000000"), Some(86_400));
    assert_eq!(asked("retry-after", "0"), None);
    assert_eq!(asked("retry-after", "-1"), None);
    assert_eq!(asked("x-rate-limit-reset", &i64::MIN.to_string()), None);
    assert_eq!(asked("x-rate-limit-reset", "900"), Some(900));
    let usage = r#"{"1":[{"estimated_time_to_regain_access":19}]}"#;
    assert_eq!(asked("x-business-use-case-usage", usage), Some(19 * 60));
    let usage = r#"{"1":[{"estimated_time_to_regain_access":0.5}]}"#;
    assert_eq!(asked("x-business-use-case-usage", usage), Some(30));
    assert_eq!(asked("x-business-use-case-usage", "[1]"), None);
}

#[test]
fn a_token_that_no_header_can_carry_is_no_success() {
    let head = response::Head {
        status: 200,
        headers: HeaderMap::new(),
    };
    let definition = Platform::Twitter.definition();
    for (token, is_usable) in [
        ("a-._~+/|=b", true),
        (" a ", true),
        ("a\r\nb", false),
        ("a b", false),
        ("a\u{e4}", false),
        ("a\u{7f}", false),
        (" ", false),
    ] {
        let body = json!({"access_token": token, "refresh_token": "r"}).to_string();
        let now = DateTime::UNIX_EPOCH;
        let read = response::read_refresh(definition, &head, body.as_bytes(), now);
        assert_eq!(read.result.is_ok(), is_usable, "{token:?}");
    }
}

#[test]
fn no_wait_is_obeyed_for_longer_than_an_hour() {
    for (status, body) in [(429, json!({})), (503, json!({}))] {
        for (said, seconds) in [
            ("90.5", 91),
            ("99999999999999999999", 3_600),
            ("3601", 3_600),
        ] {
            let head = response::Head {
                status,
                headers: HeaderMap::from_iter([(
                    "retry-after".parse().unwrap(),
                    said.parse().unwrap(),
                )]),
            };
            let body = body.to_string();
            let google = Platform::Google.definition();
            let now = DateTime::UNIX_EPOCH;
            let refused = response::read_refresh(google, &head, body.as_bytes(), now).result;
            let Verdict::Throttled { wait, .. } = refused.unwrap_err().verdict else {
                panic!("{status} {said}")
            };
            assert_eq!(
                wait,
                Some(chrono::TimeDelta::seconds(seconds)),
                "{status} {said}"
            );
        }
    }
}

#[test]
fn the_platforms_id_of_a_request_is_found_and_cannot_be_anything_else() {
    let id = |platform: Platform, body: Value| {
        let head = response::Head {
            status: 400,
            headers: HeaderMap::new(),
        };
        let body = body.to_string();
        let now = DateTime::UNIX_EPOCH;
        response::read_refresh(platform.definition(), &head, body.as_bytes(), now).request_id
    };
    for (platform, body) in [
        (Platform::Meta, json!({"error": {"fbtrace_id": "A-b_1"}})),
        (Platform::Tiktok, json!({"log_id": "A-b_1"})),
        (Platform::Tiktok, json!({"error": {"log_id": "A-b_1"}})),
        (Platform::TiktokBusiness, json!({"request_id": "A-b_1"})),
        (Platform::Snapchat, json!({"request_id": "A-b_1"})),
    ] {
        assert_eq!(id(platform, body).as_deref(), Some("A-b_1"), "{platform}");
    }
    for other in ["x y", "", "ä", &"7".repeat(65)] {
        assert_eq!(id(Platform::Tiktok, json!({"log_id": other})), None);
    }
    assert_eq!(id(Platform::Tiktok, json!({"log_id": 7})), None);
}
