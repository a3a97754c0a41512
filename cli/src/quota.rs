//! Quotas, for people and programs.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use comfy_table::{CellAlignment, Table};
use serde::Serialize;
use shared::IntegrationKey;
use shared::Platform;
use shared::domain::quota::{
    BURST_SECONDS, Decision, DenialReason, Policies, QuotaKey, QuotaStatus, WindowStatus,
};
use shared::domain::time_left::humanly;

use crate::output::exact;
use crate::table;

/// A policy as `QUOTA_POLICIES` takes it.
#[derive(Debug, Serialize)]
pub(crate) struct Policy {
    limit: u32,
    /// In seconds.
    period: u32,
    burst: u32,
}

impl Policy {
    /// Returns the policies of all platforms, in the form that `QUOTA_POLICIES` takes.
    pub(crate) fn all(policies: &Policies) -> BTreeMap<Platform, Self> {
        let written = policies.iter().map(|(platform, policy)| {
            let written = Self {
                limit: policy.period.limit,
                period: policy.period.seconds,
                burst: policy.burst.limit,
            };
            (platform, written)
        });
        written.collect()
    }
}

pub(crate) fn policies_table(policies: &Policies) -> String {
    let burst = format!("In any {}", length(BURST_SECONDS));
    let mut table = table::table(["Platform", "Limit", "In any", &burst]);
    for (platform, policy) in policies.iter() {
        table.add_row([
            platform.name().to_owned(),
            policy.period.limit.to_string(),
            length(policy.period.seconds),
            policy.burst.limit.to_string(),
        ]);
    }
    align_right(&mut table, &[1, 3]);
    table::render(table)
}

