//! The address of each consent page.

use std::collections::BTreeSet;

use crate::Platform;
use crate::oauth::Endpoints;
use crate::platforms::consent::ConsentRequest;

const REQUEST: ConsentRequest<'_> = ConsentRequest {
    client_id: "an id",
    redirect_uri: "https://example.com/callback?a=b",
    state: "a/state",
    code_challenge: "challenge",
};

fn authorization_url(platform: Platform) -> String {
    let page = &Endpoints::default().get(platform).authorize.clone();
    platform.consent().authorization_url(page, REQUEST)
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
            "",
        ),
        (
            Platform::TiktokBusiness,
            "https://www.tiktok.com/v2/auth/authorize",
            "client_key",
            "user.info.basic%2Cuser.insights%2Cvideo.list%2Cvideo.insights%2Cvideo.publish",
            "",
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
            "&access_type=offline&prompt=consent",
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
            "{page}?response_type=code&{client}=an%20id&{back}&scope={scope}&state=a%2Fstate{rest}"
        );
        assert_eq!(authorization_url(platform), expected);
    }
}

#[test]
fn every_platform_has_a_page_that_takes_what_a_consent_needs() {
    for platform in Platform::ALL {
        let url = url::Url::parse(&authorization_url(platform)).unwrap();
        assert_eq!(url.scheme(), "https", "{platform}");
        let query: Vec<_> = url.query_pairs().into_owned().collect();
        let names: BTreeSet<_> = query.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), query.len(), "{platform}: a parameter twice");
        let consent = platform.consent();
        assert!(!consent.scopes.is_empty(), "{platform}");
        for scope in consent.scopes {
            assert!(!scope.contains([' ', ',']) && !scope.is_empty(), "{scope}");
        }
        assert!(["client_id", "client_key"].contains(&consent.client_id));
        assert!([" ", ","].contains(&consent.scope_separator));
        assert_eq!(consent.pkce, platform == Platform::Twitter, "{platform}");
    }
}
