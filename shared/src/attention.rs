//! What time does to a connection: when it is refreshed, when it lapses, and
//! when it next needs anybody at all.

use chrono::{DateTime, TimeDelta, Utc};

use crate::announcement::Telling;
use crate::digest;
use crate::integration::{Integration, RetryReason, State};
use crate::platform::RefreshModel;

/// A refresh is due at least this long before the token ends.
const LEAST_MARGIN: TimeDelta = TimeDelta::minutes(10);
/// An unchanged or failing extension is tried again after this long.
const DAILY: TimeDelta = TimeDelta::days(1);

impl Integration {
    /// How its credential is renewed.
    #[must_use]
    pub fn refresh_model(&self) -> RefreshModel {
        self.platform.refresh_model(
            self.refresh_token.is_some(),
            self.access_expires_at.is_some(),
        )
    }

    /// The life of its access token from issue to end; the platform's usual
    /// one where the credential came without the time of issue.
    #[must_use]
    pub fn access_life(&self) -> TimeDelta {
        match (self.issued_at, self.access_expires_at) {
            (Some(issued), Some(expires)) if expires > issued => expires - issued,
            _ => self.platform.usual_access_life(),
        }
    }

    /// When the access token was issued, or probably was: not after it came to us.
    fn issued(&self) -> DateTime<Utc> {
        let usual = self
            .access_expires_at
            .map(|end| end - self.platform.usual_access_life());
        self.issued_at
            .unwrap_or_else(|| usual.map_or(self.granted_at, |at| at.min(self.granted_at)))
    }

    /// For how long failures leave a proven grant proven.
    fn patience(&self) -> TimeDelta {
        DAILY.min(self.access_life().max(TimeDelta::hours(1)))
    }

    /// Whether the last refresh of this grant worked, counting failures that
    /// say nothing about the grant only once they last: a blip alerts nobody.
    #[must_use]
    pub fn is_proven(&self, now: DateTime<Utc>) -> bool {
        self.renewed_at.is_some()
            && match self.state {
                State::Active => true,
                State::Retrying { since, .. } => now < since + self.patience(),
                State::ReconnectRequired { .. }
                | State::PlatformActionRequired { .. }
                | State::Disconnected { .. } => false,
            }
    }

    /// The instant at which the connection stops working unless a person acts;
    /// `None` if never, as far as anyone knows.
    #[must_use]
    pub fn lapse(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if matches!(self.state, State::Disconnected { .. }) {
            return None;
        }
        let access = self.access_expires_at.filter(|_| !self.is_proven(now));
        let refresh = self
            .refresh_expires_at
            .filter(|_| self.refresh_token.is_some());
        [access, refresh, self.data_access_expires_at]
            .into_iter()
            .flatten()
            .min()
    }

    /// Until when a refresh may still show that the grant renews itself; so
    /// long nobody is told that its access token ends. `None` if nothing will
    /// show it before that.
    #[must_use]
    pub fn verdict_awaited_until(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if self.renewed_at.is_some() {
            return None;
        }
        let due = self.refresh_due_at(now)?;
        match self.state {
            State::Active if self.attempted_at.is_none() => {
                Some(due.max(now + TimeDelta::seconds(1)))
            }
            // Failures that say nothing about the grant: patience, but not so
            // long that nothing of the token's life is left to act in.
            State::Retrying {
                since,
                reason: RetryReason::Transient | RetryReason::Throttled | RetryReason::Application,
                ..
            } => {
                let half = self
                    .access_expires_at
                    .map_or(DAILY, |end| (end - since) / 2);
                Some(since + self.patience().min(half.max(TimeDelta::hours(1))))
            }
            _ => None,
        }
        .filter(|until| now < *until)
    }

