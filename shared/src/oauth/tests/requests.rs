//! The requests and their addresses: their versions, and what Meta wants with a token.

use std::collections::BTreeMap;

use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::oauth::{Endpoints, OAuthClient, PlatformClients, Tokens};
use crate::{Clock, Platform, Variables};

fn endpoints(overrides: &Value) -> Result<Endpoints, String> {
    let variable = ("PLATFORM_ENDPOINTS".to_owned(), overrides.to_string());
    Endpoints::from_variables(&Variables::from_iter([variable])).map_err(|error| error.to_string())
}

fn refused(overrides: &Value) -> String {
    endpoints(overrides).map(|_| ()).unwrap_err()
}

/// The addresses and queries of the refresh and the probe of a grant that allows `scopes`.
fn requests(
    endpoints: &Endpoints,
    platform: Platform,
    scopes: &[&str],
) -> [(String, BTreeMap<String, String>); 2] {
    let client = json!({"client_id": "id", "client_secret": "client-secret"});
    let clients = PlatformClients::from_json(&json!({platform.name(): client}).to_string());
    let clients = clients.unwrap();
    let tokens = Tokens {
        access_token: "access-token".into(),
        refresh_token: Some("refresh-token".into()),
    };
    let scopes: Vec<_> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    let client = OAuthClient::new(endpoints.clone(), Clock::system()).unwrap();
    let context = client.context(platform, &clients, &tokens);
    let definition = platform.definition();
    let probe = (definition.probe.as_ref().unwrap().request)(true, &scopes);
    [&definition.refresh, probe].map(|shape| {
        let request = context.render(&client.http, shape).unwrap();
        let mut url = request.build().unwrap().url().clone();
        let query = url.query_pairs().into_owned().collect();
        url.set_query(None);
        (url.to_string(), query)
    })
}

fn addresses(endpoints: &Endpoints, platform: Platform) -> [String; 2] {
    let ads = "https://www.googleapis.com/auth/adwords";
    requests(endpoints, platform, &[ads]).map(|(url, _)| url)
}

#[test]
fn another_version_of_an_api_takes_no_new_build() {
    let default = Endpoints::default();
    let moved = endpoints(&json!({
        "meta": {"version": "v31.0"},
        "google": {"version": "v31"},
        "tiktok_business": {"version": "v1.4", "api": "https://elsewhere.example/v9/"},
    }));
    let moved = moved.unwrap();
    for (platform, before, after) in [
        (
            Platform::Meta,
            [
                "https://graph.facebook.com/v26.0/oauth/access_token",
                "https://graph.facebook.com/v26.0/debug_token",
            ],
            [
                "https://graph.facebook.com/v31.0/oauth/access_token",
                "https://graph.facebook.com/v31.0/debug_token",
            ],
        ),
        (
            Platform::Google,
            [
                "https://oauth2.googleapis.com/token",
                "https://googleads.googleapis.com/v26/customers:listAccessibleCustomers",
            ],
            [
                "https://oauth2.googleapis.com/token",
                "https://googleads.googleapis.com/v31/customers:listAccessibleCustomers",
            ],
        ),
        // An address that is given is taken as it is.
        (
            Platform::TiktokBusiness,
            [
                "https://business-api.tiktok.com/open_api/v1.3/tt_user/oauth2/refresh_token/",
                "https://business-api.tiktok.com/open_api/v1.3/tt_user/token_info/get/",
            ],
            [
                "https://business-api.tiktok.com/open_api/v1.4/tt_user/oauth2/refresh_token/",
                "https://elsewhere.example/v9/tt_user/token_info/get/",
            ],
        ),
    ] {
        assert_eq!(addresses(&default, platform), before, "{platform}");
        assert_eq!(addresses(&moved, platform), after, "{platform}");
    }
    for platform in Platform::ALL {
        let urls = default.get(platform);
        for url in [&urls.token, &urls.authorize, &urls.api] {
            assert!(!url.contains(['{', '}']) && url::Url::parse(url).is_ok());
        }
    }
}

