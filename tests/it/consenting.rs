//! A person connects an account, or mends a connection, on a platform's own page.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Response, Url};
use serde_json::{Value, json};
use shared::Platform;
use shared::domain::integration::State;
use shared::domain::integration_status::IntegrationStatus;

use crate::world::{Answer, World, acme, integration};

/// Somebody's browser, with its cookie of ours.
struct Browser<'a> {
    world: &'a World,
    user: &'a str,
    http: reqwest::Client,
    cookie: Option<String>,
}

fn path(id: &str, rest: &str) -> String {
    format!("/api/dashboard/acme/integrations/{id}/{rest}")
}

impl<'a> Browser<'a> {
    fn of(world: &'a World, user: &'a str) -> Self {
        let http = reqwest::Client::builder().no_proxy();
        let http = http.redirect(reqwest::redirect::Policy::none());
        Self {
            world,
            user,
            http: http.build().unwrap(),
            cookie: None,
        }
    }

    async fn ask(&self, id: &str, body: &Value) -> Response {
        let request = self
            .world
            .request_as(self.user, "POST", &path(id, "consent"));
        let request = match &self.cookie {
            Some(cookie) => request.header(COOKIE, cookie),
            None => request,
        };
        request.json(body).send().await.unwrap()
    }

    /// Begins a consent; returns the address of the platform's page.
    async fn begin(&mut self, id: &str, body: Value) -> Url {
        let answer = self.ask(id, &body).await;
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
        let cookie = answer.headers()[SET_COOKIE].to_str().unwrap().to_owned();
        for part in ["Path=/;", "HttpOnly", "SameSite=Lax", "Max-Age=3600"] {
            assert!(cookie.contains(part), "{cookie}");
        }
        // On loopback there is no TLS.
        assert!(!cookie.contains("Secure"), "{cookie}");
        let cookie = cookie.split(';').next().unwrap().to_owned();
        assert!(self.cookie.is_none() || self.cookie.as_ref() == Some(&cookie));
        self.cookie = Some(cookie);
        let answer: Value = answer.json().await.unwrap();
        Url::parse(answer["url"].as_str().unwrap()).unwrap()
    }

    /// Decides on the platform's page; returns the address that it leads back to.
    async fn decide(&self, page: &Url, form: &[(&str, &str)]) -> Url {
        let answer = self
            .http
            .post(page.clone())
            .form(form)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 303, "{page}");
        Url::parse(answer.headers()[LOCATION].to_str().unwrap()).unwrap()
    }

    async fn allow(&self, page: &Url, account: &str, scopes: &[&str]) -> Url {
        let mut form = vec![("decision", "allow"), ("account", account)];
        form.extend(scopes.iter().map(|scope| ("scope", *scope)));
        self.decide(page, &form).await
    }

    /// Goes back to us; returns the path of the page that we show.
    async fn back(&self, to: &Url) -> String {
        let request = self.http.get(to.clone());
        let request = match &self.cookie {
            Some(cookie) => request.header(COOKIE, cookie),
            None => request,
        };
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 303, "{}", answer.text().await.unwrap());
        answer.headers()[LOCATION].to_str().unwrap().to_owned()
    }

    /// Wants it in spite of the question.
    async fn confirm(&self, id: &str, question: &Value, account: &str) -> Answer {
        let body = json!({"consent": question["consent"], "account_id": account});
        let path = path(id, "consent/confirm");
        self.world.post_as(self.user, &path, &body).await
    }
}

fn question(page: &str) -> Value {
    let (_, fragment) = page
        .split_once("/reconnect#")
        .unwrap_or_else(|| panic!("{page}"));
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(fragment).unwrap()).unwrap()
}

/// What a consent page asks for that is to mend an integration without a refresh token.
fn scopes(platform: Platform) -> &'static [&'static str] {
    platform.consent(Some(false)).scopes
}

async fn world(platform: Platform) -> World {
    let world = World::new().await;
    world.import(&acme()).await;
    let scopes = scopes(platform);
    let mut one = integration("one", platform.name(), Some(TimeDelta::days(-1)), false);
    one["account_id"] = json!("4711");
    one["username"] = json!("ann");
    one["scopes"] = json!(scopes);
    world.import(&[one]).await;
    world.check(json!({})).await;
    world
}