    /// When the credential should be refreshed; `None` if nothing but a person
    /// can renew it. May lie in the past: then it is due.
    #[must_use]
    pub fn refresh_due_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let model = self.refresh_model();
        let ended = match model {
            RefreshModel::None => return None,
            // "You can not use an expired token to request a long-lived token" (Meta);
            // the same holds for Instagram.
            RefreshModel::Extend => self.access_expires_at,
            RefreshModel::Rotating | RefreshModel::Static => self.refresh_expires_at,
        };
        if self.access_token.is_none() || ended.is_some_and(|end| end <= now) {
            return None;
        }
        let due = match self.state {
            State::Disconnected { .. } | State::ReconnectRequired { .. } => return None,
            State::Retrying {
                next_attempt_at, ..
            } => next_attempt_at,
            State::PlatformActionRequired { next_check_at, .. } => next_check_at,
            State::Active => self.refresh_due_when_active(model),
        };
        let due = due.max(self.issued() + self.platform.minimum_age());
        // What may only be extended after its end cannot be extended at all.
        (model != RefreshModel::Extend || ended.is_none_or(|end| due < end)).then_some(due)
    }

    fn refresh_due_when_active(&self, model: RefreshModel) -> DateTime<Utc> {
        // A grant never tried is due at once: only a refresh shows that it renews.
        let Some(attempted) = self.attempted_at else {
            return self.granted_at;
        };
        let life = self.access_life();
        let regular = match model {
            RefreshModel::Extend => {
                let daily = if self.renewed_at == Some(attempted) {
                    attempted
                } else {
                    attempted + DAILY
                };
                (self.issued() + life / 2).max(daily)
            }
            _ => {
                let margin = LEAST_MARGIN.max(life * 15 / 100).min(life / 2);
                // Earlier by up to a twentieth of the life, never later, and
                // not beyond half of it: a thousand connections made in one
                // minute are not refreshed in one minute.
                let spread = (life / 20).min(life / 2 - margin);
                let jitter = spread * self.spread_of_4096() / 4096;
                self.access_expires_at.unwrap_or(self.issued() + life) - margin - jitter
            }
        };
        // An unused grant is used before it dies of idleness.
        self.idle_expires_at
            .map_or(regular, |idle| regular.min(idle - DAILY))
    }

    fn hash(&self) -> u64 {
        digest::short(&[self.org_id.as_str(), self.integration_id.as_str()])
    }

    /// A number below 4096 that is this connection's own; other bits than the shard's.
    fn spread_of_4096(&self) -> i32 {
        i32::from(u16::try_from(self.hash() >> 16 & 0xfff).unwrap_or_default())
    }

    /// Recomputes what the indexes hold. Called with every write, so that the
    /// sweep and the dashboard always find the row where it belongs.
    pub fn settle(&mut self, now: DateTime<Utc>) {
        self.lapses_at = self.lapse(now);
        self.attention_at = self.next_attention(now);
        self.attention_shard = self.attention_at.map(|_| {
            let class = if self.access_life() < DAILY { 'f' } else { 's' };
            format!("{class}#{:02}", self.hash() % 16)
        });
    }

    /// The earliest instant at which anything must be done. In the past: something is due.
    fn next_attention(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if let Some(lease) = &self.lease {
            return Some(lease.until);
        }
        let patience_ends = match self.state {
            // At this instant the lapse moves to the access token's end.
            State::Retrying { since, .. } if self.is_proven(now) => Some(since + self.patience()),
            State::Retrying { .. } => self.verdict_awaited_until(now),
            _ => None,
        };
        let told = self
            .announcements(now, Telling::default())
            .into_iter()
            .map(|(at, _)| at)
            .min();
        [self.refresh_due_at(now), told, patience_ends]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether this attempt holds the right to refresh it.
    #[must_use]
    pub fn holds(&self, attempt: &str) -> bool {
        self.lease
            .as_ref()
            .is_some_and(|lease| lease.attempt == attempt)
    }

    /// Whether somebody holds the right to refresh it.
    #[must_use]
    pub fn is_leased(&self, now: DateTime<Utc>) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.until > now)
    }
}

