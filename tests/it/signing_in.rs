//! How the page signs people in: at the issuer, and by what it relays to the issuer.

use std::collections::BTreeMap;

use local::Options;
use reqwest::Url;
use serde_json::{Value, json};

use crate::world::{Answer, World};

/// The example of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn browser() -> reqwest::Client {
    let client = reqwest::Client::builder().no_proxy();
    let client = client.redirect(reqwest::redirect::Policy::none());
    client.build().unwrap()
}

fn gateway(world: &World) -> &str {
    &world.stack.addresses().gateway
}

async fn settings(world: &World) -> Answer {
    Answer::of(browser().get(format!("{}/sign-in", gateway(world)))).await
}

async fn exchange(world: &World, form: &[(&str, &str)]) -> Answer {
    let url = format!("{}/sign-in/token", gateway(world));
    Answer::of(browser().post(url).form(form)).await
}

/// Chooses a user on the issuer's page; returns the code.
async fn code(world: &World, settings: &Value, back: &str) -> String {
    let page = settings["authorization_endpoint"].as_str().unwrap();
    let query = [
        ("response_type", "code"),
        ("client_id", settings["client_id"].as_str().unwrap()),
        ("scope", settings["scope"].as_str().unwrap()),
        ("redirect_uri", back),
        ("state", "s"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let page = Url::parse_with_params(page, query).unwrap();
    let chosen = browser().post(page).form(&[("user", "olga")]);
    let back = chosen.send().await.unwrap();
    let back = Url::parse(back.headers()["location"].to_str().unwrap()).unwrap();
    assert!(back.as_str().starts_with(gateway(world)));
    let mut parameters = back.query_pairs();
    let (_, code) = parameters.find(|(name, _)| name == "code").unwrap();
    code.into_owned()
}

#[tokio::test]
async fn a_person_signs_in_by_what_the_page_asks_of_us_alone() {
    let world = World::new().await;
    let settings = settings(&world).await.json();
    assert_eq!(settings["scope"], "openid offline_access");
    assert_eq!(settings["parameters"], json!([]));
    let issuer = &world.stack.addresses().issuer;
    assert_eq!(
        settings["sign_out"],
        json!({
            "endpoint": format!("{issuer}/logout"),
            "parameters": ["client_id", "id_token_hint", "post_logout_redirect_uri"],
        })
    );
    let back = format!("{}/", gateway(&world));
    let code = code(&world, &settings, &back).await;
    let grant = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("code_verifier", VERIFIER),
        ("redirect_uri", &back),
        // Whoever calls is our own client.
        ("client_id", "another"),
    ];
    let tokens = exchange(&world, &grant).await;
    assert_eq!(tokens.status, 200, "{}", tokens.text);
    assert_eq!(tokens.headers["cache-control"], "no-store");
    let tokens = tokens.json();
    let url = format!("{}/api/organizations", gateway(&world));
    let token = tokens["access_token"].as_str().unwrap();
    let called = browser().get(url).bearer_auth(token).send().await.unwrap();
    assert_eq!(called.status(), 200);
    // A new token without a way through the browser.
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let grant = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    let renewed = exchange(&world, &grant).await;
    assert_eq!(renewed.status, 200, "{}", renewed.text);
    assert!(renewed.json()["access_token"].is_string());

    // What the issuer refuses.
    let used = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("code_verifier", VERIFIER),
        ("redirect_uri", &back),
    ];
    let refused = exchange(&world, &used).await;
    refused.assert_problem_says(400, "sign in again");
    assert_eq!(refused.json()["error"], "invalid_grant");
    // What is no grant of a page's: the client would need a secret, or be a person's password.
    for grant in ["client_credentials", "password", ""] {
        let answer = exchange(&world, &[("grant_type", grant)]).await;
        answer.assert_problem_says(400, "The form");
    }
}

#[tokio::test]
async fn without_a_client_the_page_says_what_to_set() {
    let none = BTreeMap::from([("SignInClientId".to_owned(), String::new())]);
    let world = World::with(Options {
        parameters: none,
        ..Options::default()
    })
    .await;
    let answer = settings(&world).await;
    answer.assert_problem_says(404, "SignInClientId");
    let grant = [("grant_type", "refresh_token"), ("refresh_token", "x")];
    let answer = exchange(&world, &grant).await;
    answer.assert_problem_says(404, "SignInClientId");
}