#[test]
fn what_is_no_version_is_refused_by_its_name() {
    for version in [
        "",
        "../v1",
        "v1/oauth",
        "v1?a=b",
        "v 1",
        ".",
        "{version}",
        "27",
        "v27",
    ] {
        let said = refused(&json!({"meta": {"version": version}}));
        let form = "meta.version must be of the form v26.0";
        assert!(said.contains(form), "{said}");
    }
    let said = refused(&json!({"google": {"version": "v27.0"}}));
    assert!(
        said.contains("google.version must be of the form v26"),
        "{said}"
    );
    let said = refused(&json!({"linkedin": {"version": "v202611"}}));
    assert!(said.contains("linkedin.version"), "{said}");
    let said = refused(&json!({"meta": {"api": "graph.facebook.com"}}));
    assert!(said.contains("meta.api is not a URL"), "{said}");
    let said = refused(&json!({"meta": {"verison": "v27.0"}}));
    assert!(said.contains("verison"), "{said}");
}

/// The proofs are from Python: `hmac.new(b"client-secret", token, "sha256").hexdigest()`.
#[test]
fn meta_gets_the_proof_of_the_secret_and_what_a_system_user_needs() {
    let [(_, exchange), (_, probe)] = requests(&Endpoints::default(), Platform::Meta, &[]);
    assert_eq!(exchange["fb_exchange_token"], "access-token");
    assert_eq!(
        exchange["appsecret_proof"],
        "10528addbfc25db8b648d1932a7e764f0ddbbabd4fca8346be949543489625a7"
    );
    assert_eq!(exchange["set_token_expires_in_60_days"], "true");
    assert_eq!(probe["input_token"], "access-token");
    assert_eq!(probe["access_token"], "id|client-secret");
    assert_eq!(
        probe["appsecret_proof"],
        "3d2af467b6be4320234afd13eebfdf0d3421aad9dfabe2c8e228346882b8c1a0"
    );
    // Instagram's calls carry no secret.
    for (url, query) in requests(&Endpoints::default(), Platform::Instagram, &[]) {
        assert!(!query.contains_key("appsecret_proof"), "{url}");
    }
}

#[test]
fn google_is_asked_for_no_more_than_the_grant_allows() {
    let ads = "https://www.googleapis.com/auth/adwords";
    let youtube = "https://www.googleapis.com/auth/youtube";
    let of_ads = "https://googleads.googleapis.com/v26/customers:listAccessibleCustomers";
    let of_any = "https://oauth2.googleapis.com/tokeninfo";
    for (scopes, url) in [
        (vec![ads], of_ads),
        (vec![youtube, ads], of_ads),
        (vec![youtube], of_any),
        (vec![], of_any),
    ] {
        let [_, (probe, _)] = requests(&Endpoints::default(), Platform::Google, &scopes);
        assert_eq!(probe, url, "{scopes:?}");
    }
}

/// The headers of the request that asks whose a grant is.
fn identity_headers(endpoints: &Value, platform: Platform, client: &Value) -> HeaderMap {
    let clients = PlatformClients::from_json(&json!({platform.name(): client}).to_string());
    let client = OAuthClient::new(self::endpoints(endpoints).unwrap(), Clock::system()).unwrap();
    let tokens = Tokens {
        access_token: "access-token".into(),
        refresh_token: None,
    };
    let clients = clients.unwrap();
    let context = client.context(platform, &clients, &tokens);
    let [(shape, _)] = platform.consent_flow(None).exchange.identity else {
        panic!("{platform} is not asked once");
    };
    let request = context.render(&client.http, shape).unwrap();
    request.build().unwrap().headers().clone()
}

#[test]
fn an_api_gets_the_headers_that_it_documents() {
    let client = json!({"client_id": "id", "client_secret": "client-secret"});
    let headers = identity_headers(&json!({}), Platform::Linkedin, &client);
    assert_eq!(headers["linkedin-version"], "202609");
    assert_eq!(headers["x-restli-protocol-version"], "2.0.0");
    assert_eq!(headers["authorization"], "Bearer access-token");
    let newer = json!({"linkedin": {"version": "202711"}});
    let headers = identity_headers(&newer, Platform::Linkedin, &client);
    assert_eq!(headers["linkedin-version"], "202711");
    // Google's is a secret of ours, and not everybody has one.
    let headers = identity_headers(&json!({}), Platform::Google, &client);
    assert!(!headers.contains_key("developer-token"));
    let mut client = client;
    client["developer_token"] = json!("a-developer's");
    let headers = identity_headers(&json!({}), Platform::Google, &client);
    assert_eq!(headers["developer-token"], "a-developer's");
}