#[tokio::test]
async fn a_broken_integration_is_mended_by_its_own_account_on_every_platform() {
    for platform in Platform::ALL {
        let world = world(platform).await;
        let before = world.row("acme", "one").await;
        let one = "/api/dashboard/acme/integrations/one";
        let status = world.get_as("ian", one).await.json()["status"].clone();
        assert_eq!(status, "broken", "{platform}");
        let mut ian = Browser::of(&world, "ian");
        let page = ian.begin("one", json!({})).await;
        let to = ian.allow(&page, "4711", scopes(platform)).await;
        assert!(to.path().ends_with("/oauth/callback"), "{to}");
        let shown = ian.back(&to).await;
        assert_eq!(shown, "/dashboard/acme/integrations/one?connected=1");
        let after = world.row("acme", "one").await;
        assert_eq!(after.state, State::Active, "{platform}");
        assert_eq!(
            after.credential.generation,
            before.credential.generation + 1
        );
        assert_eq!(after.credential.grant, before.credential.grant + 1);
        assert_eq!(after.created_by, before.created_by);
        // An advertiser's token never ends.
        let never_ends = platform == Platform::TiktokBusiness;
        assert_eq!(after.expiry.access_token.is_none(), never_ends);
        // It works, and goes on by itself.
        let checked = path("one", "check");
        let checked = world.send_as("ian", "POST", &checked).await.json();
        assert!(
            ["renewed", "alive", "unchanged", "nothing_to_check"]
                .contains(&checked["result"].as_str().unwrap()),
            "{platform}: {checked}"
        );
        let history = world.get_as("ian", one).await.json()["history"].to_string();
        assert!(history.contains("\"replaced\""), "{history}");
        // A code, and a state, work once.
        assert_eq!(ian.back(&to).await, "/connect?refused=unknown");
        assert_eq!(world.row("acme", "one").await.state, State::Active);
    }
}

#[tokio::test]
async fn a_new_account_is_connected_on_every_platform() {
    let world = World::new().await;
    world.import(&acme()).await;
    for platform in Platform::ALL {
        let id = format!("new-{platform}");
        let mut ian = Browser::of(&world, "ian");
        let page = ian.begin(&id, json!({"platform": platform})).await;
        let to = ian.allow(&page, "77", scopes(platform)).await;
        let shown = ian.back(&to).await;
        let expected = format!("/dashboard/acme/integrations/{id}?connected=1");
        assert_eq!(shown, expected, "{platform}");
        let row = world.row("acme", &id).await;
        assert_eq!((row.platform, &*row.account.id), (platform, "77"));
        // Nobody is warned of what renews itself.
        let renews = row.credential.refresh_token.is_some();
        assert!(!renews || row.is_proven(world.now()), "{platform}");
        let status = IntegrationStatus::from_row(&row, world.now());
        assert_eq!(status, IntegrationStatus::Healthy, "{platform}");
        assert_eq!(row.created_by.as_str(), "ian");
        assert_eq!(row.state, State::Active);
    }
}

#[tokio::test]
async fn a_tiktok_account_is_mended_as_one_and_of_several_advertisers_a_person_picks() {
    let world = World::new().await;
    world.import(&acme()).await;
    let platform = Platform::TiktokBusiness;
    let mut account = integration("one", platform.name(), Some(TimeDelta::hours(9)), true);
    account["account_id"] = json!("4711");
    world.import(&[account]).await;
    let mut ian = Browser::of(&world, "ian");
    let page = ian.begin("one", json!({})).await;
    assert!(page.path().ends_with("/v2/auth/authorize"), "{page}");
    let of_account = platform.consent(Some(true)).scopes;
    let to = ian.allow(&page, "4711", of_account).await;
    let shown = ian.back(&to).await;
    assert!(shown.ends_with("/one?connected=1"), "{shown}");
    let row = world.row("acme", "one").await;
    assert!(row.credential.refresh_token.is_some());

    let page = ian.begin("ads", json!({"platform": platform})).await;
    assert!(page.path().ends_with("/portal/auth"), "{page}");
    let to = ian.allow(&page, "7001,7002", &[]).await;
    assert!(to.query().unwrap().contains("auth_code="), "{to}");
    let asked = question(&ian.back(&to).await);
    assert_eq!(asked["accounts"].as_array().unwrap().len(), 2, "{asked}");
    assert_eq!(
        (&asked["is_identified"], &asked["before"]),
        (&json!(true), &json!(null))
    );
    let done = ian.confirm("ads", &asked, "7002").await;
    assert_eq!(done.status, 200, "{}", done.text);
    let row = world.row("acme", "ads").await;
    assert_eq!((&*row.account.id, &*row.account.username), ("7002", "7002"));
    assert!(row.credential.refresh_token.is_none());
    assert_eq!(
        (row.expiry.access_token, row.expiry.refresh_token),
        (None, None)
    );
    // It is among several again, and nobody is asked.
    let page = ian.begin("ads", json!({})).await;
    let to = ian.allow(&page, "7001,7002", &[]).await;
    let shown = ian.back(&to).await;
    assert!(shown.ends_with("/ads?connected=1"), "{shown}");
}

