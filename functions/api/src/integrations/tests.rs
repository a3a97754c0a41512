use secrecy::ExposeSecret;
use serde_json::json;

use super::*;

#[test]
fn filters_are_parsed_strictly() {
    let query = IntegrationsQuery::parse(None).unwrap();
    assert!(!query.is_filtered() && query.limit == 50);
    let query = "platform=x&state=active&status=healthy&limit=100&next=YXV0aDB8Nw";
    let query = IntegrationsQuery::parse(Some(query)).unwrap();
    assert_eq!(query.platform, Some(Platform::Twitter));
    assert_eq!(query.state, Some(StateName::Active));
    assert_eq!(query.status, Some(IntegrationStatus::Healthy));
    assert_eq!(query.next.unwrap().as_str(), "auth0|7");
    for bad in [
        "platform=myspace",
        "platform=Meta",
        "state=broken",
        "state=",
        "status=active",
        "status=Healthy",
        "limit=0",
        "limit=1001",
        "limit=+5",
        "next=%00",
        "page=2",
    ] {
        assert!(IntegrationsQuery::parse(Some(bad)).is_err(), "{bad}");
    }
}

fn good() -> Value {
    json!({
        "platform": "facebook", "username": "acme.page", "account_id": "123",
        "access_token": "planted-access", "refresh_token": null,
        "token_expires_at": "2026-11-30T09:00:00+01:00", "scopes": ["ads"],
        "metadata": {"page": 100.0},
    })
}

#[test]
fn a_good_body_is_taken_as_it_is() {
    let registration = parse_registration(good().to_string().as_bytes()).unwrap();
    assert_eq!(registration.platform, Platform::Meta);
    let token = registration.access_token.as_ref().unwrap();
    assert_eq!(token.expose_secret(), "planted-access");
    assert!(registration.refresh_token.is_none());
    let ends = registration.token_expires_at.unwrap();
    assert_eq!(ends.to_rfc3339(), "2026-11-30T08:00:00+00:00");
    let metadata = serde_json::to_string(&registration.metadata).unwrap();
    assert_eq!(metadata, r#"{"page":100.0}"#);
    assert!(!format!("{registration:?}").contains("planted"));
}

#[test]
fn what_is_wrong_is_named_and_nothing_repeated() {
    let with = |field: &str, value: Value| {
        let mut body = good();
        body[field] = value;
        body.to_string()
    };
    let without = |field: &str| {
        let mut body = good();
        body.as_object_mut().unwrap().remove(field);
        body.to_string()
    };
    let planted = || json!("planted-secret");
    for (body, said) in [
        (String::new(), "not valid JSON"),
        (
            "{".to_owned(),
            "not valid JSON: EOF while parsing an object (column 1)",
        ),
        (
            r#"{"access_token":"planted" x"#.to_owned(),
            "not valid JSON",
        ),
        (
            r#"{"platform":"meta"} planted"#.to_owned(),
            "not valid JSON",
        ),
        ("[]".to_owned(), "not a JSON object"),
        (r#""planted""#.to_owned(), "not a JSON object"),
        (
            with("org_id", json!("acme")),
            r#"no field "org_id"; there are platform"#.replace('"', "\\\"").as_str(),
        ),
        (
            with("planted-1234", json!(1)),
            "no field \\\"(withheld)\\\"",
        ),
        (
            r#"{"platform":"meta","platform":"planted"}"#.to_owned(),
            "platform is given more than once",
        ),
        (without("platform"), "platform is missing"),
        (without("username"), "username is missing"),
        (with("account_id", Value::Null), "account_id is missing"),
        (without("access_token"), "access_token is missing"),
        (with("access_token", Value::Null), "access_token is missing"),
        (
            with("platform", planted()),
            "platform must be one of meta (or facebook), ",
        ),
        (with("platform", json!(7)), "platform must be one of"),
        (with("username", json!(" ")), "username must be 1 to 512"),
        (
            with("username", json!(["planted"])),
            "username must be a text.",
        ),
        (
            with("account_id", json!("a".repeat(513))),
            "account_id must be",
        ),
        (
            with("access_token", json!({"planted": 1})),
            "access_token must be a text",
        ),
        (
            with("access_token", json!("")),
            "access_token is empty; give the token.",
        ),
        (
            with("refresh_token", json!("p".repeat(16_385))),
            "refresh_token must be at most 16384 bytes.",
        ),
        (
            with("token_expires_at", planted()),
            "token_expires_at must be a date with",
        ),
        (
            with("token_expires_at", json!(1_795_424_400_000_u64)),
            "token_expires_at looks like milliseconds; give seconds.",
        ),
        (
            with("token_expires_at", json!("9999-01-01T00:00:00Z")),
            "token_expires_at must lie between",
        ),
        (
            with("token_issued_at", json!("2027-01-01T00:00:00Z")),
            "token_issued_at must be before token_expires_at",
        ),
        (
            with("refresh_token_expires_at", planted()),
            "refresh_token_expires_at must",
        ),
        (
            with("data_access_expires_at", planted()),
            "data_access_expires_at must",
        ),
        (
            with("scopes", json!(["planted", 7])),
            "scopes must be a list of texts",
        ),
        (
            with("metadata", planted()),
            "metadata must be a JSON object",
        ),
    ] {
        let problem = format!("{:?}", parse_registration(body.as_bytes()).unwrap_err());
        assert!(problem.contains(said), "{body}: {problem}");
        assert!(!problem.contains("planted"), "{problem}");
    }
}
