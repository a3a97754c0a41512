//! What a browser lets a dashboard on another origin see.

use std::collections::BTreeMap;

use local::Options;
use reqwest::header::HeaderMap;

use crate::world::{Answer, World, acme};

const DASHBOARD: &str = "https://app.example.com";
const INTEGRATIONS: &str = "/api/dashboard/acme/integrations";

async fn world(allowed: &str) -> World {
    let world = World::with(Options {
        parameters: BTreeMap::from([("AllowedOrigins".to_owned(), allowed.to_owned())]),
        ..Options::default()
    })
    .await;
    world.import(&acme()).await;
    world
}

fn allowed_origin(headers: &HeaderMap) -> Option<&str> {
    Some(
        headers
            .get("access-control-allow-origin")?
            .to_str()
            .unwrap(),
    )
}

/// Asks as a browser does before a page of `origin` sends `method`.
async fn preflight(world: &World, origin: &str, path: &str, method: &str) -> Answer {
    let url = format!("{}{path}", world.stack.addresses().gateway);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.request(reqwest::Method::OPTIONS, url);
    let request = request.header("origin", origin);
    let request = request.header("access-control-request-method", method);
    Answer::of(request.header("access-control-request-headers", "authorization")).await
}

async fn get_from(world: &World, origin: &str, user: &str, path: &str) -> Answer {
    Answer::of(world.request_as(user, "GET", path).header("origin", origin)).await
}

#[tokio::test]
async fn a_dashboard_on_an_allowed_origin_may_call() {
    let world = world("http://localhost:5173,https://app.example.com").await;
    let one = "/api/dashboard/acme/members/mia";
    for (path, method) in [(INTEGRATIONS, "GET"), (one, "PUT"), (one, "DELETE")] {
        let asked = preflight(&world, DASHBOARD, path, method).await;
        assert_eq!(asked.status, 200, "{}", asked.text);
        assert_eq!(allowed_origin(&asked.headers), Some(DASHBOARD));
        let header = |name: &str| asked.headers[name].to_str().unwrap().to_owned();
        assert!(header("access-control-allow-methods").contains(method));
        assert_eq!(
            header("access-control-allow-headers"),
            "authorization,content-type,if-none-match"
        );
        assert_eq!(header("access-control-max-age"), "7200");
    }
    let answer = get_from(&world, DASHBOARD, "mia", INTEGRATIONS).await;
    assert_eq!(
        (answer.status, allowed_origin(&answer.headers)),
        (200, Some(DASHBOARD))
    );
    let vary: Vec<_> = answer.headers.get_all("vary").iter().collect();
    assert!(format!("{vary:?}").contains("origin"), "{vary:?}");
    // Errors can be read: those of the API, and of the gateway.
    let refused = get_from(&world, DASHBOARD, "nobody", INTEGRATIONS).await;
    assert_eq!(
        (refused.status, allowed_origin(&refused.headers)),
        (403, Some(DASHBOARD))
    );
    let no_token = world.send("GET", INTEGRATIONS, None).await;
    assert_eq!(
        (no_token.status, allowed_origin(&no_token.headers)),
        (401, Some("*"))
    );
    let no_route = world.send("GET", "/nothing", None).await;
    assert_eq!(
        (no_route.status, allowed_origin(&no_route.headers)),
        (404, Some("*"))
    );
}

#[tokio::test]
async fn a_page_of_another_origin_sees_nothing() {
    let world = world("https://app.example.com").await;
    for origin in [
        "https://evil.example",
        "https://app.example.com.evil.example",
        "null",
    ] {
        let asked = preflight(&world, origin, INTEGRATIONS, "GET").await;
        assert_eq!(allowed_origin(&asked.headers), None, "{origin}");
        let answer = get_from(&world, origin, "mia", INTEGRATIONS).await;
        assert_eq!(allowed_origin(&answer.headers), None, "{origin}");
    }
    // What machines call is for no page.
    let permits = "/api/platforms/meta/acme/x/permits";
    let asked = preflight(&world, DASHBOARD, permits, "POST").await;
    assert_eq!((asked.status, allowed_origin(&asked.headers)), (204, None));
}

#[tokio::test]
async fn by_default_no_page_of_another_origin_sees_anything() {
    let world = world("").await;
    let asked = preflight(&world, DASHBOARD, INTEGRATIONS, "GET").await;
    assert_eq!((asked.status, allowed_origin(&asked.headers)), (204, None));
    assert_eq!(asked.headers["allow"], "GET,HEAD");
    for answer in [
        get_from(&world, DASHBOARD, "mia", INTEGRATIONS).await,
        world.send("GET", INTEGRATIONS, None).await,
    ] {
        assert_eq!(allowed_origin(&answer.headers), None);
    }
}
