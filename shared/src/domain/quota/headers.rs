//! A decision as names and texts. The authorizer writes them into its context. From them the
//! gateway makes its 429, and the API its headers.

use chrono::{DateTime, Utc};

use super::decision::{Decision, Denial, Permit, QuotaStatus};
use super::item::WindowStatus;
use super::window::seconds;
use crate::Platform;

/// A name in the authorizer's context and its value.
pub type HeaderField = (&'static str, String);

/// The headers of a metered answer, each with the field that it repeats. The
/// gateway's 429 maps them alike (`infra/template.yaml`, `ACCESS_DENIED`).
pub const HEADERS: [(&str, &str); 5] = [
    ("x-ratelimit-limit", "limit"),
    ("x-ratelimit-remaining", "remaining"),
    ("x-ratelimit-reset", "reset"),
    ("ratelimit-policy", "rate_limit_policy"),
    ("ratelimit", "rate_limit"),
];

/// The field `quota` of a denial.
pub const DENIED: &str = "denied";

/// The outcome of metering a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metering {
    /// The quota was decided. A denial is the gateway's 429, or the proxy's.
    Decided(Decision),
    /// The quota could not be decided. That alone allows no call.
    Undecided {
        /// The call may be made before this instant all the same, because the
        /// deployment lets calls pass while the quota store does not answer.
        waived_until: Option<DateTime<Utc>>,
    },
}

impl Metering {
    /// Returns the metering of a call to `platform` as fields of the authorizer's context.
    #[must_use]
    pub fn fields(&self, platform: Platform, now: DateTime<Utc>) -> Vec<HeaderField> {
        match self {
            Self::Decided(Decision::Denied(denial)) => {
                let mut fields = denial.fields(platform, now);
                fields.push(("quota", DENIED.to_owned()));
                fields
            }
            Self::Decided(Decision::Admitted(permit)) => {
                let mut fields = permit.fields(now);
                fields.push(("quota", "admitted".to_owned()));
                fields
            }
            Self::Undecided { waived_until } => match waived_until {
                Some(until) => vec![("quota", "waived".to_owned()), use_by(*until)],
                None => vec![("quota", "unavailable".to_owned())],
            },
        }
    }

    /// Parses the metering from the fields of the context. Returns `None` if a field is missing or
    /// no number, or if they are a denial's.
    pub fn parse<'a>(field: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        Some(match field("quota")? {
            "admitted" => Self::Decided(Decision::Admitted(Permit::parse(field)?)),
            "waived" => Self::Undecided {
                waived_until: Some(parse_use_by(field)?),
            },
            "unavailable" => Self::Undecided { waived_until: None },
            _ => return None,
        })
    }

    /// Returns the instant before which the call to the platform must be made; `None` if it must
    /// not be made.
    #[must_use]
    pub const fn use_by(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Decided(Decision::Admitted(permit)) => Some(permit.use_by),
            Self::Decided(Decision::Denied(_)) => None,
            Self::Undecided { waived_until } => *waived_until,
        }
    }

    #[must_use]
    pub const fn permit(&self) -> Option<Permit> {
        match self {
            Self::Decided(Decision::Admitted(permit)) => Some(*permit),
            Self::Decided(Decision::Denied(_)) | Self::Undecided { .. } => None,
        }
    }
}

fn use_by(at: DateTime<Utc>) -> HeaderField {
    ("use_by", at.timestamp().to_string())
}

fn parse_use_by<'a>(field: impl Fn(&str) -> Option<&'a str>) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(field("use_by")?.parse().ok()?, 0)
}

impl QuotaStatus {
    /// Returns the value of `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers):
    /// `"period";q=200;w=3600, "burst";q=50;w=60`.
    #[must_use]
    pub fn rate_limit_policy(&self) -> String {
        self.named(|window| format!("q={};w={}", window.limit, window.seconds))
    }

    /// Returns the value of `RateLimit` (the same draft), with resets in seconds from `now`:
    /// `"period";r=150;t=118, "burst";r=49;t=12`.
    #[must_use]
    pub fn rate_limit(&self, now: DateTime<Utc>) -> String {
        self.named(|window| {
            let left = window.reset.saturating_sub(seconds(now));
            format!("r={};t={left}", window.remaining)
        })
    }

    fn named(&self, text: impl Fn(&WindowStatus) -> String) -> String {
        let (period, burst) = (text(&self.period), text(&self.burst));
        format!("\"period\";{period}, \"burst\";{burst}")
    }

    /// Returns the status as fields. `limit`, `remaining` and `reset` are of the one window
    /// `shown`: numbers of two windows side by side would describe none.
    fn fields(&self, shown: WindowStatus, now: DateTime<Utc>) -> Vec<HeaderField> {
        let Self { period, burst, .. } = self;
        let mut fields = vec![
            ("limit", shown.limit.to_string()),
            ("remaining", shown.remaining.to_string()),
            ("reset", shown.reset.to_string()),
            ("rate_limit_policy", self.rate_limit_policy()),
            ("rate_limit", self.rate_limit(now)),
            ("period_limit", period.limit.to_string()),
            ("period_seconds", period.seconds.to_string()),
            ("period_remaining", period.remaining.to_string()),
            ("period_reset", period.reset.to_string()),
            ("burst_limit", burst.limit.to_string()),
            ("burst_seconds", burst.seconds.to_string()),
            ("burst_remaining", burst.remaining.to_string()),
            ("burst_reset", burst.reset.to_string()),
        ];
        fields.extend(
            self.blocked_until
                .map(|at| ("blocked_until", at.to_string())),
        );
        fields
    }
}

