//! The calls that tell whether a token lives without spending anything.

use axum::http::{HeaderMap, StatusCode, Uri, header};
use serde_json::{Value, json};
use shared::Platform;

use super::answer::{Answer, graph, oauth, trace_id};
use super::exchange::{Client, Parameters, check_proof, form, identify, json_texts, query, text};
use super::fault::{self, Fault};
use super::grant::{Denied, Instant, Sight};
use super::rules::Rules;
use super::{TOKEN_INFO, TOKENINFO, named};

/// A probe, read but not yet judged.
pub(super) struct Probe {
    parameters: Parameters,
    /// Whether it asks about a TikTok account's token.
    of_account: bool,
    /// Whether it asks about a Google token whatever it is for.
    of_any_use: bool,
    header_token: Option<String>,
}

impl Probe {
    pub(super) fn read(platform: Platform, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Self {
        let of_account = uri.path() == TOKEN_INFO;
        let parameters = match platform {
            Platform::Linkedin => form(body),
            _ if of_account => json_texts(body).unwrap_or_default(),
            _ => query(uri),
        };
        let header_token = match platform {
            // Not a bearer token (tiktok-business-api-sdk).
            Platform::TiktokBusiness => text_header(headers, "access-token"),
            _ => text_header(headers, header::AUTHORIZATION.as_str())
                .and_then(|value| value.strip_prefix("Bearer ")),
        };
        Self {
            parameters,
            of_account,
            of_any_use: uri.path() == TOKENINFO,
            header_token: header_token.map(str::to_owned),
        }
    }

    /// The token that is asked about.
    pub(super) fn token(&self, platform: Platform) -> Option<&str> {
        match platform {
            Platform::Meta => text(&self.parameters, "input_token"),
            Platform::Linkedin => text(&self.parameters, "token"),
            _ if self.of_account || self.of_any_use => text(&self.parameters, "access_token"),
            Platform::Instagram | Platform::Threads => {
                text(&self.parameters, "access_token").or(self.header_token.as_deref())
            }
            _ => self.header_token.as_deref().filter(|t| !t.is_empty()),
        }
    }

    /// Who asks, where the platform wants to know; the client's id.
    pub(super) fn caller<'a>(
        &'a self,
        platform: Platform,
        client: Option<&'a Client>,
        rules: &Rules,
    ) -> Result<&'a str, Answer> {
        let pair = match platform {
            Platform::Meta => {
                text(&self.parameters, "access_token").and_then(|both| both.split_once('|'))
            }
            Platform::Linkedin => self.pair("client_id", "client_secret"),
            // The token and the application's id are enough.
            _ if self.of_account => {
                let id = text(&self.parameters, "app_id");
                id.zip(Some(client.map_or("", |client| client.secret.as_str())))
            }
            Platform::TiktokBusiness => self.pair("app_id", "secret"),
            _ => return Ok(""),
        };
        pair.ok_or(Fault::Client)
            .and_then(|(id, secret)| {
                identify(client, id, secret)?;
                if platform == Platform::Meta {
                    // Of the token that asks.
                    let ours = format!("{id}|{secret}");
                    check_proof(&self.parameters, secret, &ours, rules)?;
                }
                Ok(id)
            })
            .map_err(|fault| match platform {
                Platform::Meta if !matches!(fault, Fault::Proof(_)) => graph(
                    StatusCode::BAD_REQUEST,
                    190,
                    0,
                    "Invalid OAuth access token signature.",
                ),
                _ => fault::exchange(platform, fault),
            })
    }

    /// How long a token lives that a probe is the first to show.
    pub(super) fn adopted_life(&self, platform: Platform, rules: &Rules) -> Option<i64> {
        match platform {
            // An advertiser's token, which nothing ends but a revocation.
            Platform::TiktokBusiness if !self.of_account => None,
            _ => Some(rules.access_life),
        }
    }

    /// The answer about a token.
    pub(super) fn answer(
        &self,
        platform: Platform,
        rules: &Rules,
        caller: &str,
        seen: Result<Sight, Denied>,
        now: Instant,
    ) -> Answer {
        match platform {
            Platform::Meta => return debug_token(rules, caller, seen),
            Platform::Linkedin => return introspection(rules, caller, seen),
            _ => {}
        }
        let sight = match seen {
            Ok(Sight {
                denied: Some(denied),
                ..
            })
            | Err(denied) => return self.refused(platform, Some(denied)),
            Ok(sight) => sight,
        };
        let id = subject(&sight.grant);
        let answer = Answer::ok(&match platform {
            Platform::Tiktok => json!({
                "data": {"user": {"open_id": sight.grant, "display_name": "A user"}},
                "error": {"code": "ok", "message": "", "log_id": trace_id()},
            }),
            Platform::TiktokBusiness if self.of_account => json!({
                "code": 0,
                "message": "OK",
                "request_id": trace_id(),
                "data": {"app_id": caller, "creator_id": id, "scope": rules.scope},
            }),
            Platform::TiktokBusiness => json!({
                "code": 0,
                "message": "OK",
                "request_id": trace_id(),
                "data": {"list": [{"advertiser_id": id, "advertiser_name": "An advertiser"}]},
            }),
            Platform::Twitter => json!({
                "data": {"id": id, "name": "A user", "username": format!("user_{id}")},
            }),
            // Its numbers are texts.
            Platform::Google if self.of_any_use => json!({
                "azp": "1.apps.googleusercontent.com",
                "aud": "1.apps.googleusercontent.com",
                "sub": id,
                "scope": rules.scope,
                "exp": sight.expires_at.unwrap_or(now + rules.access_life).to_string(),
                "expires_in": (sight.expires_at.unwrap_or(now + rules.access_life) - now).to_string(),
                "access_type": "offline",
            }),
            Platform::Google if !rules.scope.contains("/auth/adwords") => {
                return named::answer(platform, "ACCESS_TOKEN_SCOPE_INSUFFICIENT")
                    .unwrap_or_else(|| fault::probe(platform, None));
            }
            Platform::Google => json!({"resourceNames": [format!("customers/{id}")]}),
            Platform::Snapchat => json!({
                "request_status": "SUCCESS",
                "request_id": trace_id(),
                "me": {"id": sight.grant, "display_name": "A user"},
            }),
            _ => json!({"id": id, "user_id": id, "username": format!("user_{id}")}),
        });
        match platform {
            Platform::Twitter => answer
                .with("x-rate-limit-limit", "75")
                .with("x-rate-limit-remaining", "74")
                .with("x-rate-limit-reset", (now + 900).to_string()),
            _ => answer,
        }
    }

    /// The answer about a token that is not accepted, or to none.
    pub(super) fn refused(&self, platform: Platform, denied: Option<Denied>) -> Answer {
        match self.of_any_use {
            true => oauth(
                platform,
                StatusCode::BAD_REQUEST,
                "invalid_token",
                "Invalid Value",
            ),
            false => fault::probe(platform, denied),
        }
    }

    fn pair(&self, id: &str, secret: &str) -> Option<(&str, &str)> {
        Some((text(&self.parameters, id)?, text(&self.parameters, secret)?))
    }
}