#[tokio::test]
async fn a_grant_that_allows_nothing_needs_a_yes() {
    for platform in Platform::ALL {
        let asked = scopes(platform);
        // Threads names no permissions beside a token.
        if asked.is_empty() || platform == Platform::Threads {
            continue;
        }
        let world = world(platform).await;
        let before = world.row("acme", "one").await;
        let mut ian = Browser::of(&world, "ian");
        let page = ian.begin("one", json!({})).await;
        let to = ian.allow(&page, "4711", &[]).await;
        let shown = ian.back(&to).await;
        assert!(!shown.contains("connected"), "{platform}: {shown}");
        let question = question(&shown);
        let missing = question["missing_scopes"].as_array().unwrap().len();
        assert_eq!(missing, asked.len(), "{platform}: {question}");
        assert_eq!(world.row("acme", "one").await, before, "{platform}");
    }
}

#[tokio::test]
async fn whoever_may_not_manage_any_more_does_not_finish() {
    let world = world(Platform::Twitter).await;
    let before = world.row("acme", "one").await;
    let scopes = scopes(Platform::Twitter);
    let mut ian = Browser::of(&world, "ian");
    let member = "/api/dashboard/acme/members/ian";
    for (method, permissions) in [
        ("PUT", json!(["use_integrations"])),
        ("DELETE", json!(null)),
    ] {
        let page = ian.begin("one", json!({})).await;
        let to = ian.allow(&page, "4711", scopes).await;
        let request = world.request_as("olga", method, member);
        let request = request.json(&json!({"permissions": permissions}));
        let changed = Answer::of(request).await;
        assert!((200..300).contains(&changed.status), "{}", changed.text);
        let shown = ian.back(&to).await;
        assert!(
            shown.ends_with("/one/reconnect?refused=forbidden"),
            "{shown}"
        );
        assert_eq!(world.row("acme", "one").await, before, "{method}");
        // It was the one attempt.
        assert_eq!(ian.back(&to).await, "/connect?refused=unknown");
        let back = json!({"permissions": ["manage_integrations"]});
        let request = world.request_as("olga", "PUT", member).json(&back);
        let changed = Answer::of(request).await;
        assert!((200..300).contains(&changed.status), "{}", changed.text);
        // The authorizer remembers for a while.
        world.pass(TimeDelta::minutes(2));
    }
    let page = ian.begin("one", json!({})).await;
    let to = ian.allow(&page, "4711", scopes).await;
    assert!(ian.back(&to).await.ends_with("?connected=1"));
}

#[tokio::test]
async fn people_hear_once_that_a_broken_integration_was_mended() {
    let world = world(Platform::Twitter).await;
    let told = world.notification_kinds("olga").await;
    assert_eq!(told, ["integration_token_expired"]);
    let mut ian = Browser::of(&world, "ian");
    let page = ian.begin("one", json!({})).await;
    let to = ian.allow(&page, "4711", scopes(Platform::Twitter)).await;
    assert!(ian.back(&to).await.ends_with("?connected=1"));
    let row = world.row("acme", "one").await;
    assert!(row.sent_alerts.recovery.is_some());
    world.check(json!({})).await;
    let expected = ["integration_token_expired", "integration_token_refreshed"];
    for user in ["olga", "ian"] {
        let mut told = world.notification_kinds(user).await;
        told.sort();
        assert_eq!(told, expected, "{user}");
    }
    let row = world.row("acme", "one").await;
    assert_eq!(
        (row.sent_alerts.recovery, row.sent_alerts.state_since),
        (None, None)
    );
    world.check(json!({})).await;
    assert_eq!(world.notification_kinds("olga").await.len(), 2);
}

