//! The address of each consent page.

use std::collections::BTreeSet;

use serde_json::json;

use crate::domain::consent_refusal::ConsentRefusal;
use crate::oauth::{Endpoints, OAuthClient, PlatformClients};
use crate::platforms::consent::{Visit, email};
use crate::{Clock, Platform};

fn authorization_url(
    platform: Platform,
    had_refresh_token: Option<bool>,
    email: Option<&str>,
) -> String {
    let client = json!({"client_id": "an id", "client_secret": "a secret"});
    let clients = json!({platform.name(): client}).to_string();
    let clients = PlatformClients::from_json(&clients).unwrap();
    let visit = Visit {
        redirect_uri: "https://example.com/callback?a=b",
        state: "a/state",
        code_challenge: "challenge",
        email,
    };
    let client = OAuthClient::new(Endpoints::default(), Clock::system()).unwrap();
    let url = client.consent_url(platform, had_refresh_token, &clients, visit);
    url.unwrap()
}

/// Expects the addresses that the platforms' pages show, with our values.
#[test]
fn a_person_is_sent_to_the_documented_address() {
    let back = "redirect_uri=https%3A%2F%2Fexample.com%2Fcallback%3Fa%3Db";
    for (platform, page, client, scope, rest) in [
        (
            Platform::Meta,
            "https://www.facebook.com/v26.0/dialog/oauth",
            "client_id",
            "pages_show_list%2Cpages_read_engagement%2Cpages_manage_posts%2Cads_read",
            "&auth_type=reauthorize",
        ),
        (
            Platform::Instagram,
            "https://www.instagram.com/oauth/authorize",
            "client_id",
            "instagram_business_basic%2Cinstagram_business_content_publish",
            "&enable_fb_login=false&force_reauth=true",
        ),
        (
            Platform::Tiktok,
            "https://www.tiktok.com/v2/auth/authorize/",
            "client_key",
            "user.info.basic%2Cvideo.list%2Cvideo.publish",
            "&disable_auto_auth=1",
        ),
        (
            Platform::TiktokBusiness,
            "https://www.tiktok.com/v2/auth/authorize",
            "client_key",
            "user.info.basic%2Cuser.insights%2Cvideo.list%2Cvideo.insights%2Cvideo.publish",
            "&disable_auto_auth=1",
        ),
        (
            Platform::Linkedin,
            "https://www.linkedin.com/oauth/v2/authorization",
            "client_id",
            "r_ads%20r_ads_reporting%20rw_organization_admin%20w_organization_social",
            "",
        ),
        (
            Platform::Twitter,
            "https://x.com/i/oauth2/authorize",
            "client_id",
            "tweet.read%20tweet.write%20users.read%20offline.access",
            "&code_challenge=challenge&code_challenge_method=S256",
        ),
        (
            Platform::Google,
            "https://accounts.google.com/o/oauth2/v2/auth",
            "client_id",
            "https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fadwords",
            "&access_type=offline&prompt=select_account%20consent",
        ),
        (
            Platform::Snapchat,
            "https://accounts.snapchat.com/login/oauth2/authorize",
            "client_id",
            "snapchat-marketing-api",
            "",
        ),
        (
            Platform::Threads,
            "https://threads.com/oauth/authorize",
            "client_id",
            "threads_basic%2Cthreads_content_publish",
            "",
        ),
    ] {
        let expected = format!(
            "{page}?{client}=an%20id&{back}&state=a%2Fstate&response_type=code&scope={scope}{rest}"
        );
        assert_eq!(authorization_url(platform, Some(true), None), expected);
    }
    let portal = "https://business-api.tiktok.com/portal/auth";
    let expected = format!("{portal}?app_id=an%20id&{back}&state=a%2Fstate");
    for before in [Some(false), None] {
        let url = authorization_url(Platform::TiktokBusiness, before, None);
        assert_eq!(url, expected);
    }
}

#[test]
fn every_platform_has_a_page_that_takes_what_a_consent_needs() {
    let ways = Platform::ALL.map(|platform| [(platform, Some(true)), (platform, None)]);
    for (platform, before) in ways.into_iter().flatten() {
        let url = authorization_url(platform, before, None);
        let url = url::Url::parse(&url).unwrap();
        assert_eq!(url.scheme(), "https", "{platform}");
        let query: Vec<_> = url.query_pairs().into_owned().collect();
        let names: BTreeSet<_> = query.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), query.len(), "{platform}: a parameter twice");
        let consent = platform.consent(before);
        let is_portal = url.path() == "/portal/auth";
        assert_eq!(consent.scopes.is_empty(), is_portal, "{platform}");
        for scope in consent.scopes {
            assert!(!scope.contains([' ', ',']) && !scope.is_empty(), "{scope}");
        }
        assert!(["client_id", "client_key", "app_id"].contains(&consent.client_id));
        assert!([" ", ","].contains(&consent.scope_separator));
        assert_eq!(consent.pkce, platform == Platform::Twitter, "{platform}");
    }
}

#[test]
fn google_alone_is_told_which_account_is_meant() {
    for platform in Platform::ALL {
        let hinted = authorization_url(platform, None, Some("ann@example.com"));
        let hint = "&login_hint=ann%40example.com";
        assert_eq!(hinted.ends_with(hint), platform == Platform::Google);
        let plain = authorization_url(platform, None, None);
        assert_eq!(hinted.trim_end_matches(hint), plain, "{platform}");
    }
    assert_eq!(email("ann@example.com"), Some("ann@example.com"));
    for name in [
        "",
        "ann",
        "@ann",
        "@ann.example",
        "ann@home",
        "a n@b.c",
        "a@b@c.d",
    ] {
        assert_eq!(email(name), None, "{name}");
    }
}

#[test]
fn a_page_that_gave_no_code_says_why() {
    use ConsentRefusal::{AppRefused, Denied, PlatformFailed};
    for platform in Platform::ALL {
        let consent = platform.consent(None);
        for (error, refusal) in [
            // Meta has `error_reason=user_denied` beside it (manual-flow).
            ("access_denied", Denied),
            ("invalid_scope", AppRefused),
            ("unauthorized_client", AppRefused),
            ("server_error", PlatformFailed),
            ("something_new", PlatformFailed),
            ("", PlatformFailed),
        ] {
            assert_eq!(consent.refusal(error), refusal, "{platform} {error}");
        }
    }
    let linkedin = Platform::Linkedin.consent(None);
    for error in ["user_cancelled_login", "user_cancelled_authorize"] {
        assert_eq!(linkedin.refusal(error), Denied);
    }
    assert_eq!(linkedin.refusal("unauthorized_scope_error"), AppRefused);
}
