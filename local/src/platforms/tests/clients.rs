//! Our own client against the simulators, over a socket.

use shared::Variables;
use shared::domain::refresh::{Ends, ProbeResult};
use shared::domain::verdict::{ReconnectReason, Transient, Verdict};
use shared::oauth::{Endpoints, OAuthClient, PlatformClients, Tokens};
use shared::platforms::catalog::RefreshModel;

use super::*;

pub(super) struct Caller {
    pub(super) world: World,
    pub(super) base: String,
    pub(super) client: OAuthClient,
    pub(super) clients: PlatformClients,
}

impl Caller {
    pub(super) async fn new() -> Self {
        let world = World::new();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let router = world.platforms.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let overrides = (
            "PLATFORM_ENDPOINTS".to_owned(),
            endpoints(&base).to_string(),
        );
        let endpoints = Endpoints::from_variables(&Variables::from_iter([overrides])).unwrap();
        let known = |platform: Platform| {
            world.platforms.expect_client(platform, "id", "secret");
            let client = json!({"client_id": "id", "client_secret": "secret"});
            (platform.name().to_owned(), client)
        };
        let clients: serde_json::Map<_, _> = Platform::ALL.into_iter().map(known).collect();
        Self {
            client: OAuthClient::new(endpoints, world.clock.clone()).unwrap(),
            clients: PlatformClients::from_json(&Value::Object(clients).to_string()).unwrap(),
            world,
            base,
        }
    }

    async fn probe(
        &self,
        platform: Platform,
        tokens: &Tokens,
    ) -> Option<Result<ProbeResult, Verdict>> {
        self.probe_of(platform, tokens, &[]).await
    }

    /// Probes a grant that is known to allow `scopes`.
    async fn probe_of(
        &self,
        platform: Platform,
        tokens: &Tokens,
        scopes: &[String],
    ) -> Option<Result<ProbeResult, Verdict>> {
        let probed = self.client.probe(platform, &self.clients, tokens, scopes);
        let probed = probed.await;
        probed.map(|probed| probed.result.map_err(|refused| refused.verdict))
    }

    /// Returns new tokens for a grant that was never seen.
    async fn refreshed(&self, platform: Platform, token: &str) -> Tokens {
        let model = platform.refresh_model(true, true);
        let old = tokens(token, Some(token));
        let answer = self
            .client
            .refresh(platform, model, &self.clients, &old)
            .await;
        let granted = answer.result.unwrap_or_else(|refused| {
            panic!("{platform}: {refused:?}");
        });
        assert!(granted.lifetimes.access.is_some(), "{platform}");
        granted.tokens
    }
}

fn tokens(access: &str, refresh: Option<&str>) -> Tokens {
    Tokens {
        access_token: access.into(),
        refresh_token: refresh.map(Into::into),
    }
}

const fn is_dead(probed: &Result<ProbeResult, Verdict>) -> bool {
    matches!(probed, Err(Verdict::ReconnectNeeded(_)))
}

#[tokio::test]
async fn a_probe_tells_a_living_token_from_a_dead_one() {
    let caller = Caller::new().await;
    for platform in Platform::ALL {
        let tokens = caller.refreshed(platform, "token-of-a-friend").await;
        let alive = caller.probe(platform, &tokens).await;
        if platform == Platform::Twitter {
            assert_eq!(alive, None, "X bills a read");
            continue;
        }
        let seen = alive.unwrap().unwrap_or_else(|verdict| {
            panic!("{platform}: {verdict:?}");
        });
        let telling = [Platform::Meta, Platform::Linkedin, Platform::Google];
        let tells_its_end = telling.contains(&platform);
        assert_eq!(
            matches!(seen.access, Ends::At(_)),
            tells_its_end,
            "{platform}"
        );
        let tells_data_access = matches!(seen.data_access, Ends::At(_));
        assert_eq!(tells_data_access, platform == Platform::Meta, "{platform}");

        caller.world.pass(100 * DAY);
        let over = caller.probe(platform, &tokens).await.unwrap();
        assert!(is_dead(&over), "{platform}: {over:?}");

        let tokens = caller.refreshed(platform, "token-of-another").await;
        let revoke = json!({"platform": platform, "token": "token-of-another", "do": "revoke"});
        caller.world.scripted(revoke).await;
        caller.world.pass(60);
        let revoked = caller.probe(platform, &tokens).await.unwrap();
        assert!(is_dead(&revoked), "{platform}: {revoked:?}");
    }
}

#[tokio::test]
async fn an_advertisers_token_is_asked_about_where_advertisers_are() {
    let caller = Caller::new().await;
    let platform = Platform::TiktokBusiness;
    let advertiser = tokens("advertiser", None);
    let seen = caller.probe(platform, &advertiser).await;
    assert_eq!(seen, Some(Ok(ProbeResult::default())));
    let revoke = json!({"token": "advertiser", "do": "revoke"});
    caller.world.scripted(revoke).await;
    let dead = Verdict::ReconnectNeeded(ReconnectReason::GrantRefused);
    let seen = caller.probe(platform, &advertiser).await;
    assert_eq!(seen, Some(Err(dead)));
}

