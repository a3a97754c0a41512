//! Our own client takes a person to a consent page and comes back with a grant.

use secrecy::ExposeSecret;
use shared::domain::consent_refusal::ConsentRefusal;
use shared::domain::error_code::ResponseDefect;
use shared::domain::verdict::Verdict;
use shared::oauth::{ConsentCode, Granted, TokenResponse};
use shared::platforms::consent::Visit;
use url::Url;

use super::clients::Caller;
use super::*;
use crate::platforms::OfferedAccount;

const BACK: &str = "http://127.0.0.1:9/oauth/callback?x=1";
/// The example of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A platform, and whether the credential before came with a refresh token.
type Way = (Platform, Option<bool>);

impl Caller {
    fn page(&self, (platform, before): Way) -> Url {
        let visit = Visit {
            redirect_uri: BACK,
            state: "a/state",
            code_challenge: CHALLENGE,
            email: None,
        };
        let url = self
            .client
            .consent_url(platform, before, &self.clients, visit);
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

    async fn allow(&self, way: Way, account: &str, scopes: &[&str]) -> String {
        let mut form = vec![("decision", "allow"), ("account", account)];
        form.extend(scopes.iter().map(|scope| ("scope", *scope)));
        let back = self.decide(&self.page(way), &form).await;
        assert_eq!(back["state"], "a/state");
        let code = back.get("code").or_else(|| back.get("auth_code"));
        code.unwrap().clone()
    }

    async fn exchange(&self, (platform, before): Way, code: &str) -> Result<Granted, Verdict> {
        let code = ConsentCode {
            code: code.into(),
            verifier: VERIFIER.into(),
            redirect_uri: BACK.to_owned(),
        };
        let granted = self.client.exchange(platform, before, &self.clients, &code);
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
        let ann = OfferedAccount {
            id: "4711".to_owned(),
            name: "ann".to_owned(),
        };
        caller.world.platforms.offer_accounts(platform, vec![ann]);
        let way = (platform, Some(true));
        let scopes = platform.consent(way.1).scopes;
        let code = caller.allow(way, "4711", scopes).await;
        let granted = caller.exchange(way, &code).await;
        let granted = granted.unwrap_or_else(|refused| panic!("{platform}: {refused:?}"));
        assert_eq!(granted.accounts.len(), 1, "{platform}");
        assert_eq!(granted.accounts[0].id, "4711", "{platform}");
        let unnamed = [
            Platform::Linkedin,
            Platform::Google,
            Platform::TiktokBusiness,
        ];
        let name = if unnamed.contains(&platform) {
            ""
        } else {
            "ann"
        };
        assert_eq!(granted.accounts[0].username, name, "{platform}");
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
        let again = caller.exchange(way, &code).await.unwrap_err();
        let refusal = ConsentRefusal::of_exchange(&again);
        assert_eq!(refusal, ConsentRefusal::Expired, "{platform}: {again:?}");
    }
}

#[tokio::test]
async fn a_grant_for_advertisers_never_ends_and_names_them() {
    let caller = Caller::new().await;
    let way = (Platform::TiktokBusiness, None);
    let code = caller.allow(way, "7001,7002", &[]).await;
    let granted = caller.exchange(way, &code).await.unwrap();
    let ids = granted.accounts.iter().map(|account| account.id.as_str());
    assert_eq!(ids.collect::<Vec<_>>(), ["7001", "7002"]);
    let TokenResponse {
        tokens, lifetimes, ..
    } = granted.response;
    assert!(tokens.refresh_token.is_none() && lifetimes.access.is_none());
    assert!(lifetimes.scopes.is_empty());
    caller.world.pass(1_000 * DAY);
    let probed = caller.client.probe(way.0, &caller.clients, &tokens, &[]);
    assert!(probed.await.unwrap().result.is_ok());
    let again = caller.exchange(way, &code).await.unwrap_err();
    assert!(matches!(again, Verdict::ReconnectNeeded(_)), "{again:?}");
}

#[tokio::test]
async fn a_person_may_deny_or_allow_less() {
    let caller = Caller::new().await;
    for platform in Platform::ALL {
        for before in [Some(true), Some(false)] {
            let page = caller.page((platform, before));
            let back = caller.decide(&page, &[("decision", "deny")]).await;
            let refusal = platform.consent(before).refusal(&back["error"]);
            assert_eq!(refusal, ConsentRefusal::Denied, "{platform}");
            assert_eq!(back["state"], "a/state");
        }
    }
    let way = (Platform::Linkedin, None);
    let code = caller.allow(way, "1", &["r_ads", "rw_organization_admin"]);
    let granted = caller.exchange(way, &code.await).await.unwrap();
    let allowed = granted.response.lifetimes.scopes;
    assert_eq!(allowed, ["r_ads", "rw_organization_admin"]);
}

#[tokio::test]
async fn a_code_is_for_whoever_asked_and_for_a_while() {
    let caller = Caller::new().await;
    let way = (Platform::Twitter, None);
    let scopes = way.0.consent(None).scopes;
    let code = caller.allow(way, "1", scopes).await;
    caller.world.pass(30);
    assert!(caller.exchange(way, &code).await.is_err());
    let code = caller.allow(way, "1", scopes).await;
    let stolen = ConsentCode {
        code: code.into(),
        verifier: "another".into(),
        redirect_uri: BACK.to_owned(),
    };
    let stolen = caller
        .client
        .exchange(way.0, None, &caller.clients, &stolen);
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
    let failure = caller.client.exchange(way.0, None, &none, &code).await;
    let failure = failure.unwrap_err().result.map(|never| match never {});
    let expected = Some(ResponseDefect::NoClientCredentials.name().to_owned());
    assert_eq!(failure.unwrap_err().code, expected);
    let visit = Visit {
        redirect_uri: BACK,
        state: "s",
        code_challenge: CHALLENGE,
        email: None,
    };
    let url = caller.client.consent_url(way.0, None, &none, visit);
    assert_eq!(url, None);
}
