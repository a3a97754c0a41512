//! The exchange of a code: what each platform is asked, and whose its answers say a grant is.

use serde_json::{Value, json};

use crate::domain::account::Account;
use crate::oauth::request::RequestContext;
use crate::oauth::{ConsentCode, Endpoints, OAuthClient, PlatformClients, Tokens, response};
use crate::platforms::request::RequestShape;
use crate::{Clock, Platform};

/// Returns method, address, authorization and parameters of a request.
fn rendered(platform: Platform, shape: &RequestShape) -> [String; 4] {
    let client = json!({"client_id": "id", "client_secret": "client-secret"});
    let clients = json!({platform.name(): client}).to_string();
    let clients = PlatformClients::from_json(&clients).unwrap();
    let tokens = Tokens {
        access_token: "at".into(),
        refresh_token: None,
    };
    let code = ConsentCode {
        code: "c".into(),
        verifier: "v".into(),
        redirect_uri: "https://example.com/back".to_owned(),
    };
    let client = OAuthClient::new(Endpoints::default(), Clock::system()).unwrap();
    let context = RequestContext {
        code: Some(&code),
        ..client.context(platform, &clients, &tokens)
    };
    let request = context.render(&client.http, shape).unwrap();
    let request = request.build().unwrap();
    let mut url = request.url().clone();
    let query = url.query().unwrap_or_default().to_owned();
    url.set_query(None);
    let header = request.headers().get("authorization");
    let header = header.map_or("", |value| value.to_str().unwrap());
    let body = request.body().and_then(|body| body.as_bytes());
    let body = String::from_utf8_lossy(body.unwrap_or_default()).into_owned();
    let parameters = if body.is_empty() { query } else { body };
    [
        request.method().to_string(),
        url.to_string(),
        header.to_owned(),
        parameters,
    ]
}

#[test]
fn a_code_is_exchanged_as_each_platform_documents() {
    let back = "redirect_uri=https%3A%2F%2Fexample.com%2Fback";
    let form = format!(
        "grant_type=authorization_code&code=c&{back}&client_id=id&client_secret=client-secret"
    );
    let basic = "Basic aWQ6Y2xpZW50LXNlY3JldA==";
    for (platform, method, url, header, parameters) in [
        (
            Platform::Meta,
            "GET",
            "https://graph.facebook.com/v26.0/oauth/access_token",
            "",
            format!("client_id=id&client_secret=client-secret&{back}&code=c"),
        ),
        (
            Platform::Instagram,
            "POST",
            "https://api.instagram.com/oauth/access_token",
            "",
            form.clone(),
        ),
        (
            Platform::Threads,
            "POST",
            "https://graph.threads.net/oauth/access_token",
            "",
            form.clone(),
        ),
        (
            Platform::Tiktok,
            "POST",
            "https://open.tiktokapis.com/v2/oauth/token/",
            "",
            format!(
                "client_key=id&client_secret=client-secret&code=c&grant_type=authorization_code&{back}"
            ),
        ),
        (
            Platform::TiktokBusiness,
            "POST",
            "https://business-api.tiktok.com/open_api/v1.3/tt_user/oauth2/token/",
            "",
            json!({
                "client_id": "id", "client_secret": "client-secret", "auth_code": "c",
                "grant_type": "authorization_code", "redirect_uri": "https://example.com/back",
            })
            .to_string(),
        ),
        (
            Platform::Linkedin,
            "POST",
            "https://www.linkedin.com/oauth/v2/accessToken",
            "",
            form.clone(),
        ),
        (
            Platform::Twitter,
            "POST",
            "https://api.x.com/2/oauth2/token",
            basic,
            format!("code=c&grant_type=authorization_code&{back}&code_verifier=v"),
        ),
        (
            Platform::Google,
            "POST",
            "https://oauth2.googleapis.com/token",
            "",
            form.clone(),
        ),
        (
            Platform::Snapchat,
            "POST",
            "https://accounts.snapchat.com/login/oauth2/access_token",
            "",
            form.clone(),
        ),
    ] {
        let exchange = &platform.consent_flow(Some(true)).exchange;
        let [sent_method, sent_url, sent_header, mut sent] = rendered(platform, exchange.request);
        if let Ok(body) = serde_json::from_str::<Value>(&sent) {
            sent = body.to_string();
        }
        assert_eq!(
            [sent_method, sent_url, sent_header, sent],
            [method, url, header, &parameters].map(str::to_owned),
            "{platform}"
        );
    }
    let advertiser = Platform::TiktokBusiness.consent_flow(None).exchange.request;
    let [method, url, _, sent] = rendered(Platform::TiktokBusiness, advertiser);
    let sent: Value = serde_json::from_str(&sent).unwrap();
    let expected = json!({"app_id": "id", "secret": "client-secret", "auth_code": "c"});
    assert_eq!((&*method, sent), ("POST", expected));
    let path = "/open_api/v1.3/oauth2/access_token/";
    assert_eq!(url, format!("https://business-api.tiktok.com{path}"));
}

