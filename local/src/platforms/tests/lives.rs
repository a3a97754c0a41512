//! How grants live and die.

use super::*;

const ROTATING: [Platform; 4] = [
    Platform::Tiktok,
    Platform::TiktokBusiness,
    Platform::Twitter,
    Platform::Snapchat,
];

#[tokio::test]
async fn a_rotating_refresh_token_works_once() {
    for platform in ROTATING {
        let world = World::new();
        world.change_rules(platform, |rules| rules.family_kill = false);
        let first = world.renewed(platform, "r0").await;
        let second = text(&first, "refresh_token");
        assert!(second.contains(".r1."), "{second}");
        let reused = world.refresh(platform, "r0").await;
        assert!(
            is_dead(platform, &reused.body),
            "{platform}: {}",
            reused.body
        );
        let third = world.renewed(platform, second).await;
        assert!(text(&third, "refresh_token").contains(".r2."));
        assert_ne!(third["access_token"], first["access_token"]);
        assert_eq!(world.platforms.refreshes(platform), 3);
        let counts = world.platforms.counts()[&platform];
        assert_eq!(
            (counts.refused, counts.adopted, counts.live_grants),
            (1, 1, 1)
        );
    }
}

#[tokio::test]
async fn on_x_reuse_kills_the_whole_grant() {
    let world = World::new();
    let first = world.renewed(Platform::Twitter, "r0").await;
    world.refresh(Platform::Twitter, "r0").await;
    let newest = world
        .refresh(Platform::Twitter, text(&first, "refresh_token"))
        .await;
    assert_eq!(newest.status, StatusCode::BAD_REQUEST);
    assert!(is_dead(Platform::Twitter, &newest.body));
    let access = world
        .probe(Platform::Twitter, text(&first, "access_token"))
        .await;
    assert_eq!(access.status, StatusCode::UNAUTHORIZED);
    assert_eq!(world.platforms.counts()[&Platform::Twitter].live_grants, 0);
}

#[tokio::test]
async fn within_the_grace_window_the_same_answer_comes_again() {
    let world = World::new();
    let platform = Platform::Twitter;
    world.change_rules(platform, |rules| rules.grace_window = 60);
    let first = world.renewed(platform, "r0").await;
    world.pass(60);
    assert_eq!(world.renewed(platform, "r0").await, first);
    let second = world.renewed(platform, text(&first, "refresh_token")).await;
    assert_ne!(second, first);

    world.pass(61);
    let late = world.refresh(platform, text(&first, "refresh_token")).await;
    assert!(is_dead(platform, &late.body));
    let killed = world
        .refresh(platform, text(&second, "refresh_token"))
        .await;
    assert!(is_dead(platform, &killed.body), "the family died with it");
}

#[tokio::test]
async fn only_one_of_many_concurrent_exchanges_wins() {
    let world = World::new();
    world.change_rules(Platform::Tiktok, |rules| rules.family_kill = false);
    let all = (0..32).map(|_| world.refresh(Platform::Tiktok, "r0"));
    let answers = futures::future::join_all(all).await;
    let won = answers
        .iter()
        .filter(|answer| answer.body["access_token"].is_string());
    assert_eq!(won.count(), 1);
}

#[tokio::test]
async fn static_refresh_tokens_work_for_ever_and_stay_the_same() {
    let world = World::new();
    for _ in 0..3 {
        let linkedin = world.renewed(Platform::Linkedin, "r0").await;
        assert_eq!(linkedin["refresh_token"], "r0");
        let google = world.renewed(Platform::Google, "r0").await;
        assert!(google.get("refresh_token").is_none());
        world.pass(7 * DAY);
    }
}

