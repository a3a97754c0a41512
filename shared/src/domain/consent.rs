//! A person's way to a platform's consent page and back: what is remembered of it, and the
//! messages about it.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::account::Account;
use super::consent_refusal::ConsentRefusal;
use super::encoding::seconds;
use super::integration::{Integration, Sealed};
use crate::{IntegrationKey, Platform, UserId};

/// How long a person may take, from the request for the page to their last word.
pub const LIFETIME: TimeDelta = TimeDelta::minutes(10);

/// What is asked of the function that has the client secrets.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case", deny_unknown_fields)]
pub enum ConsentRequest {
    /// Returns the address of the consent page.
    Begin(Begin),
    /// The person has come back.
    Finish(Finish),
    /// The person wants the grant in spite of what they were asked.
    Confirm(Confirm),
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Begin {
    pub integration: IntegrationKey,
    /// Required of an integration that does not exist yet.
    pub platform: Option<Platform>,
    pub user: UserId,
    /// The digest of what the person's browser keeps.
    pub browser: String,
    /// Where the platform sends the person back to.
    pub redirect_uri: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Finish {
    pub state: String,
    pub browser: String,
    /// What the platform gave the person, if they allowed it.
    pub code: Option<String>,
    /// What the platform says instead.
    #[serde(default)]
    pub error: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Confirm {
    pub integration: IntegrationKey,
    /// The consent's id, which the question names.
    pub consent: String,
    pub user: UserId,
    /// The chosen account.
    pub account_id: String,
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum ConsentOutcome {
    /// The person is to be sent here.
    Begun { url: String },
    /// The grant is stored.
    Connected { integration: IntegrationKey },
    /// The person is to be asked first.
    Asks {
        integration: IntegrationKey,
        question: Question,
    },
    Refused {
        reason: ConsentRefusal,
        /// `None` if nobody knows whose consent it was.
        integration: Option<IntegrationKey>,
    },
}

/// What a person is asked before a grant is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Question {
    pub consent: String,
    /// Whether the platform says for which accounts the grant is.
    pub is_identified: bool,
    /// The accounts that the grant is for.
    pub accounts: Vec<Account>,
    /// The account that was connected before, if there was one.
    pub before: Option<Account>,
    /// What was allowed before, and is not any more.
    pub missing_scopes: Vec<String>,
}

/// What is remembered of one consent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Consent {
    pub id: String,
    #[serde(flatten)]
    pub integration: IntegrationKey,
    pub platform: Platform,
    /// Whether the credential before came with a refresh token; `None` of an integration that is
    /// new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub had_refresh_token: Option<bool>,
    pub user: UserId,
    pub browser: String,
    pub redirect_uri: String,
    /// What the code challenge was made from.
    pub verifier: String,
    #[serde(with = "chrono::serde::ts_seconds")]
    pub expires_at: DateTime<Utc>,
    /// Counts the steps that were begun: each can be begun once.
    pub steps: u64,
    /// The grant, from the exchange of the code on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<UnconfirmedGrant>,
}

/// A grant that a person must confirm.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UnconfirmedGrant {
    pub access_token: Sealed,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<Sealed>,
    #[serde(with = "chrono::serde::ts_seconds")]
    pub issued_at: DateTime<Utc>,
    #[serde(default, with = "seconds", skip_serializing_if = "Option::is_none")]
    pub access_expires_at: Option<DateTime<Utc>>,
    #[serde(default, with = "seconds", skip_serializing_if = "Option::is_none")]
    pub refresh_expires_at: Option<DateTime<Utc>>,
    #[serde(default, with = "seconds", skip_serializing_if = "Option::is_none")]
    pub data_access_expires_at: Option<DateTime<Utc>>,
    /// What it allows; `None` if the platform does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    pub accounts: Vec<Account>,
    /// Whether the accounts are by the platform's own word.
    pub is_identified: bool,
}

impl UnconfirmedGrant {
    /// Returns what a person must be asked, or the account if nothing is to be asked.
    ///
    /// # Errors
    /// The question's accounts and scopes.
    pub fn account_for(&self, before: Option<&Integration>) -> Result<Account, Vec<String>> {
        let missing: Vec<_> = match (before, &self.scopes) {
            (Some(before), Some(allowed)) => {
                let is_missing = |scope: &&String| {
                    let spelled = before.platform.spelling(scope);
                    allowed.iter().all(|of| of != *scope && of != spelled)
                };
                let held = before.permissions.granted.iter();
                held.filter(is_missing).cloned().collect()
            }
            _ => Vec::new(),
        };
        let same = match before {
            Some(before) => self.accounts.iter().find(|of| of.id == before.account.id),
            None => self.accounts.first().filter(|_| self.accounts.len() == 1),
        };
        match same {
            Some(account) if missing.is_empty() && self.is_identified => Ok(account.clone()),
            _ => Err(missing),
        }
    }
}
