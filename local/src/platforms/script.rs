//! Scripted behaviour: what a platform is told to do with requests to come.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use axum::http::{HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Deserializer, de};
use shared::Platform;

use super::response::PlatformResponse;
use super::{catalog, lineage};

/// What a platform is told to do, and with which requests.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Applies only on this platform; if absent, on any.
    #[serde(default, deserialize_with = "platform_or_alias")]
    pub platform: Option<Platform>,
    /// Applies only to a token that contains this text, or that belongs to the same
    /// grant as a token that does.
    #[serde(default)]
    pub token: Option<String>,
    /// Applies to so many requests (with [`Action::Revoke`]: grants); if absent, for ever.
    #[serde(default)]
    pub times: Option<NonZeroU64>,
    /// Applies to these requests; a revocation applies to all.
    #[serde(default)]
    pub on: Requests,
    #[serde(rename = "do")]
    pub action: Action,
}

/// Which requests a script is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Requests {
    #[default]
    Refresh,
    Probe,
    /// A call of the API. A call that is a probe as well is picked by either name.
    Call,
    Any,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Answer with the platform's error of that name, and do nothing.
    Refuse(String),
    /// Ask the caller to wait, in the platform's own way, and do nothing.
    Throttle(Throttle),
    /// Act at once, but answer so many milliseconds later; goes together with
    /// any other script.
    DelayMs(u64),
    /// Act, then close the connection without an answer.
    LoseAnswer,
    /// Kill the grant from now on.
    Revoke,
    /// Answer with just this, and do nothing.
    Respond(Respond),
}

/// How long a throttled caller is told to wait.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Throttle {
    /// In seconds; the platform says it only if its answer has a place for it.
    #[serde(default)]
    pub retry_after: Option<u64>,
}

/// An answer word by word.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Respond {
    pub status: u16,
    #[serde(default)]
    pub body: String,
    /// Further headers; without a content type it is `application/json`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

impl Script {
    /// Creates a script for every exchange on every platform, for ever.
    #[must_use]
    pub const fn new(action: Action) -> Self {
        Self {
            platform: None,
            token: None,
            times: None,
            on: Requests::Refresh,
            action,
        }
    }

    /// Refuses with a named error.
    #[must_use]
    pub fn refuse(platform: Platform, error: &str) -> Self {
        Self::new(Action::Refuse(error.to_owned())).on(platform)
    }

    /// Limits the script to `platform`.
    #[must_use]
    pub const fn on(mut self, platform: Platform) -> Self {
        self.platform = Some(platform);
        self
    }

    /// Limits the script to tokens of the grant that `token` picks.
    #[must_use]
    pub fn token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// Limits the script to the next `times` requests; 0 counts as 1.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(NonZeroU64::new(times).unwrap_or(NonZeroU64::MIN));
        self
    }
}

/// Why a script cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidScript {
    /// Not JSON of the documented shape, or a value out of range.
    #[error("{0}")]
    Shape(String),
    /// No platform that the script is meant for has this error.
    #[error("unknown error {name:?}; {known}")]
    UnknownError {
        name: String,
        /// The known names, by platform.
        known: String,
    },
}

/// A script that was checked and is being followed.
pub(super) struct Armed {
    pub(super) script: Script,
    pub(super) left: Option<u64>,
    /// The grant that the selector names as a whole token, by platform.
    grants: Vec<Option<String>>,
}

impl Armed {
    pub(super) fn new(script: Script) -> Result<Self, InvalidScript> {
        if script.token.as_deref() == Some("") {
            let text = "token: must not be empty; leave it out for every token";
            return Err(InvalidScript::Shape(text.to_owned()));
        }
        match &script.action {
            Action::Refuse(name) => check_name(script.platform, name)?,
            Action::Respond(respond) => drop(respond.answer()?),
            _ => {}
        }
        let grants = match &script.token {
            Some(token) => Platform::ALL
                .map(|platform| lineage::parse(platform, token).map(|lineage| lineage.grant))
                .into(),
            None => Vec::new(),
        };
        Ok(Self {
            left: script.times.map(NonZeroU64::get),
            script,
            grants,
        })
    }

    pub(super) fn is_spent(&self) -> bool {
        self.left == Some(0)
    }

    pub(super) fn spend(&mut self) {
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(1);
        }
    }

    /// Whether the selectors pick this token; `grant` and `origin` are its
    /// grant's id and the foreign token that the grant was adopted by.
    pub(super) fn picks(
        &self,
        platform: Platform,
        token: &str,
        grant: &str,
        origin: Option<&str>,
    ) -> bool {
        if self.script.platform.is_some_and(|only| only != platform) {
            return false;
        }
        let Some(selector) = &self.script.token else {
            return true;
        };
        let named = self
            .grants
            .get(platform as usize)
            .and_then(Option::as_deref);
        token.contains(selector)
            || origin.is_some_and(|origin| origin.contains(selector))
            || (!grant.is_empty() && named == Some(grant))
    }
}

impl Respond {
    pub(super) fn answer(&self) -> Result<PlatformResponse, InvalidScript> {
        let shape = |text: String| InvalidScript::Shape(text);
        StatusCode::from_u16(self.status)
            .ok()
            .filter(|status| !status.is_informational())
            .ok_or_else(|| shape(format!("respond.status: {} is no status", self.status)))?;
        let mut answer = PlatformResponse::text(self.status, "application/json", self.body.clone());
        for (name, value) in &self.headers {
            let header = HeaderName::try_from(name)
                .map_err(|_| shape(format!("respond.headers: {name:?} is no header name")))?;
            let value = HeaderValue::try_from(value)
                .map_err(|_| shape(format!("respond.headers: the value of {name:?} is none")))?;
            answer.headers.retain(|(other, _)| *other != header);
            answer.headers.push((header, value));
        }
        Ok(answer)
    }
}

fn check_name(platform: Option<Platform>, name: &str) -> Result<(), InvalidScript> {
    let candidates = match &platform {
        Some(platform) => std::slice::from_ref(platform),
        None => Platform::ALL.as_slice(),
    };
    let known = |platform: &Platform| {
        catalog::for_platform(*platform)
            .names()
            .any(|known| known == name)
    };
    if candidates.iter().any(known) {
        return Ok(());
    }
    let list = |platform: &Platform| {
        let names: Vec<_> = catalog::for_platform(*platform).names().collect();
        format!("{platform} knows {}", names.join(", "))
    };
    let lists: Vec<_> = candidates.iter().map(list).collect();
    Err(InvalidScript::UnknownError {
        name: name.to_owned(),
        known: lists.join("; "),
    })
}

pub(super) fn platform_or_alias<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Platform>, D::Error> {
    Option::<String>::deserialize(deserializer)?
        .map(|name| name.parse().map_err(de::Error::custom))
        .transpose()
}