#[tokio::test]
async fn linkedins_year_does_not_slide_and_clips_the_access_token() {
    let world = World::new();
    let platform = Platform::Linkedin;
    world.renewed(platform, "r0").await;
    world.pass(59 * DAY);
    let day_59 = world.renewed(platform, "r0").await;
    assert_eq!(day_59["refresh_token_expires_in"], 306 * DAY);
    assert_eq!(day_59["expires_in"], 60 * DAY);
    world.pass(301 * DAY);
    let day_360 = world.renewed(platform, "r0").await;
    assert_eq!(day_360["refresh_token_expires_in"], 5 * DAY);
    assert_eq!(day_360["expires_in"], 5 * DAY);
    world.pass(5 * DAY);
    let over = world.refresh(platform, "r0").await;
    assert_eq!(over.status, StatusCode::BAD_REQUEST);
    assert_eq!(over.body["error"], "invalid_grant");
    assert_eq!(world.platforms.counts()[&platform].live_grants, 0);
}

#[tokio::test]
async fn a_refresh_token_dies_by_its_own_clock_and_sliding_ones_slide() {
    for (platform, days) in [
        (Platform::Tiktok, 180),
        (Platform::TiktokBusiness, 365),
        (Platform::Twitter, 182),
    ] {
        let world = World::new();
        let first = world.renewed(platform, "r0").await;
        world.pass(days * DAY - 1);
        let second = world.renewed(platform, text(&first, "refresh_token")).await;
        world.pass(days * DAY);
        let late = world
            .refresh(platform, text(&second, "refresh_token"))
            .await;
        assert!(is_dead(platform, &late.body), "{platform}: {}", late.body);
    }
    // TikTok Business tells expired from invalid.
    let world = World::new();
    let first = world.renewed(Platform::TiktokBusiness, "r0").await;
    world.pass(365 * DAY);
    let late = world
        .refresh(Platform::TiktokBusiness, text(&first, "refresh_token"))
        .await;
    assert_eq!(
        (late.status, &late.body["code"]),
        (StatusCode::OK, &json!(40103))
    );
}

#[tokio::test]
async fn googles_refresh_token_dies_idle_or_of_testing() {
    let world = World::new();
    for _ in 0..2 {
        world.renewed(Platform::Google, "r0").await;
        world.pass(180 * DAY - 1);
    }
    world.renewed(Platform::Google, "r0").await;
    world.pass(180 * DAY);
    let idle = world.refresh(Platform::Google, "r0").await;
    assert_eq!(
        idle.body["error_description"],
        "Token has been expired or revoked."
    );

    world.change_rules(Platform::Google, |rules| {
        rules.refresh_lifetime = Some(604_799);
        rules.refresh_slides = false;
    });
    let testing = world.renewed(Platform::Google, "r1").await;
    assert_eq!(testing["refresh_token_expires_in"], 604_799);
    world.pass(604_799);
    assert!(is_dead(
        Platform::Google,
        &world.refresh(Platform::Google, "r1").await.body
    ));
}

#[tokio::test]
async fn an_expired_access_token_is_never_extended() {
    for platform in [Platform::Meta, Platform::Instagram, Platform::Threads] {
        let world = World::new();
        let token = world.renewed(platform, "a0").await;
        let token = text(&token, "access_token");
        world.pass(5_183_944);
        let answer = world.refresh(platform, token).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.body["error"]["code"], 190);
        assert_eq!(answer.body["error"]["error_subcode"], 463);
        // A shorter life, as tests of expiry want it.
        world.change_rules(platform, |rules| rules.access_lifetime = 100 * DAY);
        assert_eq!(world.renewed(platform, "b0").await["expires_in"], 100 * DAY);
    }
}

