//! What applications call: access tokens, the proxy, feedback, and the client for Rust.

mod client;
mod feedback;
mod proxy;
mod recorder;
mod tokens;

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::world::{Answer, World, acme, integration};

const FUNCTION: &str = "PlatformCallsFunction";
/// An application that may use the integrations of `acme`.
const APP: &str = "app";

fn path(platform: &str, id: &str, route: &str) -> String {
    format!("/api/platforms/{platform}/acme/{id}/{route}")
}

/// Organisation `acme` with its people, and an application.
fn members() -> Vec<Value> {
    let mut members = acme();
    members.push(json!({
        "type": "member", "org_id": "acme", "user_id": APP, "permissions": ["use_integrations"],
    }));
    members
}

/// A stack with these integrations: their ids, platforms, lives left and whether they have a
/// refresh token.
async fn world(integrations: &[(&str, &str, Option<TimeDelta>, bool)]) -> World {
    let world = World::new().await;
    import(&world, integrations).await;
    world
}

async fn import(world: &World, integrations: &[(&str, &str, Option<TimeDelta>, bool)]) {
    world.import(&members()).await;
    let records: Vec<_> = integrations
        .iter()
        .map(|(id, platform, left, refresh)| integration(id, platform, *left, *refresh))
        .collect();
    world.import(&records).await;
}

async fn take_token(world: &World, platform: &str, id: &str, body: Value) -> Answer {
    let path = path(platform, id, "access-token");
    world.post_as(APP, &path, &body).await
}