#[tokio::test]
async fn another_account_or_fewer_permissions_change_nothing_unless_somebody_confirms() {
    let world = world(Platform::Linkedin).await;
    let before = world.row("acme", "one").await;
    let mut ian = Browser::of(&world, "ian");
    let scopes = scopes(Platform::Linkedin);

    // Another account.
    let page = ian.begin("one", json!({})).await;
    let to = ian.allow(&page, "99", scopes).await;
    let asked = question(&ian.back(&to).await);
    assert_eq!(asked["before"]["account_id"], "4711");
    assert_eq!(asked["accounts"][0]["account_id"], "99");
    assert_eq!(asked["missing_scopes"], json!([]));
    assert_eq!(world.row("acme", "one").await, before);
    // Neither by somebody else, nor for what the grant is not for.
    let olga = Browser::of(&world, "olga");
    let foreign = olga.confirm("one", &asked, "99").await;
    foreign.assert_problem(409);
    assert_eq!(foreign.json()["reason"], "foreign");
    let other = ian.confirm("one", &asked, "4711").await;
    assert_eq!(other.json()["reason"], "no_account");
    assert_eq!(world.row("acme", "one").await, before);
    let done = ian.confirm("one", &asked, "99").await;
    assert_eq!(done.status, 200, "{}", done.text);
    let after = world.row("acme", "one").await;
    assert_eq!((&*after.account.id, &after.state), ("99", &State::Active));
    let again = ian.confirm("one", &asked, "99").await;
    assert_eq!(again.json()["reason"], "unknown");

    // Fewer permissions.
    let before = world.row("acme", "one").await;
    let page = ian.begin("one", json!({})).await;
    let to = ian.allow(&page, "99", &scopes[1..]).await;
    let asked = question(&ian.back(&to).await);
    assert_eq!(asked["missing_scopes"], json!([scopes[0]]));
    assert_eq!(world.row("acme", "one").await, before);
    let done = ian.confirm("one", &asked, "99").await;
    assert_eq!(done.status, 200, "{}", done.text);
    assert_eq!(
        world.row("acme", "one").await.permissions.granted,
        scopes[1..]
    );
}

#[tokio::test]
async fn whatever_goes_wrong_has_its_own_words_and_changes_nothing() {
    let world = world(Platform::Twitter).await;
    let before = world.row("acme", "one").await;
    let scopes = scopes(Platform::Twitter);
    let reconnect =
        |reason: &str| format!("/dashboard/acme/integrations/one/reconnect?refused={reason}");
    let mut ian = Browser::of(&world, "ian");

    let page = ian.begin("one", json!({})).await;
    let denied = ian.decide(&page, &[("decision", "deny")]).await;
    assert_eq!(ian.back(&denied).await, reconnect("denied"));
    assert_eq!(ian.back(&denied).await, "/connect?refused=unknown");

    // Ten minutes are over.
    let page = ian.begin("one", json!({})).await;
    let to = ian.allow(&page, "4711", scopes).await;
    world.pass(TimeDelta::minutes(10));
    assert_eq!(ian.back(&to).await, "/connect?refused=unknown");

    // In another browser, or in none that began anything.
    let page = ian.begin("one", json!({})).await;
    let to = ian.allow(&page, "4711", scopes).await;
    let mut eve = Browser::of(&world, "olga");
    assert_eq!(eve.back(&to).await, "/connect?refused=foreign");
    eve.begin("one", json!({})).await;
    assert_eq!(eve.back(&to).await, reconnect("foreign"));

    // A code that the platform never gave, and parameters that were tampered with.
    let mut forged = to.clone();
    let pairs: BTreeMap<String, String> = to.query_pairs().into_owned().collect();
    forged
        .query_pairs_mut()
        .clear()
        .append_pair("code", "forged")
        .append_pair("state", &pairs["state"]);
    assert_eq!(ian.back(&forged).await, reconnect("expired"));
    // What the platform's page says instead of a code.
    for (says, reason) in [
        ("error=access_denied&error_reason=user_denied", "denied"),
        ("error=server_error", "platform_failed"),
        ("error=invalid_scope", "app_refused"),
        ("error_code=1349048&error_message=x", "platform_failed"),
        ("", "denied"),
    ] {
        let page = ian.begin("one", json!({})).await;
        let to = ian.decide(&page, &[("decision", "deny")]).await;
        let pairs: BTreeMap<String, String> = to.query_pairs().into_owned().collect();
        forged.set_query(Some(&format!("{says}&state={}", pairs["state"])));
        assert_eq!(ian.back(&forged).await, reconnect(reason), "{says}");
    }
    // What its token endpoint says to a code.
    for (error, reason) in [
        ("invalid_client", "app_refused"),
        ("unavailable", "platform_failed"),
    ] {
        let script = json!({
            "platform": "twitter", "on": "refresh", "times": 1, "do": {"refuse": error},
        });
        let script = serde_json::from_value(script).unwrap();
        world.stack.platforms().script(script).unwrap();
        let page = ian.begin("one", json!({})).await;
        let to = ian.allow(&page, "4711", scopes).await;
        assert_eq!(ian.back(&to).await, reconnect(reason), "{error}");
    }
    for query in [
        "",
        "state=",
        "state=x",
        "code=x",
        "state=%00&code=%00",
        "error=access_denied",
    ] {
        forged.set_query(Some(query));
        assert_eq!(
            ian.back(&forged).await,
            "/connect?refused=unknown",
            "{query}"
        );
    }
    assert_eq!(world.row("acme", "one").await, before);

    // What cannot begin.
    for (id, body, status, says) in [
        ("new", json!({}), 409, "needs a platform"),
        ("one", json!({"platform": "meta"}), 409, "keeps its own"),
        ("new", json!({"platform": "nothing"}), 400, "platform"),
        ("one", json!({"plattform": "meta"}), 400, "unknown field"),
    ] {
        let answer = world.post_as("ian", &path(id, "consent"), &body).await;
        answer.assert_problem_says(status, says);
    }
    // Members who only look, and strangers.
    for (user, status) in [("mia", 403), ("stranger", 403)] {
        for route in ["consent", "consent/confirm"] {
            let answer = world.post_as(user, &path("one", route), &json!({})).await;
            answer.assert_problem(status);
        }
    }
    // HEAD takes no step.
    let page = ian.begin("one", json!({})).await;
    let to = ian.allow(&page, "4711", scopes).await;
    let head = ian
        .http
        .head(to.clone())
        .header(COOKIE, ian.cookie.as_ref().unwrap());
    let head = head.send().await.unwrap();
    assert_eq!(
        (head.status().as_u16(), &head.headers()["allow"]),
        (405, &"GET".parse().unwrap())
    );
    assert!(ian.back(&to).await.ends_with("?connected=1"));
}