#[tokio::test]
async fn meta_extends_any_living_token_of_a_grant_and_may_return_the_same() {
    let world = World::new();
    let platform = Platform::Meta;
    let first = world.renewed(platform, "a0").await;
    world.pass(DAY);
    let second = world.renewed(platform, text(&first, "access_token")).await;
    assert_ne!(first["access_token"], second["access_token"]);
    assert_eq!(second["expires_in"], 5_183_944);
    world.renewed(platform, text(&first, "access_token")).await;

    world.change_rules(platform, |rules| rules.extends = false);
    world.pass(DAY);
    let same = world.renewed(platform, text(&second, "access_token")).await;
    assert_eq!(same["access_token"], second["access_token"]);
    assert_eq!(same["expires_in"], 5_183_944 - DAY);

    world.change_rules(platform, |rules| rules.says_expires_in = false);
    let silent = world.renewed(platform, text(&second, "access_token")).await;
    assert!(silent.get("expires_in").is_none());
}

#[tokio::test]
async fn instagram_and_threads_refuse_a_token_under_a_day_old() {
    for platform in [Platform::Instagram, Platform::Threads] {
        let world = World::new();
        let adopted = world.renewed(platform, "a0").await;
        let token = text(&adopted, "access_token");
        world.pass(DAY - 1);
        let early = world.refresh(platform, token).await;
        assert_eq!(early.status, StatusCode::BAD_REQUEST);
        assert!(!is_dead(platform, &early.body), "{}", early.body);
        world.pass(1);
        world.renewed(platform, token).await;
    }
}

#[tokio::test]
async fn tokens_outlive_a_restart_of_the_simulator() {
    let before = World::new();
    let platform = Platform::Twitter;
    let first = before.renewed(platform, "r0").await;
    let second = before
        .renewed(platform, text(&first, "refresh_token"))
        .await;

    let after = World::new();
    after.change_rules(platform, |rules| rules.family_kill = false);
    let third = after
        .renewed(platform, text(&second, "refresh_token"))
        .await;
    assert!(text(&third, "refresh_token").contains(".r3."));
    for ancestor in ["r0", text(&first, "refresh_token")] {
        let reused = after.refresh(platform, ancestor).await;
        assert!(is_dead(platform, &reused.body), "{ancestor}");
    }
    assert_eq!(after.platforms.counts()[&platform].adopted, 1);
}

#[tokio::test]
async fn a_token_of_another_kind_or_platform_is_unknown() {
    let world = World::new();
    let tiktok = world.renewed(Platform::Tiktok, "r0").await;
    for (platform, token) in [
        (Platform::Tiktok, text(&tiktok, "access_token")),
        (Platform::Twitter, text(&tiktok, "refresh_token")),
        (Platform::Meta, text(&tiktok, "refresh_token")),
    ] {
        let answer = world.refresh(platform, token).await;
        assert!(
            is_dead(platform, &answer.body),
            "{platform}: {}",
            answer.body
        );
    }
    let forged = format!("{}0", text(&tiktok, "refresh_token"));
    let answer = world.refresh(Platform::Tiktok, &forged).await;
    assert!(is_dead(Platform::Tiktok, &answer.body));
    world
        .renewed(Platform::Tiktok, text(&tiktok, "refresh_token"))
        .await;
}

#[test]
fn ten_thousands_of_grants_are_held() {
    use super::super::grant::Denied;
    use super::super::ledger::Ledger;

    let rules = Rules::documented(Platform::Tiktok);
    let mut ledger = Ledger::new(Platform::Tiktok);
    for number in 0..20_000 {
        ledger.refresh(&rules, &format!("r{number}"), 0).unwrap();
    }
    assert_eq!(ledger.live(&rules, 0), 20_000);
    assert_eq!(ledger.refresh(&rules, "r7", 1), Err(Denied::Used));
    // One grant extended again and again stays small, and its old tokens are dead.
    let rules = Rules::documented(Platform::Meta);
    let mut ledger = Ledger::new(Platform::Meta);
    let first = ledger.extend(&rules, "a0", 0).unwrap().access_token;
    let mut newest = first.clone();
    for _ in 0..300 {
        newest = ledger.extend(&rules, &newest, 0).unwrap().access_token;
    }
    assert_eq!(ledger.extend(&rules, &first, 0), Err(Denied::Expired));
    assert_eq!(ledger.live(&rules, 0), 1);
}