impl Permit {
    /// Returns the permit as fields, with `use_by` in epoch seconds.
    fn fields(&self, now: DateTime<Utc>) -> Vec<HeaderField> {
        let mut fields = self.status.fields(self.shown(), now);
        fields.push(use_by(self.use_by));
        fields
    }

    fn parse<'a>(field: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        let short = |name: &str| field(name)?.parse().ok();
        let long = |name: &str| field(name)?.parse().ok();
        Some(Self {
            use_by: parse_use_by(&field)?,
            status: QuotaStatus {
                period: WindowStatus {
                    limit: short("period_limit")?,
                    seconds: short("period_seconds")?,
                    remaining: short("period_remaining")?,
                    reset: long("period_reset")?,
                },
                burst: WindowStatus {
                    limit: short("burst_limit")?,
                    seconds: short("burst_seconds")?,
                    remaining: short("burst_remaining")?,
                    reset: long("burst_reset")?,
                },
                // No permit is given while there is a block.
                blocked_until: None,
            },
        })
    }
}

impl Denial {
    /// Returns the denial as fields. `reset_at` is UTC, as the original system wrote it:
    /// `2025-11-18 10:00:00`.
    fn fields(&self, platform: Platform, now: DateTime<Utc>) -> Vec<HeaderField> {
        let retry_after = self.retry_after(now);
        let at = i64::try_from(self.retry_at).ok();
        let at = at.and_then(|at| DateTime::from_timestamp(at, 0));
        let reset_at = at.unwrap_or(now).format("%Y-%m-%d %H:%M:%S").to_string();
        let mut fields = self.status.fields(self.shown(), now);
        fields.push(("retry_after", retry_after.to_string()));
        fields.push(("reset_at", reset_at));
        let reason = self.reason();
        fields.push(("reason", reason.name().to_owned()));
        fields.push(("message", reason.message(platform)));
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::super::decision::DenialReason;
    use super::*;

    const NOW: i64 = 1_763_456_400;

    fn status(remaining: u32) -> QuotaStatus {
        let window = |limit, seconds, remaining, after: u64| WindowStatus {
            limit,
            seconds,
            remaining,
            reset: NOW as u64 + after,
        };
        QuotaStatus {
            period: window(200, 3_600, remaining, 3_600),
            burst: window(50, 60, 49, 12),
            blocked_until: None,
        }
    }

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(NOW, 0).unwrap()
    }

    #[test]
    fn a_permit_survives_the_context() {
        let permit = Permit {
            use_by: now(),
            status: status(150),
        };
        let fields: std::collections::HashMap<_, _> = permit.fields(now()).into_iter().collect();
        let read = Permit::parse(|name| fields.get(name).map(String::as_str));
        assert_eq!(read, Some(permit));
        assert_eq!(fields["remaining"], "150");
        assert_eq!(
            fields["rate_limit_policy"],
            r#""period";q=200;w=3600, "burst";q=50;w=60"#
        );
        assert_eq!(
            fields["rate_limit"],
            r#""period";r=150;t=3600, "burst";r=49;t=12"#
        );
        for name in fields.keys().filter(|name| {
            name.starts_with("period") || name.starts_with("burst") || **name == "use_by"
        }) {
            for bad in [None, Some(""), Some("-1x"), Some("99999999999999999999")] {
                let read = Permit::parse(|other| match other == *name {
                    true => bad,
                    false => fields.get(other).map(String::as_str),
                });
                assert_eq!(read, None, "{name} {bad:?}");
            }
        }
    }

    #[test]
    fn what_a_call_may_do_survives_the_context() {
        let status = status(150);
        let permit = Permit {
            use_by: now(),
            status,
        };
        let unavailable = Metering::Undecided { waived_until: None };
        for (metering, use_by) in [
            (Metering::Decided(Decision::Admitted(permit)), Some(now())),
            (
                Metering::Undecided {
                    waived_until: Some(now()),
                },
                Some(now()),
            ),
            (unavailable, None),
        ] {
            let fields = metering.fields(Platform::Meta, now());
            let find = |name: &str| {
                let field = fields.iter().find(|(other, _)| *other == name);
                field.map(|(_, value)| value.as_str())
            };
            assert_eq!(Metering::parse(find), Some(metering));
            assert_eq!(metering.use_by(), use_by);
            let without = |name: &str| find(name).filter(|_| name != "use_by");
            let expected = Some(metering).filter(|metering| *metering == unavailable);
            assert_eq!(Metering::parse(without), expected);
        }
        let denial = Denial {
            retry_at: 0,
            status,
        };
        let denied = Metering::Decided(Decision::Denied(denial));
        assert_eq!(denied.use_by(), None);
        let fields = denied.fields(Platform::Meta, now());
        assert!(fields.contains(&("quota", "denied".to_owned())));
        assert_eq!(Metering::parse(|_| Some("denied")), None);
        assert_eq!(Metering::parse(|_| Some("Admitted")), None);
    }

