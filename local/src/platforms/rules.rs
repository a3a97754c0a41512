//! What differs between the platforms in how grants live and die. The defaults
//! are what the platforms documented in November 2026.

use serde::{Deserialize, Serialize};

pub(super) const MINUTE: i64 = 60;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;

/// How one platform treats its grants. All times are in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Life of a new access token.
    pub access_lifetime: i64,
    /// Life of a refresh token; `null` means that it has no clock of its own.
    pub refresh_lifetime: Option<i64>,
    /// Whether a refresh renews the refresh token's clock. Where it does not,
    /// no access token outlives the refresh token (LinkedIn).
    pub refresh_slides: bool,
    /// How long a refresh token lasts unused.
    pub idle_lifetime: Option<i64>,
    /// Whether a refresh token works once, each answer carrying the next.
    pub rotates: bool,
    /// Whether using a used refresh token kills the whole grant.
    pub family_kill: bool,
    /// How long a used refresh token gives the same answer again.
    pub grace_window: i64,
    /// How old an access token must be before it is extended; an adopted one
    /// is old enough.
    pub minimum_age: i64,
    /// Whether extending yields a new token with a new life. Meta may return
    /// the same one (SammyK/LaravelFacebookSdk#124): then `false`.
    pub extends: bool,
    /// Whether an exchange says `expires_in`; Meta may leave it out.
    pub says_expires_in: bool,
    /// Meta's second clock: how long the application may read the data of
    /// someone who was last active when the grant began. No exchange renews it.
    pub data_access_lifetime: Option<i64>,
    /// What its grants allow, in the platform's own spelling.
    pub scope: String,
    /// Whether its tokens belong to Meta's system users. An extension then needs
    /// `set_token_expires_in_60_days`.
    pub system_users: bool,
    /// Whether the application is set to refuse calls without `appsecret_proof` (Meta).
    /// The platform refuses a wrong proof anyway.
    pub requires_proof: bool,
    /// Whether API calls refuse an access token once a newer one was issued for its grant;
    /// a probe still finds it alive. No platform documents it; where refresh tokens rotate,
    /// the harder rule is the better test.
    pub old_access_dies: bool,
    /// How many calls of the API one grant may make within `calls_window`; `null` means any
    /// number.
    pub calls_limit: Option<u32>,
    /// The window of `calls_limit`; it moves along with the clock.
    pub calls_window: i64,
}