/// All partitions of `by_attention` of one class: `f` for tokens that live less
/// than a day, `s` for the rest. The sweep drains `f` first, so that after an
/// outage the tokens with minutes left don't queue behind those with weeks.
#[must_use]
pub fn attention_shards(class: char) -> Vec<String> {
    (0..16).map(|shard| format!("{class}#{shard:02}")).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::announcement::Told;
    use crate::integration::{Lease, Sealed};
    use crate::verdict::{PlatformAction, ReconnectReason};
    use crate::{IntegrationId, OrgId, Platform, UserId};

    pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    const HOUR: i64 = 3_600;
    const DAY: i64 = 86_400;

    /// A connection that came to us at `at(0)`.
    pub(crate) fn connection(
        platform: Platform,
        refresh: bool,
        issued: i64,
        expires: Option<i64>,
    ) -> Integration {
        Integration {
            org_id: OrgId::new("acme").unwrap(),
            integration_id: IntegrationId::new("i1").unwrap(),
            platform,
            username: "acme.page".to_owned(),
            account_id: "123".to_owned(),
            created_by: UserId::new("ian").unwrap(),
            scopes: Vec::new(),
            metadata: serde_json::Map::new(),
            version: 1,
            generation: 1,
            grant: 1,
            granted_at: at(0),
            access_token: Some(Sealed(vec![1])),
            refresh_token: refresh.then(|| Sealed(vec![2])),
            imported: None,
            issued_at: Some(at(issued)),
            access_expires_at: expires.map(at),
            refresh_expires_at: None,
            data_access_expires_at: None,
            idle_expires_at: None,
            renewed_at: None,
            attempted_at: None,
            state: State::Active,
            missing_scopes: Vec::new(),
            permission_lost_at: None,
            lease: None,
            told: Told::default(),
            lapses_at: None,
            attention_at: None,
            attention_shard: None,
        }
    }

    fn proven(mut row: Integration, now: i64) -> Integration {
        row.renewed_at = Some(at(now));
        row.attempted_at = Some(at(now));
        row
    }

    #[test]
    fn a_new_renewable_connection_is_due_at_once() {
        for (platform, refresh) in [
            (Platform::Meta, false),
            (Platform::Tiktok, true),
            (Platform::TiktokBusiness, true),
            (Platform::Linkedin, true),
            (Platform::Twitter, true),
            (Platform::Google, true),
            (Platform::Snapchat, true),
        ] {
            let row = connection(platform, refresh, -HOUR, Some(HOUR));
            assert_eq!(row.refresh_due_at(at(0)), Some(at(0)), "{platform}");
            assert!(row.verdict_awaited_until(at(0)).is_some());
        }
    }

    #[test]
    fn instagram_is_never_extended_before_it_is_a_day_old() {
        let row = connection(Platform::Instagram, false, -HOUR, Some(60 * DAY - HOUR));
        assert_eq!(row.refresh_due_at(at(0)), Some(at(23 * HOUR)));
        let mut unknown = row;
        unknown.issued_at = None;
        assert_eq!(unknown.refresh_due_at(at(0)), Some(at(23 * HOUR)));
    }

    #[test]
    fn nothing_refreshes_a_token_without_means() {
        for (platform, expires) in [
            (Platform::Linkedin, Some(DAY)),
            (Platform::TiktokBusiness, None),
            (Platform::Meta, None),
        ] {
            let row = connection(platform, false, -DAY, expires);
            assert_eq!(row.refresh_due_at(at(0)), None, "{platform}");
        }
        // Expired tokens cannot be extended, refresh tokens still work.
        let expired = connection(Platform::Meta, false, -60 * DAY, Some(0));
        assert_eq!(expired.refresh_due_at(at(0)), None);
        let expired = connection(Platform::Google, true, -DAY, Some(-HOUR));
        assert_eq!(expired.refresh_due_at(at(0)), Some(at(0)));
        let mut ended = expired;
        ended.refresh_expires_at = Some(at(0));
        assert_eq!(ended.refresh_due_at(at(0)), None);
    }

    #[test]
    fn a_proven_token_is_refreshed_in_time_and_spread_out() {
        // Two hours: a margin of 18 minutes, up to 6 earlier.
        let row = proven(connection(Platform::Twitter, true, 0, Some(2 * HOUR)), 0);
        let due = row.refresh_due_at(at(0)).unwrap();
        assert!(
            (at(2 * HOUR - 24 * 60)..=at(2 * HOUR - 18 * 60)).contains(&due),
            "{due}"
        );
        // Sixteen minutes: at most half of its life.
        let row = proven(connection(Platform::Twitter, true, 0, Some(16 * 60)), 0);
        assert_eq!(row.refresh_due_at(at(0)), Some(at(8 * 60)));
        // Extension: from half of life on.
        let row = proven(connection(Platform::Meta, false, 0, Some(60 * DAY)), 0);
        assert_eq!(row.refresh_due_at(at(0)), Some(at(30 * DAY)));
        let spread: std::collections::HashSet<_> = (0..200)
            .map(|n| {
                let mut row = row.clone();
                row.platform = Platform::Google;
                row.refresh_token = Some(Sealed(vec![]));
                row.integration_id = IntegrationId::new(format!("i{n}")).unwrap();
                row.refresh_due_at(at(0))
            })
            .collect();
        assert!(spread.len() > 100, "{}", spread.len());
    }

    #[test]
    fn what_renews_itself_does_not_lapse_and_its_grant_does() {
        let mut row = proven(connection(Platform::Google, true, 0, Some(HOUR)), 0);
        assert_eq!(row.lapse(at(0)), None);
        row.refresh_expires_at = Some(at(5 * DAY));
        assert_eq!(row.lapse(at(0)), Some(at(5 * DAY)));
        row.renewed_at = None;
        assert_eq!(row.lapse(at(0)), Some(at(HOUR)));
        row.state = State::Disconnected { since: at(0) };
        assert_eq!(row.lapse(at(0)), None);
    }

    #[test]
    fn a_blip_alerts_nobody_and_an_outage_does() {
        let mut row = proven(connection(Platform::Google, true, 0, Some(HOUR)), 0);
        row.state = State::Retrying {
            failures: 1,
            since: at(0),
            reason: RetryReason::Transient,
            next_attempt_at: at(90 * 60),
        };
        assert_eq!(row.lapse(at(HOUR - 1)), None);
        assert_eq!(row.lapse(at(HOUR)), Some(at(HOUR)));
        row.settle(at(0));
        // Somebody looks at it at the instant at which patience ends.
        assert_eq!(row.attention_at, Some(at(HOUR)));
    }

    #[test]
    fn every_reachable_state_needs_attention_or_is_final() {
        let waiting = connection(Platform::Linkedin, false, -DAY, Some(30 * DAY));
        let mut row = waiting.clone();
        row.settle(at(0));
        assert_eq!(row.attention_at, Some(at(23 * DAY)));
        assert!(row.attention_shard.unwrap().starts_with("s#"));
        for state in [
            State::Disconnected { since: at(0) },
            State::ReconnectRequired {
                reason: ReconnectReason::Revoked,
                since: at(0),
            },
        ] {
            let mut row = waiting.clone();
            row.told.state_since = Some(at(0));
            row.state = state;
            row.settle(at(0));
            assert_eq!((row.attention_at, row.attention_shard), (None, None));
        }
        let mut row = waiting;
        row.state = State::PlatformActionRequired {
            action: PlatformAction::LogIn,
            since: at(0),
            next_check_at: at(DAY),
        };
        row.settle(at(0));
        assert_eq!(row.attention_at, Some(at(0)), "it is owed an announcement");
    }

    #[test]
    fn a_row_survives_the_store() {
        let mut row = proven(connection(Platform::Google, true, 0, Some(HOUR)), 0);
        row.lease = Some(Lease {
            attempt: "a".to_owned(),
            until: at(60),
        });
        row.told.lapse = Some(crate::announcement::ToldLapse {
            lapses_at: at(1),
            rung: crate::lapse::Severity::Urgent,
        });
        row.metadata
            .insert("n".to_owned(), serde_json::json!({"a": [1, "x", null]}));
        row.settle(at(0));
        let item: std::collections::HashMap<String, aws_sdk_dynamodb::types::AttributeValue> =
            serde_dynamo::to_item(&row).unwrap();
        assert!(item["access_token"].is_b() && item["attention_at"].is_n());
        assert!(
            !item.contains_key("refresh_expires_at"),
            "an absent instant must leave the index"
        );
        assert_eq!(
            serde_dynamo::from_item::<_, Integration>(item).unwrap(),
            row
        );
    }
}