#[tokio::test]
async fn a_platform_that_does_not_say_who_it_is_leaves_that_to_the_person() {
    let world = world(Platform::Twitter).await;
    let before = world.row("acme", "one").await;
    let silent = json!({"platform": "twitter", "on": "call", "do": {"refuse": "unavailable"}});
    let silent = serde_json::from_value(silent).unwrap();
    world.stack.platforms().script(silent).unwrap();
    let scopes = scopes(Platform::Twitter);
    let mut ian = Browser::of(&world, "ian");
    let page = ian.begin("one", json!({})).await;
    let to = ian.allow(&page, "4711", scopes).await;
    let asked = question(&ian.back(&to).await);
    assert_eq!(asked["is_identified"], false);
    assert_eq!(asked["accounts"][0]["account_id"], "4711");
    assert_eq!(world.row("acme", "one").await, before);
    let done = ian.confirm("one", &asked, "4711").await;
    assert_eq!(done.status, 200, "{}", done.text);
    assert_eq!(world.row("acme", "one").await.state, State::Active);
    // Of a new one nobody knows it.
    for (answer, reason) in [
        (json!({"refuse": "unavailable"}), "platform_failed"),
        (
            json!({"respond": {"status": 200, "body": "{}"}}),
            "no_account",
        ),
    ] {
        world.stack.platforms().clear_scripts();
        let script = json!({"platform": "twitter", "on": "call", "do": answer});
        let script = serde_json::from_value(script).unwrap();
        world.stack.platforms().script(script).unwrap();
        let page = ian.begin("new", json!({"platform": "twitter"})).await;
        let to = ian.allow(&page, "4711", scopes).await;
        let shown = ian.back(&to).await;
        let expected = format!("/new/reconnect?refused={reason}");
        assert!(shown.ends_with(&expected), "{shown}");
    }
}

#[tokio::test]
async fn of_two_tabs_that_come_back_at_once_one_connects() {
    let world = world(Platform::Twitter).await;
    let mut ian = Browser::of(&world, "ian");
    let page = ian.begin("one", json!({})).await;
    let to = ian.allow(&page, "4711", scopes(Platform::Twitter)).await;
    let (first, second) = tokio::join!(ian.back(&to), ian.back(&to));
    let connected = [&first, &second]
        .iter()
        .filter(|shown| shown.ends_with("?connected=1"))
        .count();
    assert_eq!(connected, 1, "{first} {second}");
    assert_eq!(world.row("acme", "one").await.state, State::Active);
}
