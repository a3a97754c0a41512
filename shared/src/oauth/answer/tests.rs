use secrecy::ExposeSecret;
use serde_json::json;

use super::*;

fn ask(platform: Platform, status: u16, body: &str) -> Answer {
    let head = Head {
        status,
        headers: HeaderMap::new(),
    };
    read(platform, &head, body.as_bytes(), DateTime::UNIX_EPOCH)
}

fn verdict(platform: Platform, status: u16, body: &Value) -> Verdict {
    ask(platform, status, &body.to_string())
        .result
        .unwrap_err()
        .verdict
}

#[test]
fn every_platforms_success_is_read() {
    for (platform, body) in [
        (
            Platform::Meta,
            json!({"access_token": "a", "token_type": "bearer", "expires_in": 5_183_944}),
        ),
        (
            Platform::Tiktok,
            json!({"access_token": "a", "expires_in": 7200, "refresh_token": "r", "refresh_expires_in": 15_552_000, "scope": "a,b"}),
        ),
        (
            Platform::TiktokBusiness,
            json!({"code": 0, "data": {"access_token": "a", "expires_in": 86_400, "refresh_token": "r", "refresh_token_expires_in": 31_536_000, "scope": ["a", "b"]}}),
        ),
        (
            Platform::Linkedin,
            json!({"access_token": "a", "expires_in": 5_184_000, "refresh_token": "r", "refresh_token_expires_in": 100, "scope": "a b"}),
        ),
        (
            Platform::Google,
            json!({"access_token": "a", "expires_in": "3599", "scope": "a b"}),
        ),
    ] {
        let Granted { tokens, lifetimes } = ask(platform, 200, &body.to_string()).result.unwrap();
        assert_eq!(tokens.access_token.expose_secret(), "a", "{platform}");
        assert_eq!(
            tokens.refresh_token.is_some(),
            body.to_string().contains("\"r\""),
            "{platform}"
        );
        assert!(lifetimes.access.is_some(), "{platform}");
        if body.to_string().contains("scope") {
            assert_eq!(lifetimes.scopes, ["a", "b"], "{platform}");
        }
    }
}

