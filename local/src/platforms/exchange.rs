//! The refresh exchange of each platform: what it reads from a request, and
//! the answer that carries new tokens.

use std::collections::HashMap;

use aws_lc_rs::hmac;
use axum::http::{HeaderMap, Method, Uri, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use shared::{Platform, domain::digest};

use super::answer::{Answer, trace_id};
use super::fault::Fault;
use super::grant::Issued;
use super::rules::Rules;

/// The parameters of a request, by name; an empty one counts as missing.
pub(super) type Parameters = HashMap<String, String>;

/// A client that a platform has on file.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) id: String,
    pub(super) secret: String,
}

/// A request for new tokens, read but not yet judged.
pub(super) struct Exchange {
    parameters: Option<Parameters>,
    basic: Option<(String, String)>,
}

impl Exchange {
    /// Reads the parameters from where this platform looks for them, and from
    /// nowhere else.
    pub(super) fn read(
        platform: Platform,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Self {
        let parameters = match platform {
            Platform::Instagram | Platform::Threads => Some(query(uri)),
            Platform::Meta if method == Method::GET => Some(query(uri)),
            Platform::TiktokBusiness => is(headers, "application/json")
                .then(|| json_texts(body))
                .flatten(),
            _ => is(headers, "application/x-www-form-urlencoded").then(|| form(body)),
        };
        Self {
            parameters,
            basic: basic(headers),
        }
    }

    /// The token that is to be exchanged, if there is one.
    pub(super) fn token(&self, platform: Platform) -> Option<&str> {
        self.get(token_name(platform))
    }

    /// The token, if everything about the request is as the platform wants it.
    pub(super) fn accept(
        &self,
        platform: Platform,
        client: Option<&Client>,
        rules: &Rules,
    ) -> Result<&str, Fault<'_>> {
        let Some(parameters) = &self.parameters else {
            return Err(Fault::Encoding);
        };
        self.authenticate(platform, client)?;
        if platform == Platform::Meta {
            let secret = self.required("client_secret")?;
            let token = self.required(token_name(platform))?;
            check_proof(parameters, secret, token, rules)?;
            if rules.system_users {
                self.required("set_token_expires_in_60_days")?;
            }
        }
        let wanted = match platform {
            Platform::Meta => "fb_exchange_token",
            Platform::Instagram => "ig_refresh_token",
            Platform::Threads => "th_refresh_token",
            _ => "refresh_token",
        };
        match self.required("grant_type")? {
            given if given == wanted => self.required(token_name(platform)),
            given => Err(Fault::GrantType(given)),
        }
    }

    fn authenticate(&self, platform: Platform, client: Option<&Client>) -> Result<(), Fault<'_>> {
        match (platform, &self.basic) {
            // The token alone is proof enough.
            (Platform::Instagram | Platform::Threads, _) => Ok(()),
            // "never client_secret_post, which X rejects" (x-ads-api/mcp.mdx).
            (Platform::Twitter, _) if self.get("client_secret").is_some() => Err(Fault::Client),
            // A public client; one with a secret on file is not public.
            (Platform::Twitter, None) if client.is_none() && self.get("client_id").is_some() => {
                Ok(())
            }
            (Platform::Twitter, None) => Err(Fault::Client),
            // For Snapchat seen in the wild besides the documented body.
            (Platform::Twitter | Platform::Snapchat, Some((id, secret))) => {
                identify(client, id, secret)
            }
            _ => {
                let id_name = match platform {
                    Platform::Tiktok => "client_key",
                    _ => "client_id",
                };
                let id = self.required(id_name)?;
                identify(client, id, self.required("client_secret")?)
            }
        }
    }

    fn required(&self, name: &'static str) -> Result<&str, Fault<'_>> {
        self.get(name).ok_or(Fault::Missing(name))
    }

    fn get(&self, name: &str) -> Option<&str> {
        text(self.parameters.as_ref()?, name)
    }
}

/// Whether these are the credentials on file; without any, all are.
pub(super) fn identify(
    client: Option<&Client>,
    id: &str,
    secret: &str,
) -> Result<(), Fault<'static>> {
    match client {
        Some(client) if client.id != id => Err(Fault::Client),
        Some(client) if client.secret != secret => Err(Fault::Secret),
        _ => Ok(()),
    }
}

