//! Calls of the APIs: what they answer, and what is counted.

use std::collections::BTreeSet;

use super::super::{Action, Requests, Script, endpoints};
use super::api::{Kind, body, call, call_at, next, path, things};
use super::*;

#[tokio::test]
async fn every_platform_tells_who_calls_and_what_was_made() {
    for platform in Platform::ALL {
        let world = World::new();
        let first = world.send(call(platform, Kind::Profile, "one")).await;
        let again = world.send(call(platform, Kind::Profile, "one")).await;
        let other = world.send(call(platform, Kind::Profile, "two")).await;
        assert_eq!(first.status, StatusCode::OK, "{platform}: {}", first.body);
        let without_ids = |mut body: Value| {
            for volatile in ["request_id", "error"] {
                body.as_object_mut().unwrap().remove(volatile);
            }
            body
        };
        let [first, again, other] = [first, again, other].map(|a| without_ids(a.body));
        assert_eq!(first, again, "{platform}");
        assert_ne!(first, other, "{platform}");

        let made = world.send(call(platform, Kind::Write, "one")).await;
        let (status, id) = match platform {
            Platform::Twitter => (201, made.body["data"]["id"].as_str()),
            Platform::Linkedin => (201, made.headers["x-restli-id"].to_str().ok()),
            Platform::Tiktok => (200, made.body["data"]["publish_id"].as_str()),
            Platform::TiktokBusiness => (200, made.body["data"]["campaign_id"].as_str()),
            Platform::Google => (200, made.body["results"][0]["resourceName"].as_str()),
            Platform::Snapchat => (200, made.body["campaigns"][0]["campaign"]["id"].as_str()),
            _ => (200, made.body["id"].as_str()),
        };
        assert_eq!(made.status.as_u16(), status, "{platform}: {}", made.body);
        assert!(id.is_some_and(|id| !id.is_empty()), "{platform}");
    }
}

#[tokio::test]
async fn every_list_goes_on_to_its_end_and_the_endless_one_for_ever() {
    for platform in Platform::ALL {
        let world = World::new();
        let (start, body) = (path(platform, Kind::List), body(platform, Kind::List));
        let (list, id) = things(platform);
        let (mut path, mut seen, mut pages) = (start.to_owned(), BTreeSet::new(), 0);
        loop {
            let page = world
                .send(call_at(platform, &path, body.clone(), "t"))
                .await;
            assert_eq!(page.status, StatusCode::OK, "{platform}: {}", page.body);
            pages += 1;
            for thing in page.body.pointer(list).unwrap().as_array().unwrap() {
                let id = thing.pointer(id).unwrap().as_str().unwrap();
                assert!(seen.insert(id.to_owned()), "{platform}: {id} twice");
            }
            match next(platform, start, &page.body) {
                Some(next) => path = next,
                None => break,
            }
        }
        assert!(seen.len() == 60 && pages > 1, "{platform}: {pages} pages");

        let start = format!("{start}&endless=1");
        let mut path = start.clone();
        for _ in 0..20 {
            let page = world
                .send(call_at(platform, &path, body.clone(), "t"))
                .await;
            path = next(platform, &start, &page.body).expect("a next page");
        }
    }
}

#[tokio::test]
async fn a_write_counts_once_if_it_acted_and_never_otherwise() {
    for platform in Platform::ALL {
        let world = World::new();
        let counts = || {
            let counts = world.platforms.counts()[&platform];
            (counts.calls, counts.writes)
        };
        world.send(call(platform, Kind::Write, "t")).await;
        assert_eq!(counts(), (1, 1), "{platform}");
        world.send(call(platform, Kind::List, "t")).await;
        world.send(call(platform, Kind::Profile, "t")).await;
        assert_eq!(counts(), (3, 1), "{platform}");

        // Without a parameter, without a token, and refused by a script.
        let path = path(platform, Kind::Write);
        world
            .send(call_at(platform, path, Some(json!({})), "t"))
            .await;
        world.send(call(platform, Kind::Write, "")).await;
        let refuse = json!({"on": "call", "times": 1, "do": {"refuse": "server_error"}});
        world.scripted(refuse).await;
        world.send(call(platform, Kind::Write, "t")).await;
        assert_eq!(counts(), (6, 1), "{platform}");
        assert_eq!(world.platforms.refreshes(platform), 0);
    }
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_has_acted() {
    let world = World::new();
    let mut lost = Script::new(Action::LoseAnswer);
    lost.on = Requests::Call;
    world.platforms.script(lost).unwrap();
    for platform in Platform::ALL {
        let request = call(platform, Kind::Write, "t");
        let response = world.platforms.router().oneshot(request).await.unwrap();
        let body = to_bytes(response.into_body(), 1_000).await;
        assert!(body.is_err(), "{platform}");
        assert_eq!(world.platforms.counts()[&platform].writes, 1);
    }
}

#[test]
fn the_hosts_are_told_by_platform_and_name() {
    let endpoints = endpoints("http://127.0.0.1:9/");
    assert_eq!(
        endpoints["meta"]["hosts"],
        json!({
            "graph": "http://127.0.0.1:9/meta",
            "graph-video": "http://127.0.0.1:9/meta-video",
        })
    );
    for (platform, host) in [
        ("instagram", "graph"),
        ("threads", "graph"),
        ("tiktok", "open-api"),
        ("tiktok_business", "business-api"),
        ("linkedin", "api"),
        ("twitter", "api"),
        ("google", "google-ads"),
        ("snapchat", "ads-api"),
    ] {
        let url = format!("http://127.0.0.1:9/{platform}");
        assert_eq!(endpoints[platform]["hosts"][host], url);
    }
    let elsewhere = "http://127.0.0.1:9/not-simulated";
    assert_eq!(endpoints["google"]["hosts"]["youtube"], elsewhere);
}