#[test]
fn what_is_no_success_never_becomes_a_token() {
    for (platform, status, body) in [
        (Platform::Google, 200, "<html>Sorry</html>"),
        (Platform::Google, 200, ""),
        (Platform::Google, 200, r#"{"access_token":"#),
        (
            Platform::Google,
            200,
            r#"{"access_token":"  ","expires_in":3600}"#,
        ),
        (
            Platform::Google,
            200,
            r#"{"access_token":7,"expires_in":3600}"#,
        ),
        (Platform::Google, 200, r#"{"expires_in":3600}"#),
        (Platform::Google, 302, r#"{"access_token":"a"}"#),
        (Platform::Meta, 200, "[]"),
        (
            Platform::TiktokBusiness,
            200,
            r#"{"code":50000,"data":{"access_token":"a"}}"#,
        ),
        (Platform::Snapchat, 418, "null"),
    ] {
        let refused = ask(platform, status, body).result.unwrap_err();
        assert!(
            matches!(refused.verdict, Verdict::Transient(_)),
            "{platform} {body}: {refused:?}"
        );
    }
}

#[test]
fn errors_are_told_apart() {
    use ReconnectReason::{AppRemoved, Expired, GrantRefused, PasswordChanged, Revoked};
    let graph =
        |code: i64, subcode: i64| json!({"error": {"code": code, "error_subcode": subcode}});
    let reconnect = Verdict::ReconnectNeeded;
    for (platform, status, body, expected) in [
        (
            Platform::Meta,
            400,
            graph(190, 460),
            reconnect(PasswordChanged),
        ),
        (Platform::Meta, 400, graph(190, 458), reconnect(AppRemoved)),
        (
            Platform::Instagram,
            400,
            graph(190, 463),
            reconnect(Expired),
        ),
        (Platform::Meta, 400, graph(190, 0), reconnect(Revoked)),
        (
            Platform::Meta,
            400,
            graph(190, 459),
            Verdict::PlatformActionNeeded(PlatformAction::LogIn),
        ),
        (Platform::Meta, 400, graph(4, 0), Verdict::Throttled(None)),
        (
            Platform::Meta,
            400,
            graph(80_004, 0),
            Verdict::Throttled(None),
        ),
        (Platform::Meta, 403, graph(200, 0), Verdict::PermissionLost),
        (
            Platform::Meta,
            400,
            graph(190, 99),
            Verdict::Transient(Transient::ServerError),
        ),
        (
            Platform::TiktokBusiness,
            200,
            json!({"code": 40_105}),
            reconnect(Revoked),
        ),
        (
            Platform::TiktokBusiness,
            200,
            json!({"code": 40_100}),
            Verdict::Throttled(None),
        ),
        (
            Platform::TiktokBusiness,
            200,
            json!({"code": 40_113}),
            Verdict::AppMisconfigured,
        ),
        (
            Platform::Tiktok,
            200,
            json!({"error": "invalid_grant"}),
            reconnect(GrantRefused),
        ),
        (
            Platform::Tiktok,
            400,
            json!({"error": "invalid_client"}),
            Verdict::AppMisconfigured,
        ),
        (
            Platform::Twitter,
            400,
            json!({"error": "invalid_request", "error_description": "Value passed for the token was invalid."}),
            reconnect(GrantRefused),
        ),
        (
            Platform::Twitter,
            400,
            json!({"error": "invalid_request"}),
            Verdict::Transient(Transient::Unintelligible),
        ),
        (
            Platform::Twitter,
            401,
            json!({"error": "unauthorized_client"}),
            Verdict::AppMisconfigured,
        ),
        (
            Platform::Google,
            400,
            json!({"error": "invalid_grant", "error_subtype": "invalid_rapt"}),
            Verdict::PlatformActionNeeded(PlatformAction::AdministratorPolicy),
        ),
        (
            Platform::Linkedin,
            400,
            json!({"error": "invalid_grant"}),
            reconnect(GrantRefused),
        ),
        (Platform::Snapchat, 429, json!({}), Verdict::Throttled(None)),
        (
            Platform::Snapchat,
            503,
            json!({}),
            Verdict::Transient(Transient::ServerError),
        ),
        (
            Platform::Linkedin,
            401,
            json!({"error": "something_new"}),
            Verdict::Transient(Transient::Unintelligible),
        ),
    ] {
        assert_eq!(
            verdict(platform, status, &body),
            expected,
            "{platform} {status} {body}"
        );
    }
}

#[test]
fn waits_are_read_and_bounded() {
    let asked = |name: &'static str, value: &str| {
        let mut head = Head {
            status: 429,
            headers: HeaderMap::new(),
        };
        head.headers.insert(name, value.parse().unwrap());
        match read(Platform::Meta, &head, b"", DateTime::UNIX_EPOCH)
            .result
            .unwrap_err()
            .verdict
        {
            Verdict::Throttled(wait) => wait.map(|wait| wait.num_seconds()),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(asked("retry-after", "30"), Some(30));
    assert_eq!(asked("retry-after", "999999999"), Some(86_400));
    assert_eq!(
        asked("retry-after", "Thu, 01 Jan 1970 00:02:00 GMT"),
        Some(120)
    );
    assert_eq!(asked("retry-after", "soon"), None);
    assert_eq!(asked("x-rate-limit-reset", &i64::MIN.to_string()), None);
    assert_eq!(asked("x-rate-limit-reset", "900"), Some(900));
    let usage = r#"{"1":[{"estimated_time_to_regain_access":19}]}"#;
    assert_eq!(asked("x-business-use-case-usage", usage), Some(19 * 60));
}

#[test]
fn codes_and_request_ids_cannot_carry_a_token() {
    let echoed =
        json!({"error": "ya29.A0ARrdaM-secret", "log_id": "x y", "error_description": "ya29"});
    let answer = ask(Platform::Tiktok, 400, &echoed.to_string());
    assert_eq!(answer.request_id, None);
    assert_eq!(answer.result.unwrap_err().code, None);
}
