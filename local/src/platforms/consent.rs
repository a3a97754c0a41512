//! The codes that the consent page of a simulated platform gives away.

use std::collections::HashMap;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use shared::Platform;

use super::consent_grant::grant_id;
use super::grant::{Denied, EpochSeconds};
use super::parameters::RequestParameters;
use super::refusal::Refusal;

/// How long a code lasts.
const CODE_LIFETIME: i64 = 10 * 60;
/// X's (docs.x.com, oauth-2-0/user-access-token).
const SHORTEST_CODE_LIFETIME: i64 = 30;

/// An account that a person can choose on a consent page; any other can be typed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedAccount {
    pub id: String,
    pub name: String,
}

#[derive(Default)]
pub(super) struct Consents {
    pub(super) offered: Vec<OfferedAccount>,
    codes: HashMap<String, Code>,
}

/// What a person has allowed.
pub(super) struct Allowed {
    pub(super) account: OfferedAccount,
    pub(super) scopes: Vec<String>,
    pub(super) redirect_uri: String,
    pub(super) challenge: Option<String>,
}

struct Code {
    grant: String,
    redirect_uri: String,
    challenge: Option<String>,
    expires_at: EpochSeconds,
}

impl Consents {
    /// Returns a code for what a person has allowed.
    pub(super) fn allow(
        &mut self,
        platform: Platform,
        allowed: Allowed,
        now: EpochSeconds,
    ) -> String {
        let life = match platform.consent(Some(true)).pkce {
            true => SHORTEST_CODE_LIFETIME,
            false => CODE_LIFETIME,
        };
        self.codes.retain(|_, code| code.expires_at > now);
        let code = format!("code.{:032x}", rand::random::<u128>());
        let OfferedAccount { id, name } = allowed.account;
        let pending = Code {
            grant: grant_id(platform, [&id, &name], &allowed.scopes),
            redirect_uri: allowed.redirect_uri,
            challenge: allowed.challenge,
            expires_at: now + life,
        };
        self.codes.insert(code.clone(), pending);
        code
    }

    /// Returns the account of this id, which is also the name of one that is not offered.
    pub(super) fn named(&self, id: String) -> OfferedAccount {
        let offered = self.offered.iter().find(|account| account.id == id);
        offered.cloned().unwrap_or_else(|| OfferedAccount {
            name: id.clone(),
            id,
        })
    }

    /// Takes a code away, and returns the id of its grant.
    pub(super) fn take(
        &mut self,
        code: &str,
        wants_redirect_uri: bool,
        parameters: &RequestParameters,
        now: EpochSeconds,
    ) -> Result<String, Refusal<'static>> {
        let unknown = Refusal::Token(Denied::Unknown);
        let pending = self.codes.remove(code).ok_or(unknown)?;
        if pending.expires_at <= now {
            return Err(Refusal::Token(Denied::Expired));
        }
        let is_same = match parameters.get("redirect_uri") {
            Some(given) => *given == pending.redirect_uri,
            None => !wants_redirect_uri,
        };
        let verifier = parameters.get("code_verifier");
        let is_proven = pending.challenge.is_none_or(|challenge| {
            verifier.is_some_and(|verifier| {
                let hash = digest(&SHA256, verifier.as_bytes());
                URL_SAFE_NO_PAD.encode(hash) == challenge
            })
        });
        match is_same && is_proven {
            true => Ok(pending.grant),
            false => Err(unknown),
        }
    }
}