#[test]
fn a_short_lived_token_is_exchanged_for_a_long_lived_one() {
    for (platform, url, begins) in [
        (
            Platform::Meta,
            "https://graph.facebook.com/v26.0/oauth/access_token",
            "grant_type=fb_exchange_token&client_id=id&client_secret=client-secret",
        ),
        (
            Platform::Instagram,
            "https://graph.instagram.com/access_token",
            "grant_type=ig_exchange_token&client_secret=client-secret&access_token=at",
        ),
        (
            Platform::Threads,
            "https://graph.threads.net/access_token",
            "grant_type=th_exchange_token&client_secret=client-secret&access_token=at",
        ),
    ] {
        let request = platform.consent_flow(None).exchange.lengthening.unwrap();
        let [method, sent_url, _, sent] = rendered(platform, request);
        assert_eq!((&*method, &*sent_url), ("GET", url));
        assert!(sent.starts_with(begins), "{platform}: {sent}");
    }
}

#[test]
fn an_answer_says_whose_the_grant_is() {
    for (platform, path, body, expected) in [
        (
            Platform::Meta,
            "/v26.0/me",
            json!({"id": "1", "name": "Ann", "accounts": {"data": [{"id": "2", "name": "Ann's shop"}]}}),
            &[("2", "Ann's shop"), ("1", "Ann")][..],
        ),
        (
            Platform::Meta,
            "/v26.0/me",
            json!({"id": "1", "name": "Ann"}),
            &[("1", "Ann")],
        ),
        (
            Platform::Instagram,
            "/v26.0/me",
            json!({"user_id": 17, "username": "ann"}),
            &[("17", "ann")],
        ),
        (
            Platform::Threads,
            "/v1.0/me",
            json!({"id": "5", "username": "ann"}),
            &[("5", "ann")],
        ),
        (
            Platform::Tiktok,
            "/v2/user/info/",
            json!({"data": {"user": {"open_id": "o", "display_name": "Ann"}}, "error": {"code": "ok"}}),
            &[("o", "Ann")],
        ),
        (
            Platform::TiktokBusiness,
            "/open_api/v1.3/oauth2/advertiser/get/",
            json!({"code": 0, "data": {"list": [
                {"advertiser_id": "7001", "advertiser_name": "Shoes"}, {"advertiser_id": "7002"},
            ]}}),
            &[("7001", "Shoes"), ("7002", "")],
        ),
        (
            Platform::Linkedin,
            "/rest/organizationAcls",
            json!({"elements": [{"organization": "urn:li:organization:7", "role": "ADMINISTRATOR"},
                                {"organization": "urn:li:organization:7", "role": "ANALYST"},
                                {"organization": "urn:li:organization:8"}]}),
            &[("7", ""), ("8", "")],
        ),
        (
            Platform::Twitter,
            "/2/users/me",
            json!({"data": {"id": "9", "name": "Ann", "username": "ann"}}),
            &[("9", "ann")],
        ),
        (
            Platform::Google,
            "/v26/customers:listAccessibleCustomers",
            json!({"resourceNames": ["customers/1", "customers/2"]}),
            &[("1", ""), ("2", "")],
        ),
        (
            Platform::Snapchat,
            "/v1/me",
            json!({"request_status": "SUCCESS", "me": {"id": "u", "display_name": "Ann"}}),
            &[("u", "Ann")],
        ),
    ] {
        let [(request, accounts), ..] = platform.consent_flow(None).exchange.identity else {
            panic!("{platform} is not asked");
        };
        let [_, url, ..] = rendered(platform, request);
        assert!(url.ends_with(path), "{platform}: {url}");
        let expected = named(expected);
        assert_eq!(accounts(&body), expected, "{platform}");
        assert_eq!(accounts(&json!({})), [], "{platform}");
    }
}

