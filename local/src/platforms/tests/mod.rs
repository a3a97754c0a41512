//! The simulators as their callers see them: through HTTP requests.

mod api;
mod call_details;
mod call_faults;
mod call_shapes;
mod calls;
mod clients;
mod consents;
mod lives;
mod probes;
mod scripts;
mod shapes;

use std::collections::BTreeMap;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use chrono::{DateTime, TimeDelta};
use serde_json::{Value, json};
use shared::{Clock, Platform};
use tower::ServiceExt;

use super::{Platforms, Rules, endpoints};

const FORM: &str = "application/x-www-form-urlencoded";
const DAY: i64 = 86_400;

/// An answer as it arrived; a body that is no JSON is a text.
struct Received {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

struct World {
    clock: Clock,
    platforms: Platforms,
}

impl World {
    fn new() -> Self {
        let clock = Clock::frozen(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        Self {
            platforms: Platforms::new(clock.clone()),
            clock,
        }
    }

    fn pass(&self, seconds: i64) {
        self.clock.advance(TimeDelta::seconds(seconds));
    }

    fn change_rules(&self, platform: Platform, change: impl FnOnce(&mut Rules)) {
        let mut rules = self.platforms.rules(platform);
        change(&mut rules);
        self.platforms.set_rules(platform, rules);
    }

    async fn send(&self, request: Request<Body>) -> Received {
        let response = self.platforms.router().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 1_000_000).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Received {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_str(&text).unwrap_or(Value::String(text)),
        }
    }

    /// Sends the right exchange of a token, in the platform's shape.
    async fn refresh(&self, platform: Platform, token: &str) -> Received {
        self.send(refresh_request(platform, token)).await
    }

    /// Returns the answer's tokens; it must have some.
    async fn renewed(&self, platform: Platform, token: &str) -> Value {
        let answer = self.refresh(platform, token).await;
        let tokens = tokens(platform, &answer.body);
        assert!(
            tokens["access_token"].is_string(),
            "{platform}: {}",
            answer.body
        );
        tokens
    }

    async fn probe(&self, platform: Platform, token: &str) -> Received {
        self.send(probe_request(platform, token)).await
    }

    async fn control(&self, command: Value) -> Received {
        let request = Request::post("/control").body(Body::from(command.to_string()));
        self.send(request.unwrap()).await
    }

    async fn scripted(&self, command: Value) {
        let answer = self.control(command).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    }
}

fn token_path(platform: Platform) -> String {
    endpoints("")[platform.name()]["token"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn post(path: &str, content_type: &str, body: String) -> Request<Body> {
    Request::post(path)
        .header("content-type", content_type)
        .body(Body::from(body))
        .unwrap()
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

fn refresh_request(platform: Platform, token: &str) -> Request<Body> {
    let path = token_path(platform);
    let form = format!("grant_type=refresh_token&refresh_token={token}");
    let client = "client_id=id&client_secret=secret";
    match platform {
        Platform::Meta => get(&format!(
            "{path}?grant_type=fb_exchange_token&fb_exchange_token={token}&{client}"
        )),
        Platform::Instagram => get(&format!(
            "{path}?grant_type=ig_refresh_token&access_token={token}"
        )),
        Platform::Threads => get(&format!(
            "{path}?grant_type=th_refresh_token&access_token={token}"
        )),
        Platform::Tiktok => post(
            &path,
            FORM,
            format!("{form}&client_key=id&client_secret=secret"),
        ),
        Platform::TiktokBusiness => {
            let body = json!({
                "client_id": "id",
                "client_secret": "secret",
                "grant_type": "refresh_token",
                "refresh_token": token,
            });
            post(&path, "application/json; charset=utf-8", body.to_string())
        }
        // "id:secret"
        Platform::Twitter => {
            let mut request = post(&path, FORM, form);
            let basic = "Basic aWQ6c2VjcmV0".parse().unwrap();
            request.headers_mut().insert("authorization", basic);
            request
        }
        Platform::Linkedin | Platform::Google | Platform::Snapchat => {
            post(&path, FORM, format!("{form}&{client}"))
        }
    }
}

fn probe_request(platform: Platform, token: &str) -> Request<Body> {
    let path = super::catalog::for_platform(platform).probes[0].path;
    let with = |header: &str, value: String, query: &str| {
        Request::get(format!("{path}{query}"))
            .header(header, value)
            .body(Body::empty())
            .unwrap()
    };
    match platform {
        Platform::Meta => get(&format!(
            "{path}?input_token={token}&access_token=id%7Csecret"
        )),
        Platform::Instagram | Platform::Threads => get(&format!("{path}?access_token={token}")),
        Platform::Linkedin => post(
            path,
            FORM,
            format!("client_id=id&client_secret=secret&token={token}"),
        ),
        Platform::TiktokBusiness => with("access-token", token.into(), "?app_id=id&secret=secret"),
        _ => with("authorization", format!("Bearer {token}"), ""),
    }
}

/// Returns the part of an answer where the platform puts its tokens.
fn tokens(platform: Platform, body: &Value) -> Value {
    match platform {
        Platform::TiktokBusiness => body["data"].clone(),
        _ => body.clone(),
    }
}

fn text<'a>(body: &'a Value, field: &str) -> &'a str {
    body[field]
        .as_str()
        .unwrap_or_else(|| panic!("no {field} in {body}"))
}

/// Whether the platform says that only a person can renew the grant.
fn is_dead(platform: Platform, body: &Value) -> bool {
    match platform {
        Platform::Meta | Platform::Instagram | Platform::Threads => body["error"]["code"] == 190,
        Platform::TiktokBusiness => {
            [40103, 40105, 40107].contains(&body["code"].as_i64().unwrap_or(0))
        }
        Platform::Twitter => {
            body["error"] == "invalid_request"
                && body["error_description"] == "Value passed for the token was invalid."
        }
        _ => body["error"] == "invalid_grant",
    }
}