fn align_right(table: &mut Table, columns: &[usize]) {
    for column in columns {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// Writes a length of time in the largest unit that divides it. Days are no such unit: to a rolling
/// window, a day is just 24 hours.
fn length(seconds: u32) -> String {
    let (count, unit) = match seconds {
        _ if seconds.is_multiple_of(3_600) => (seconds / 3_600, "hour"),
        _ if seconds.is_multiple_of(60) => (seconds / 60, "minute"),
        _ => (seconds, "second"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

/// What a quota is counted for.
#[derive(Debug, Serialize)]
pub(crate) struct Meter {
    pub(crate) platform: Platform,
    #[serde(flatten)]
    pub(crate) integration: IntegrationKey,
}

impl Meter {
    pub(crate) fn key(&self) -> QuotaKey {
        let IntegrationKey {
            org_id,
            integration_id,
        } = self.integration.clone();
        QuotaKey::new(self.platform, org_id, integration_id)
    }
}

impl fmt::Display for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let IntegrationKey {
            org_id,
            integration_id,
        } = &self.integration;
        write!(f, "{} {org_id}/{integration_id}", self.platform)
    }
}

/// What is left of a quota.
#[derive(Debug, Serialize)]
pub(crate) struct QuotaReport<'a> {
    #[serde(flatten)]
    meter: &'a Meter,
    /// One window's numbers, as the API's answers have them at their top.
    #[serde(flatten)]
    shown: WindowStatus,
    #[serde(flatten)]
    status: &'a QuotaStatus,
}

impl<'a> QuotaReport<'a> {
    pub(crate) fn new(meter: &'a Meter, status: &'a QuotaStatus) -> Self {
        Self::showing(status.shown(), meter, status)
    }

    const fn showing(shown: WindowStatus, meter: &'a Meter, status: &'a QuotaStatus) -> Self {
        Self {
            meter,
            shown,
            status,
        }
    }

    pub(crate) fn render(&self, now: DateTime<Utc>) -> String {
        let mut table = table::table(["In any", "Limit", "Remaining", "Next frees"]);
        for window in [self.status.period, self.status.burst] {
            table.add_row([
                length(window.seconds),
                window.limit.to_string(),
                window.remaining.to_string(),
                resets(&window, now),
            ]);
        }
        align_right(&mut table, &[1, 2]);
        let text = format!("{}\n\n{}", self.meter, table::render(table));
        match self.status.blocked_until {
            None => text,
            Some(until) => {
                let asks = asks_to_wait(instant(until), now);
                format!("{text}\n\n{asks}")
            }
        }
    }
}

fn asks_to_wait(until: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let left = humanly(until.max(now), now);
    format!(
        "the platform asks us to wait until {} ({left})",
        exact(until)
    )
}

fn resets(window: &WindowStatus, now: DateTime<Utc>) -> String {
    if window.remaining == window.limit {
        "nothing taken".to_owned()
    } else {
        // One that is over by the time it is shown resets now.
        humanly(instant(window.reset).max(now), now)
    }
}

/// Converts seconds since the epoch.
fn instant(seconds: u64) -> DateTime<Utc> {
    let seconds = i64::try_from(seconds).ok();
    seconds
        .and_then(|seconds| DateTime::from_timestamp(seconds, 0))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// The result of waiting for a permit.
#[derive(Debug, Serialize)]
pub(crate) struct PermitReport<'a> {
    #[serde(flatten)]
    outcome: PermitOutcome,
    #[serde(flatten)]
    answer: QuotaReport<'a>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
enum PermitOutcome {
    Admitted {
        /// The call must be made before this.
        use_by: DateTime<Utc>,
    },
    Denied {
        reason: DenialReason,
        /// When the next permit frees.
        retry_at: DateTime<Utc>,
        /// Seconds from now until `retry_at`.
        retry_after: u64,
    },
}

impl<'a> PermitReport<'a> {
    pub(crate) fn new(meter: &'a Meter, decision: &'a Decision, now: DateTime<Utc>) -> Self {
        let (outcome, shown, status) = match decision {
            Decision::Admitted(permit) => {
                let outcome = PermitOutcome::Admitted {
                    use_by: permit.use_by,
                };
                (outcome, permit.shown(), &permit.status)
            }
            Decision::Denied(denial) => {
                let outcome = PermitOutcome::Denied {
                    reason: denial.reason(),
                    retry_at: instant(denial.retry_at),
                    retry_after: denial.retry_after(now),
                };
                (outcome, denial.shown(), &denial.status)
            }
        };
        Self {
            outcome,
            answer: QuotaReport::showing(shown, meter, status),
        }
    }

    /// Renders only the `use_by` of a permit, because scripts read it.
    pub(crate) fn render(&self, now: DateTime<Utc>) -> String {
        match self.outcome {
            PermitOutcome::Admitted { use_by } => exact(use_by),
            PermitOutcome::Denied {
                reason: DenialReason::Blocked,
                retry_at,
                ..
            } => format!(
                "no permit for {}: {}",
                self.answer.meter,
                asks_to_wait(retry_at, now)
            ),
            PermitOutcome::Denied { retry_at, .. } => format!(
                "no permit for {}: the next one frees {}, at {}",
                self.answer.meter,
                humanly(retry_at.max(now), now),
                exact(retry_at)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::domain::quota::{Denial, Permit};
    use shared::{IntegrationId, OrgId};

    use super::*;

    const NOW: u64 = 1_800_000_000; // 2027-01-15T08:00:00Z

    fn meter() -> Meter {
        Meter {
            platform: Platform::Linkedin,
            integration: IntegrationKey {
                org_id: OrgId::new("acme").unwrap(),
                integration_id: IntegrationId::new("7").unwrap(),
            },
        }
    }

    fn status(remaining: u32) -> QuotaStatus {
        let window = |limit, seconds, remaining, reset| WindowStatus {
            limit,
            seconds,
            remaining,
            reset,
        };
        QuotaStatus {
            period: window(100, 86_400, 80 + remaining, NOW + 7_260),
            burst: window(20, 60, remaining, NOW + 65),
            blocked_until: None,
        }
    }

    #[test]
    fn what_list_prints_is_what_quota_policies_takes() {
        let own = r#"{"x":{"limit":7,"period":90,"burst":3}}"#;
        let policies: Policies = own.parse().unwrap();
        let printed = serde_json::to_value(Policy::all(&policies)).unwrap();
        assert_eq!(printed.as_object().unwrap().len(), Platform::ALL.len());
        assert_eq!(
            printed["twitter"],
            json!({"limit": 7, "period": 90, "burst": 3})
        );
        assert_eq!(printed.to_string().parse(), Ok(policies));
    }

    #[test]
    fn every_policy_is_a_row() {
        let text = policies_table(&Policies::default());
        let rows: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(rows.len(), 2 + Platform::ALL.len(), "{text}");
        for row in [
            "Platform Limit In any In any 1 minute",
            "meta 200 1 hour 50",
            "linkedin 100 24 hours 20",
            "twitter 300 15 minutes 100",
            "google 15000 24 hours 500",
        ] {
            assert!(rows.iter().any(|of| of.join(" ") == row), "{row}: {text}");
        }
        assert_eq!(length(90), "90 seconds");
    }

    #[test]
    fn a_standing_shows_both_windows() {
        let (meter, now) = (meter(), instant(NOW));
        let some = status(3);
        let text = QuotaReport::new(&meter, &some).render(now);
        assert!(text.starts_with("linkedin acme/7\n\n"), "{text}");
        for row in ["100 83 in 2 hours", "20 3 in 1 minute"] {
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(text.contains(row), "{row}: {text}");
        }
        let fresh = status(20);
        let text = QuotaReport::new(&meter, &fresh).render(now);
        assert_eq!(text.matches("nothing taken").count(), 2, "{text}");
        // Between the answer and its printing a second may pass.
        let text = QuotaReport::new(&meter, &some).render(instant(NOW + 66));
        assert!(text.contains(" now"), "{text}");
    }

    #[test]
    fn a_standing_is_one_object() {
        let (meter, some) = (meter(), status(3));
        let object: Value = serde_json::to_value(QuotaReport::new(&meter, &some)).unwrap();
        let expected = json!({
            "platform": "linkedin", "org_id": "acme", "integration_id": "7",
            "limit": 100, "seconds": 86_400, "remaining": 83, "reset": NOW + 7_260,
            "period": {"limit": 100, "seconds": 86_400, "remaining": 83, "reset": NOW + 7_260},
            "burst": {"limit": 20, "seconds": 60, "remaining": 3, "reset": NOW + 65},
        });
        assert_eq!(object, expected);
    }

    #[test]
    fn a_permit_says_until_when_and_a_denial_from_when() {
        let (meter, now) = (meter(), instant(NOW));
        let admitted = Decision::Admitted(Permit {
            use_by: instant(NOW + 30),
            status: status(3),
        });
        let waited = PermitReport::new(&meter, &admitted, now);
        assert_eq!(waited.render(now), "2027-01-15T08:00:30Z");
        let object: Value = serde_json::to_value(&waited).unwrap();
        assert_eq!(object["decision"], "admitted");
        assert_eq!(object["use_by"], "2027-01-15T08:00:30Z");
        assert_eq!(object["burst"]["remaining"], 3);

        let denied = Decision::Denied(Denial {
            retry_at: NOW + 65,
            status: status(0),
        });
        let waited = PermitReport::new(&meter, &denied, now);
        assert_eq!(
            waited.render(now),
            "no permit for linkedin acme/7: the next one frees in 1 minute, at 2027-01-15T08:01:05Z"
        );
        let object: Value = serde_json::to_value(&waited).unwrap();
        assert_eq!(object["decision"], "denied");
        assert_eq!(object["reason"], "quota_used_up");
        assert_eq!(object["retry_at"], "2027-01-15T08:01:05Z");
        assert_eq!(object["retry_after"], 65);
        // Of the window that refuses, all three.
        let shown = ["limit", "seconds", "remaining", "reset"].map(|name| object[name].clone());
        assert_eq!(shown, [json!(20), json!(60), json!(0), json!(NOW + 65)]);
    }
    #[test]
    fn a_block_is_told_where_the_quota_is() {
        let (meter, now) = (meter(), instant(NOW));
        let blocked = QuotaStatus {
            blocked_until: Some(NOW + 3_600),
            ..status(3)
        };
        let asks = "the platform asks us to wait until 2027-01-15T09:00:00Z (in 1 hour)";
        let standing = QuotaReport::new(&meter, &blocked);
        let text = standing.render(now);
        assert!(text.ends_with(&format!("\n\n{asks}")), "{text}");
        let object: Value = serde_json::to_value(&standing).unwrap();
        assert_eq!(object["blocked_until"], NOW + 3_600);
        let shown = ["limit", "remaining", "reset"].map(|name| object[name].clone());
        assert_eq!(shown, [json!(100), json!(0), json!(NOW + 3_600)]);
        assert_eq!(object["burst"]["remaining"], 3);

        let denied = Decision::Denied(Denial {
            retry_at: NOW + 3_600,
            status: blocked,
        });
        let waited = PermitReport::new(&meter, &denied, now);
        let expected = format!("no permit for linkedin acme/7: {asks}");
        assert_eq!(waited.render(now), expected);
        let object: Value = serde_json::to_value(&waited).unwrap();
        assert_eq!(object["reason"], "platform_asks_to_wait");
    }
}