/// Whether `appsecret_proof` is the proof that the caller of `token` has the secret
/// (graph-api/guides/secure-requests).
pub(super) fn check_proof(
    parameters: &Parameters,
    secret: &str,
    token: &str,
    rules: &Rules,
) -> Result<(), Fault<'static>> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    match text(parameters, "appsecret_proof") {
        None if rules.requires_proof => Err(Fault::Proof("API calls from the server require an")),
        None => Ok(()),
        Some(given) if given == digest::hex(hmac::sign(&key, token.as_bytes()).as_ref()) => Ok(()),
        Some(_) => Err(Fault::Proof("Invalid")),
    }
}

fn token_name(platform: Platform) -> &'static str {
    match platform {
        Platform::Meta => "fb_exchange_token",
        Platform::Instagram | Platform::Threads => "access_token",
        _ => "refresh_token",
    }
}

/// Whether the platform extends access tokens instead of taking refresh tokens.
pub(super) fn extends(platform: Platform) -> bool {
    matches!(
        platform,
        Platform::Meta | Platform::Instagram | Platform::Threads
    )
}

/// The answer that carries new tokens.
pub(super) fn answer(platform: Platform, rules: &Rules, issued: &Issued) -> Answer {
    let mut body = json!({"access_token": issued.access_token});
    if rules.says_expires_in {
        body["expires_in"] = json!(issued.expires_in);
    }
    let refresh_token = json!(issued.refresh_token);
    let refresh_expires_in = json!(issued.refresh_expires_in);
    match platform {
        Platform::Meta | Platform::Instagram | Platform::Threads => {
            body["token_type"] = json!("bearer")
        }
        Platform::Tiktok => {
            body["open_id"] = json!(issued.grant);
            body["refresh_token"] = refresh_token;
            body["refresh_expires_in"] = refresh_expires_in;
            body["scope"] = json!(rules.scope);
            body["token_type"] = json!("Bearer");
        }
        Platform::TiktokBusiness => {
            body["open_id"] = json!(issued.grant);
            body["refresh_token"] = refresh_token;
            body["refresh_token_expires_in"] = refresh_expires_in;
            body["scope"] = json!(rules.scope);
            body["token_type"] = json!("Bearer");
            body = json!({
                "code": 0,
                "message": "OK",
                "request_id": trace_id(),
                "data": body,
            });
        }
        Platform::Linkedin => {
            body["refresh_token"] = refresh_token;
            body["refresh_token_expires_in"] = refresh_expires_in;
            body["scope"] = json!(rules.scope);
        }
        Platform::Twitter => {
            body["refresh_token"] = refresh_token;
            body["scope"] = json!(rules.scope);
            body["token_type"] = json!("bearer");
        }
        // No refresh token: the old one stays. Its life is told only where it
        // has an end, as for a consent screen in "Testing".
        Platform::Google => {
            body["scope"] = json!(rules.scope);
            body["token_type"] = json!("Bearer");
            if issued.refresh_expires_in.is_some() {
                body["refresh_token_expires_in"] = refresh_expires_in;
            }
        }
        Platform::Snapchat => {
            body["refresh_token"] = refresh_token;
            body["scope"] = json!(rules.scope);
            body["token_type"] = json!("Bearer");
        }
    }
    Answer::ok(&body)
}

pub(super) fn query(uri: &Uri) -> Parameters {
    form(uri.query().unwrap_or_default().as_bytes())
}

pub(super) fn form(body: &[u8]) -> Parameters {
    url::form_urlencoded::parse(body).into_owned().collect()
}

/// A parameter that is there and not empty.
pub(super) fn text<'a>(parameters: &'a Parameters, name: &str) -> Option<&'a str> {
    let value = parameters.get(name)?;
    (!value.is_empty()).then_some(value)
}

pub(super) fn json_texts(body: &[u8]) -> Option<Parameters> {
    let Ok(Value::Object(object)) = serde_json::from_slice(body) else {
        return None;
    };
    let texts = object.into_iter().filter_map(|(name, value)| match value {
        Value::String(text) => Some((name, text)),
        _ => None,
    });
    Some(texts.collect())
}

fn is(headers: &HeaderMap, wanted: &str) -> bool {
    let given = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = given.and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(wanted))
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let encoded = value.strip_prefix("Basic ")?;
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    (!id.is_empty() && !secret.is_empty()).then(|| (id.to_owned(), secret.to_owned()))
}
