//! An organisation's integrations, and what happened to one.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use shared::IntegrationKey;
use shared::aws::tables::{AuditEntry, AuditTable, Found, IntegrationsTable};
use shared::domain::integration::Integration;
use shared::{IntegrationId, OrgId, Platform};

use crate::expiring::{MOST_BYTES, escaped_length};
use crate::permits::unknown_integration;
use crate::problem::Problem;
use crate::query::{LIMITS, Parameters, cursor, limit, position};
use crate::standing::{Damaged, Shown, Standing, StateName, View};

/// The usual number of rows in one answer.
const USUAL: usize = 50;
/// How many rows are looked at for one answer, whatever is sought among them,
/// and how many of them at once.
const EXAMINED: usize = 1_000;
const AT_ONCE: usize = 200;
/// How much of an integration's history is shown.
const HISTORY: usize = 50;

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Query {
    platform: Option<Platform>,
    state: Option<StateName>,
    view: Option<View>,
    limit: usize,
    next: Option<IntegrationId>,
}

/// One page, in the order of ids. Where something is sought it may be short,
/// or empty, and yet not the last.
#[derive(Debug, Serialize)]
pub(crate) struct Listing {
    integrations: Vec<Shown>,
    /// What to ask for as `next` to get the following page; null on the last.
    next: Option<String>,
}

/// An integration with what happened to it last, newest first.
#[derive(Debug, Serialize)]
pub(crate) struct One {
    #[serde(flatten)]
    shown: Shown,
    history: Vec<AuditEntry>,
}

impl Query {
    pub(crate) fn parse(query: Option<&str>) -> Result<Self, Problem> {
        let known = ["platform", "state", "view", "limit", "next"];
        let parameters = Parameters::parse(query, &known)?;
        let platforms = format!("one of {}", Platform::names());
        let platform = parameters.get("platform", &platforms, |name| name.parse().ok())?;
        let states = "one of active, retrying, reconnect_required, platform_action_required, \
                      disconnected, damaged";
        let views =
            "one of healthy, not_monitored, renewing, expiring, failing, broken, disconnected";
        let next = parameters.get("next", "what the page before said", position)?;
        Ok(Self {
            platform,
            state: parameters.get("state", states, named)?,
            view: parameters.get("view", views, named)?,
            limit: parameters.get("limit", LIMITS, limit)?.unwrap_or(USUAL),
            next,
        })
    }

    fn seeks(&self) -> bool {
        self.platform.is_some() || self.state.is_some() || self.view.is_some()
    }

    fn wants(&self, row: &Integration, now: DateTime<Utc>) -> bool {
        self.platform
            .is_none_or(|platform| platform == row.platform)
            && self
                .state
                .is_none_or(|state| state == StateName::of(&row.state))
            && self.view.is_none_or(|view| view == View::of(row, now))
    }

    /// Whether one that cannot be read is wanted: nobody knows its platform.
    fn wants_damaged(&self) -> bool {
        self.platform.is_none()
            && self.state.is_none_or(|state| state == StateName::Damaged)
            && self.view.is_none_or(|view| view == View::Broken)
    }
}

fn named<T: DeserializeOwned>(name: &str) -> Option<T> {
    serde_json::from_value(Value::String(name.to_owned())).ok()
}

/// Reads one page.
pub(crate) async fn list(
    integrations: &IntegrationsTable,
    org: &OrgId,
    query: &Query,
    now: DateTime<Utc>,
) -> Result<Listing, Problem> {
    let at_once = if query.seeks() { AT_ONCE } else { query.limit };
    let mut found = Vec::new();
    let mut bytes = 0;
    let mut after = query.next.clone();
    for _ in 0..EXAMINED / AT_ONCE {
        let page = integrations.overview(org, at_once, after.as_ref()).await?;
        for row in page.rows {
            let (shown, id) = match row {
                Ok(row) => {
                    let shown = query.wants(&row, now).then(|| Standing::of(&row, now));
                    let shown = shown.map(|standing| Shown::Standing(Box::new(standing)));
                    (shown, row.integration_id)
                }
                Err(id) => {
                    let shown = query.wants_damaged().then(|| Damaged::of(org, &id));
                    (shown.map(Shown::Damaged), id)
                }
            };
            if let Some(shown) = shown {
                bytes += escaped_length(&serde_json::to_string(&shown).map_err(Problem::internal)?);
                // One is always shown, or no page would ever get past it.
                if found.len() == query.limit || bytes > MOST_BYTES && !found.is_empty() {
                    return Ok(Listing {
                        integrations: found,
                        next: after.as_ref().map(cursor),
                    });
                }
                found.push(shown);
            }
            after = Some(id);
        }
        if page.next.is_none() {
            after = None;
            break;
        }
        if found.len() == query.limit {
            break;
        }
    }
    Ok(Listing {
        integrations: found,
        next: after.as_ref().map(cursor),
    })
}

/// Reads one integration and its history.
pub(crate) async fn one(
    integrations: &IntegrationsTable,
    audit: &AuditTable,
    key: &IntegrationKey,
    now: DateTime<Utc>,
) -> Result<One, Problem> {
    let (found, history) = tokio::try_join!(integrations.find(key), audit.history(key, HISTORY))?;
    let shown = match found {
        Found::Nothing => return Err(unknown_integration()),
        Found::Row(row) => Shown::Standing(Box::new(Standing::of(&row, now))),
        Found::Damaged { .. } => Shown::Damaged(Damaged::of(&key.org_id, &key.integration_id)),
    };
    Ok(One { shown, history })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sought_is_read_strictly() {
        let query = Query::parse(None).unwrap();
        assert!(!query.seeks() && query.limit == 50);
        let query = "platform=x&state=active&view=healthy&limit=100&next=YXV0aDB8Nw";
        let query = Query::parse(Some(query)).unwrap();
        assert_eq!(query.platform, Some(Platform::Twitter));
        assert_eq!(query.state, Some(StateName::Active));
        assert_eq!(query.view, Some(View::Healthy));
        assert_eq!(query.next.unwrap().as_str(), "auth0|7");
        for bad in [
            "platform=myspace",
            "platform=Meta",
            "state=broken",
            "state=",
            "view=active",
            "view=Healthy",
            "limit=0",
            "limit=101",
            "limit=+5",
            "next=%00",
            "page=2",
        ] {
            assert!(Query::parse(Some(bad)).is_err(), "{bad}");
        }
    }
}