fn named(accounts: &[(&str, &str)]) -> Vec<Account> {
    let account = |(id, username): &(&str, &str)| Account {
        id: (*id).to_owned(),
        username: (*username).to_owned(),
    };
    accounts.iter().map(account).collect()
}

#[test]
fn an_answer_with_tokens_may_say_it_beside_them() {
    for (platform, before, body, expected) in [
        (
            Platform::Tiktok,
            None,
            json!({"access_token": "a", "open_id": "o"}),
            &[("o", "")][..],
        ),
        (
            Platform::Threads,
            None,
            json!({"access_token": "a", "user_id": 17_841_405_793_187_218_u64}),
            &[("17841405793187218", "")],
        ),
        (
            Platform::TiktokBusiness,
            None,
            json!({"data": {"access_token": "a", "advertiser_ids": ["7001", 7002]}}),
            &[("7001", ""), ("7002", "")],
        ),
        (
            Platform::TiktokBusiness,
            Some(true),
            json!({"data": {"access_token": "a", "open_id": "o"}}),
            &[("o", "")],
        ),
        // Another id than that of `/me`.
        (
            Platform::Instagram,
            None,
            json!({"data": [{"access_token": "a", "user_id": "1020"}]}),
            &[],
        ),
    ] {
        let read = platform.consent_flow(before).exchange.beside_tokens;
        assert_eq!(read(&body), named(expected), "{platform}");
        assert_eq!(read(&json!({})), [], "{platform}");
    }
}

/// The answer that somebody recorded for pages of a business, which `/me` did not list.
#[test]
fn meta_names_the_pages_that_a_person_chose() {
    let [_, (request, chosen)] = Platform::Meta.consent_flow(None).exchange.identity else {
        panic!("Meta is asked twice");
    };
    let [_, url, ..] = rendered(Platform::Meta, request);
    assert!(url.ends_with("/debug_token"), "{url}");
    let answer = json!({"data": {"type": "USER", "is_valid": true, "granular_scopes": [
        {"scope": "pages_show_list", "target_ids": ["72"]},
        {"scope": "pages_manage_metadata", "target_ids": ["65"]},
        {"scope": "instagram_basic"},
    ]}});
    assert_eq!(chosen(&answer), named(&[("72", "")]));
    let all = json!({"data": {"granular_scopes": [{"scope": "pages_show_list"}]}});
    assert_eq!(chosen(&all), []);
    assert_eq!(chosen(&json!({})), []);
}

#[test]
fn an_error_is_no_identity_whatever_its_status() {
    let head = |status| response::Head {
        status,
        headers: reqwest::header::HeaderMap::new(),
    };
    let now = chrono::DateTime::UNIX_EPOCH;
    for (platform, status, body, is_success) in [
        (Platform::Twitter, 200, json!({"data": {"id": "1"}}), true),
        (Platform::Twitter, 200, json!([]), false),
        (Platform::Twitter, 403, json!({"data": {"id": "1"}}), false),
        (
            Platform::Tiktok,
            200,
            json!({"data": {}, "error": {"code": "ok"}}),
            true,
        ),
        (
            Platform::Tiktok,
            200,
            json!({"data": {}, "error": {"code": "scope_not_authorized"}}),
            false,
        ),
    ] {
        let definition = platform.definition();
        let text = body.to_string();
        let read = response::read_identity(definition, &head(status), text.as_bytes(), now);
        assert_eq!(read.result.is_ok(), is_success, "{platform} {body}");
    }
}