    fn triple(fields: &[HeaderField], prefix: &str) -> [String; 3] {
        ["limit", "remaining", "reset"].map(|name| {
            let name = format!("{prefix}{name}");
            let field = fields.iter().find(|(other, _)| *other == name);
            field.unwrap().1.clone()
        })
    }

    /// Returns every window of a few values: few, so that two agree in some of them.
    fn windows() -> impl Iterator<Item = WindowStatus> + Clone {
        let numbers = (1..4).flat_map(|limit| (0..=limit).map(move |remaining| (limit, remaining)));
        numbers.flat_map(|(limit, remaining)| {
            (0..3).map(move |after| WindowStatus {
                limit,
                seconds: 60 * limit,
                remaining,
                reset: NOW as u64 + after,
            })
        })
    }

    #[test]
    fn limit_remaining_and_reset_are_always_one_windows() {
        let all = windows().flat_map(|period| windows().map(move |burst| (period, burst)));
        for (period, burst) in all {
            let blocks = [None, Some(0), Some(1), Some(2), Some(3)];
            for blocked_until in blocks.map(|after| after.map(|after| NOW as u64 + after)) {
                check_shown(&QuotaStatus {
                    period,
                    burst,
                    blocked_until,
                });
            }
        }
    }

    fn check_shown(status: &QuotaStatus) {
        let QuotaStatus {
            period,
            burst,
            blocked_until,
        } = *status;
        let status = *status;
        if blocked_until.is_none() {
            let use_by = now();
            let permit = Permit { use_by, status }.fields(now());
            assert_eq!(triple(&permit, ""), triple(&permit, "period_"));
        }

        let both = [period, burst];
        let used_up = both.iter().filter(|window| window.remaining == 0);
        let window = used_up.map(|window| window.reset).max();
        let Some(retry_at) = window.max(blocked_until) else {
            assert_eq!(status.shown(), period);
            return;
        };
        let denial = Denial { retry_at, status };
        let fields = denial.fields(Platform::Meta, now());
        let shown = triple(&fields, "");
        assert_eq!(shown[1..], ["0".to_owned(), retry_at.to_string()]);
        let of_windows = [triple(&fields, "period_"), triple(&fields, "burst_")];
        if window < blocked_until {
            assert_eq!(denial.reason(), DenialReason::Blocked);
            assert_eq!(shown[0], period.limit.to_string());
        } else if window > blocked_until {
            assert_eq!(denial.reason(), DenialReason::UsedUp);
            assert!(both.contains(&status.shown()));
            assert!(of_windows.contains(&shown), "{shown:?} of {of_windows:?}");
        }
        assert_eq!(status.remaining(), 0);
    }

    #[test]
    fn a_denial_says_its_reason_in_words_that_fit_into_json() {
        let mut status = status(0);
        let denied = |status| {
            let denial = Denial {
                retry_at: NOW as u64 + 3_600,
                status,
            };
            let fields = denial.fields(Platform::Meta, now());
            ["reason", "message", "blocked_until"].map(|name| {
                let field = fields.iter().find(|(other, _)| *other == name);
                field.map(|(_, value)| value.clone()).unwrap_or_default()
            })
        };
        let used_up = "Too many requests to meta API. Please try again later.";
        assert_eq!(denied(status), ["quota_used_up", used_up, ""]);
        status.blocked_until = Some(NOW as u64 + 7_200);
        let blocked = "Facebook asks us to wait. Please try again later.";
        let until = (NOW + 7_200).to_string();
        assert_eq!(
            denied(status),
            ["platform_asks_to_wait", blocked, until.as_str()]
        );
        for reason in [DenialReason::UsedUp, DenialReason::Blocked] {
            assert_eq!(serde_json::json!(reason), reason.name());
            for platform in Platform::ALL {
                let message = reason.message(platform);
                assert!(!message.contains(['"', '\\']), "{message}");
            }
        }
    }

    #[test]
    fn a_denial_by_the_burst_shows_the_bursts_numbers() {
        let mut status = status(150);
        status.burst.remaining = 0;
        let denial = Denial {
            retry_at: status.burst.reset,
            status,
        };
        let fields = denial.fields(Platform::Meta, now());
        assert_eq!(triple(&fields, ""), ["50", "0", "1763456412"]);
    }

    #[test]
    fn a_denial_reads_as_the_original_did() {
        let denial = Denial {
            retry_at: NOW as u64 + 3_600,
            status: status(0),
        };
        let fields: std::collections::HashMap<_, _> =
            denial.fields(Platform::Meta, now()).into_iter().collect();
        for (name, expected) in [
            ("limit", "200"),
            ("remaining", "0"),
            ("reset", "1763460000"),
            ("retry_after", "3600"),
            ("reset_at", "2025-11-18 10:00:00"),
        ] {
            assert_eq!(fields[name], expected, "{name}");
        }
    }
}
