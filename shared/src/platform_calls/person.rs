//! Why only a person can bring an integration back to life.

use chrono::{DateTime, Utc};

use crate::IntegrationKey;
use crate::domain::alert::reconnect_url;
use crate::domain::integration::{Integration, State};
use crate::domain::state_message;
use crate::domain::verdict::ReconnectReason;

/// An integration has no token to use until a person acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeedsPerson {
    /// The state's name, as the dashboard API has it.
    pub state: String,
    /// Why, as a name; `None` for an integration that a person has disconnected.
    pub reason: Option<String>,
    /// What happened and what to do, in sentences.
    pub message: String,
    /// The page on which a person reconnects the account.
    pub reconnect_url: String,
}

impl NeedsPerson {
    /// Returns why `row` needs a person before its token can be used, if it does.
    ///
    /// A grant that is lost because the platform's answer was lost needs one as well. But its
    /// access token lives on until its end, and is used until then.
    pub(super) fn of(row: &Integration, now: DateTime<Utc>) -> Option<Self> {
        let (state, reason) = match &row.state {
            State::ReconnectRequired {
                reason: ReconnectReason::RotationLost,
                ..
            } if is_living(row, now) => return None,
            State::ReconnectRequired { reason, .. } => ("reconnect_required", name(reason)),
            State::PlatformActionRequired { action, .. } => {
                ("platform_action_required", name(action))
            }
            State::Disconnected { .. } => ("disconnected", None),
            State::Active | State::Retrying { .. } if row.credential.access_token.is_none() => {
                ("disconnected", None)
            }
            // A sweep need not have said so yet.
            State::Active | State::Retrying { .. }
                if !is_living(row, now) && !row.is_refreshable(now) =>
            {
                ("reconnect_required", name(&ReconnectReason::Expired))
            }
            State::Active | State::Retrying { .. } => return None,
        };
        Some(Self {
            state: state.to_owned(),
            reason,
            message: state_message::sentences(row, now),
            reconnect_url: reconnect_url(&row.org_id, &row.integration_id),
        })
    }

    /// Says that the row of an integration cannot be read.
    pub(super) fn damaged(key: &IntegrationKey) -> Self {
        Self {
            state: "damaged".to_owned(),
            reason: None,
            message: "The stored integration cannot be read; reconnect the account.".to_owned(),
            reconnect_url: reconnect_url(&key.org_id, &key.integration_id),
        }
    }
}

/// Whether the access token has not ended, as far as anybody knows.
pub(super) fn is_living(row: &Integration, now: DateTime<Utc>) -> bool {
    row.credential.access_token.is_some() && row.expiry.access_token.is_none_or(|end| end > now)
}

/// Returns the stored name of a reason.
fn name(reason: &impl serde::Serialize) -> Option<String> {
    let name = serde_json::to_value(reason).ok()?;
    name.as_str().map(str::to_owned)
}