/// Meta says with HTTP 200 that a token is dead, and why.
fn debug_token(rules: &Rules, app_id: &str, seen: Result<Sight, Denied>) -> Answer {
    let mut data = json!({
        "app_id": app_id,
        "type": if rules.system_users { "SYSTEM_USER" } else { "USER" },
        "application": "The application",
        "is_valid": true,
        "scopes": rules.scope.split(',').collect::<Vec<_>>(),
        "granular_scopes": [],
    });
    let denied = match seen {
        Ok(sight) => {
            data["user_id"] = json!(subject(&sight.grant));
            data["issued_at"] = json!(sight.issued_at);
            // 0: never.
            data["expires_at"] = json!(sight.expires_at.unwrap_or(0));
            let data_access = rules.data_access_life.map_or(0, |life| sight.since + life);
            data["data_access_expires_at"] = json!(data_access);
            sight.denied
        }
        Err(denied) => Some(denied),
    };
    if let Some(denied) = denied {
        let why: Value = serde_json::from_str(&fault::probe(Platform::Meta, Some(denied)).body)
            .unwrap_or_default();
        let mut error = json!({
            "code": why["error"]["code"],
            "message": why["error"]["message"],
        });
        if let Some(subcode) = why["error"].get("error_subcode") {
            error["subcode"] = subcode.clone();
        }
        data["error"] = error;
        data["is_valid"] = json!(false);
        data["scopes"] = json!([]);
    }
    Answer::ok(&json!({ "data": data }))
}

/// LinkedIn's introspection, with HTTP 200 whatever the token's state.
fn introspection(rules: &Rules, client_id: &str, seen: Result<Sight, Denied>) -> Answer {
    let Ok(sight) = seen else {
        return Answer::ok(&json!({"active": false}));
    };
    let status = match sight.denied {
        None => "active",
        Some(Denied::Expired) => "expired",
        Some(_) => "revoked",
    };
    Answer::ok(&json!({
        "active": sight.denied.is_none(),
        "client_id": client_id,
        "authorized_at": sight.since,
        "created_at": sight.issued_at,
        "status": status,
        "expires_at": sight.expires_at,
        "scope": rules.scope,
        "auth_type": "3L",
    }))
}

/// An account number that stays the same for one grant.
fn subject(grant: &str) -> String {
    let digits = grant.bytes().fold(0_u64, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(byte.into())
    });
    (digits % 1_000_000_000_000_000).to_string()
}

fn text_header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