#[tokio::test]
async fn a_wrong_client_is_no_dead_token() {
    let caller = Caller::new().await;
    for platform in [Platform::Meta, Platform::Linkedin, Platform::TiktokBusiness] {
        let platforms = &caller.world.platforms;
        platforms.expect_client(platform, "id", "another secret");
        let seen = caller.probe(platform, &tokens("a", None)).await;
        assert_eq!(seen, Some(Err(Verdict::AppMisconfigured)), "{platform}");
        let model = platform.refresh_model(true, true);
        let old = tokens("a", Some("r"));
        let answer = caller
            .client
            .refresh(platform, model, &caller.clients, &old);
        let refused = answer.await.result.unwrap_err();
        assert_eq!(refused.verdict, Verdict::AppMisconfigured, "{platform}");
    }
}

#[tokio::test]
async fn a_lost_answer_is_none_and_a_new_token_of_linkedin_is_given_time() {
    let caller = Caller::new().await;
    let platform = Platform::Linkedin;
    let lost = json!({"platform": "linkedin", "do": "lose_answer", "on": "probe", "times": 1});
    caller.world.scripted(lost).await;
    let fresh = tokens("fresh", None);
    let none = Verdict::Transient(Transient::NoAnswer);
    assert_eq!(caller.probe(platform, &fresh).await, Some(Err(none)));
    let revoke = json!({"token": "fresh", "do": "revoke"});
    caller.world.scripted(revoke).await;
    let too_early = Verdict::Transient(Transient::ServerError);
    assert_eq!(caller.probe(platform, &fresh).await, Some(Err(too_early)));
    caller.world.pass(60);
    let dead = Verdict::ReconnectNeeded(ReconnectReason::Revoked);
    assert_eq!(caller.probe(platform, &fresh).await, Some(Err(dead)));
}

#[tokio::test]
async fn every_named_error_has_a_meaning_for_our_client() {
    let caller = Caller::new().await;
    for platform in Platform::ALL {
        for name in super::super::catalog::for_platform(platform).names() {
            let refuse = json!({"platform": platform, "do": {"refuse": name}, "times": 1});
            caller.world.scripted(refuse).await;
            let model = match platform {
                Platform::Meta | Platform::Instagram | Platform::Threads => RefreshModel::Extend,
                _ => RefreshModel::Static,
            };
            let old = tokens("a", Some("r"));
            let answer = caller
                .client
                .refresh(platform, model, &caller.clients, &old);
            let verdict = answer.await.result.unwrap_err().verdict;
            let expected = match name {
                "invalid_client" | "unauthorized_client" => "app_misconfigured",
                "invalid_grant" => "reconnect_needed",
                "server_error" | "unavailable" | "html" => "transient",
                _ => verdict.name(),
            };
            assert_eq!(verdict.name(), expected, "{platform} {name}");
        }
    }
}

const ADS: &str = "https://www.googleapis.com/auth/adwords";

#[tokio::test]
async fn a_google_token_is_asked_about_where_its_grant_allows() {
    let caller = Caller::new().await;
    let (platform, youtube) = (Platform::Google, "https://www.googleapis.com/auth/youtube");
    let (youtube, ads) = ([youtube.to_owned()], [ADS.to_owned()]);
    let token = tokens("a", None);
    let of_ads = Some(Ok(ProbeResult::default()));
    assert_eq!(caller.probe_of(platform, &token, &ads).await, of_ads);
    // Whatever else it is for, or if nobody knows: what it allows is said there.
    let change = |rules: &mut Rules| rules.scope.clone_from(&youtube[0]);
    caller.world.change_rules(platform, change);
    for scopes in [youtube.as_slice(), &[]] {
        let seen = caller.probe_of(platform, &token, scopes).await;
        let seen = seen.unwrap().unwrap();
        assert_eq!(seen.scopes, youtube);
        let end = caller.world.clock.now() + chrono::TimeDelta::seconds(3_599);
        assert_eq!(seen.access, Ends::At(end));
    }
    // Asked of Google Ads all the same, it has said nothing of the token.
    let unanswered = Some(Err(Verdict::ProbeNotApplicable));
    assert_eq!(caller.probe_of(platform, &token, &ads).await, unanswered);
}

#[tokio::test]
async fn meta_gets_the_proof_of_the_secret_with_every_token() {
    let caller = Caller::new().await;
    let platform = Platform::Meta;
    caller
        .world
        .change_rules(platform, |rules| rules.requires_proof = true);
    let bare = caller.world.refresh(platform, "a").await;
    assert_eq!(
        bare.body["error"]["message"],
        "API calls from the server require an appsecret_proof argument"
    );
    let bare = caller.world.probe(platform, "a").await;
    assert_eq!(bare.body["error"]["code"], 100);
    let renewed = caller.refreshed(platform, "a").await;
    let seen = caller.probe(platform, &renewed).await.unwrap();
    assert!(seen.is_ok(), "{seen:?}");
}

#[tokio::test]
async fn a_system_users_token_is_extended_by_sixty_days() {
    let caller = Caller::new().await;
    let platform = Platform::Meta;
    caller
        .world
        .change_rules(platform, |rules| rules.system_users = true);
    let without = caller.world.refresh(platform, "a").await;
    assert_eq!(without.body["error"]["code"], 100, "{}", without.body);
    caller.refreshed(platform, "a").await;
}
