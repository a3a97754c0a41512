//! Our own client takes a person to a consent page and comes back with a grant.

use secrecy::ExposeSecret;
use shared::domain::error_code::ResponseDefect;
use shared::domain::verdict::Verdict;
use shared::oauth::{ConsentCode, Granted};
use url::Url;

use super::clients::Caller;
use super::*;

const BACK: &str = "http://127.0.0.1:9/oauth/callback?x=1";
/// The example of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

impl Caller {
    fn page(&self, platform: Platform) -> Url {
        let url = self
            .client
            .consent_url(platform, &self.clients, BACK, "a/state", CHALLENGE);
        let url = Url::parse(&url.unwrap()).unwrap();
        assert!(url.as_str().starts_with(&self.base), "{url}");
        url
    }

    /// Sends the form of the page; returns what comes back.
    async fn decide(&self, page: &Url, form: &[(&str, &str)]) -> BTreeMap<String, String> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none());
        let http = http.build().unwrap();
        let shown = http.get(page.clone()).send().await.unwrap();
        assert_eq!(shown.status(), 200);
        let answer = http.post(page.clone()).form(form).send().await.unwrap();
        assert_eq!(answer.status(), 303);
        let location = answer.headers()["location"].to_str().unwrap();
        assert!(location.starts_with(BACK), "{location}");
        let location = Url::parse(location).unwrap();
        location.query_pairs().into_owned().collect()
    }

    async fn allow(&self, platform: Platform, account: &str, scopes: &[&str]) -> String {
        let mut form = vec![("decision", "allow"), ("account", account)];
        form.extend(scopes.iter().map(|scope| ("scope", *scope)));
        let back = self.decide(&self.page(platform), &form).await;
        assert_eq!(back["state"], "a/state");
        back["code"].clone()
    }

    async fn exchange(&self, platform: Platform, code: &str) -> Result<Granted, Verdict> {
        let code = ConsentCode {
            code: code.into(),
            verifier: VERIFIER.into(),
            redirect_uri: BACK.to_owned(),
        };
        let granted = self.client.exchange(platform, &self.clients, &code);
        granted.await.map_err(|failure| {
            let unsuccessful = failure.result.map(|never| match never {}).unwrap_err();
            unsuccessful.verdict
        })
    }
}

#[tokio::test]
async fn a_consent_becomes_a_grant_of_the_chosen_account() {
    let caller = Caller::new().await;
    for platform in Platform::ALL {
        let scopes = platform.consent().scopes;
        let code = caller.allow(platform, "4711", scopes).await;
        let granted = caller.exchange(platform, &code).await;
        let granted = granted.unwrap_or_else(|refused| panic!("{platform}: {refused:?}"));
        assert_eq!(granted.accounts.len(), 1, "{platform}");
        assert_eq!(granted.accounts[0].id, "4711", "{platform}");
        let probed = granted.probed.map(|probed| probed.scopes);
        let mut allowed = granted.response.lifetimes.scopes;
        if allowed.is_empty() {
            allowed = probed.unwrap_or_default();
        }
        // Threads says it nowhere.
        if !allowed.is_empty() {
            assert_eq!(allowed, scopes, "{platform}");
        }
        // It lasts as long as a grant does that is refreshed.
        let life = granted.response.lifetimes.access.unwrap().num_seconds();
        let expected = caller.world.platforms.rules(platform).access_lifetime;
        assert_eq!(life, expected, "{platform}");
        let tokens = granted.response.tokens;
        let model = platform.refresh_model(tokens.refresh_token.is_some(), true);
        caller.world.pass(DAY + 1);
        let renewed = caller
            .client
            .refresh(platform, model, &caller.clients, &tokens);
        let renewed = renewed.await.result;
        let renewed = renewed.unwrap_or_else(|refused| panic!("{platform}: {refused:?}"));
        assert_ne!(
            renewed.tokens.access_token.expose_secret(),
            tokens.access_token.expose_secret(),
            "{platform}"
        );
        // A code works once.
        let again = caller.exchange(platform, &code).await.unwrap_err();
        assert!(
            matches!(again, Verdict::ReconnectNeeded(_)),
            "{platform}: {again:?}"
        );
    }
}

#[tokio::test]
async fn a_person_may_deny_or_allow_less() {
    let caller = Caller::new().await;
    for platform in Platform::ALL {
        let page = caller.page(platform);
        let back = caller.decide(&page, &[("decision", "deny")]).await;
        assert_eq!(back["error"], "access_denied");
        assert_eq!(back["state"], "a/state");
    }
    let code = caller
        .allow(Platform::Linkedin, "1", &["r_ads", "rw_organization_admin"])
        .await;
    let granted = caller.exchange(Platform::Linkedin, &code).await.unwrap();
    let allowed = granted.response.lifetimes.scopes;
    assert_eq!(allowed, ["r_ads", "rw_organization_admin"]);
}

#[tokio::test]
async fn a_code_is_for_whoever_asked_and_for_a_while() {
    let caller = Caller::new().await;
    let platform = Platform::Twitter;
    let scopes = platform.consent().scopes;
    let code = caller.allow(platform, "1", scopes).await;
    caller.world.pass(30);
    assert!(caller.exchange(platform, &code).await.is_err());
    let code = caller.allow(platform, "1", scopes).await;
    let stolen = ConsentCode {
        code: code.into(),
        verifier: "another".into(),
        redirect_uri: BACK.to_owned(),
    };
    let stolen = caller.client.exchange(platform, &caller.clients, &stolen);
    let failure = stolen.await.unwrap_err();
    let summary = failure.summary.unwrap();
    assert_eq!(summary.status, 400);
    // Without our credentials nothing is sent.
    let none = shared::oauth::PlatformClients::default();
    let code = ConsentCode {
        code: "c".into(),
        verifier: "v".into(),
        redirect_uri: BACK.to_owned(),
    };
    let failure = caller.client.exchange(platform, &none, &code).await;
    let failure = failure.unwrap_err().result.map(|never| match never {});
    let expected = Some(ResponseDefect::NoClientCredentials.name().to_owned());
    assert_eq!(failure.unwrap_err().code, expected);
    let url = caller
        .client
        .consent_url(platform, &none, BACK, "s", CHALLENGE);
    assert_eq!(url, None);
}
