//! How many calls a platform takes: the defaults, and a deployment's own.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde_json::Value;

use super::window::{BURST_SECONDS, InvalidWindow, Window};
use crate::Platform;

/// The quota of one platform: at most `period.limit` calls in any
/// `period.seconds`, and at most `burst.limit` in any [`BURST_SECONDS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    pub period: Window,
    pub burst: Window,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPolicy {
    /// The limit of the long window is invalid.
    #[error("limit: {0}")]
    Limit(InvalidWindow),
    /// The length of the long window is invalid.
    #[error("period: {0}")]
    Period(InvalidWindow),
    /// The limit of the short window is invalid.
    #[error("burst: {0}")]
    Burst(InvalidWindow),
    #[error("burst must not be above limit")]
    BurstAboveLimit,
    #[error("period must be at least {BURST_SECONDS} seconds, the length of the burst window")]
    PeriodBelowBurst,
}

impl Policy {
    /// Returns a policy of at most `limit` calls in any `period` seconds, and `burst` in any
    /// [`BURST_SECONDS`].
    ///
    /// # Errors
    /// [`InvalidPolicy`] names the field.
    pub fn new(limit: u32, period: u32, burst: u32) -> Result<Self, InvalidPolicy> {
        if period < BURST_SECONDS {
            return Err(InvalidPolicy::PeriodBelowBurst);
        }
        let policy = Self {
            period: Window::period(limit, period).map_err(|why| match why {
                InvalidWindow::TooLong(_) => InvalidPolicy::Period(why),
                InvalidWindow::Zero | InvalidWindow::TooLarge(_) => InvalidPolicy::Limit(why),
            })?,
            burst: Window::burst(burst, BURST_SECONDS).map_err(InvalidPolicy::Burst)?,
        };
        if burst > limit {
            return Err(InvalidPolicy::BurstAboveLimit);
        }
        Ok(policy)
    }

    /// Returns the period, then the burst.
    #[must_use]
    pub const fn windows(&self) -> [Window; 2] {
        [self.period, self.burst]
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policies(BTreeMap<Platform, Policy>);

/// Says why a text describes no policies, and names the platform and the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidPolicies(String);

/// The fields of a policy in JSON.
const FIELDS: [&str; 3] = ["limit", "period", "burst"];
const EXAMPLE: &str = r#"{"limit":200,"period":3600,"burst":50}"#;

/// Parses the policy of `name`; an error names the field.
fn parse_policy(name: &str, value: &Value) -> Result<Policy, String> {
    let fields = value.as_object();
    let fields = fields.ok_or_else(|| format!("{name} must be an object such as {EXAMPLE}"))?;
    if let Some(other) = fields
        .keys()
        .find(|field| !FIELDS.contains(&field.as_str()))
    {
        let known = FIELDS.join(", ");
        return Err(format!("{name} has no field {other:?}; there are {known}"));
    }
    let number = |field: &str| {
        let value = fields.get(field);
        let value = value.ok_or_else(|| format!("{name}.{field} is missing"))?;
        // One that is too large for us is refused below, as too large.
        let number = value
            .as_u64()
            .map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        number.ok_or_else(|| format!("{name}.{field} must be a whole number, not {value}"))
    };
    let [limit, period, burst] = FIELDS.map(number);
    Policy::new(limit?, period?, burst?).map_err(|why| format!("{name}.{why}"))
}

impl Default for Policies {
    fn default() -> Self {
        Self(
            Platform::ALL
                .into_iter()
                .filter_map(|platform| {
                    let quota = platform.default_quota();
                    let policy = Policy::new(quota.limit, quota.period, quota.burst);
                    Some((platform, policy.ok()?))
                })
                .collect(),
        )
    }
}

impl FromStr for Policies {
    type Err = InvalidPolicies;

    /// Returns the defaults, replaced by those in `json`, with periods in seconds:
    /// `{"meta":{"limit":200,"period":3600,"burst":50}}`.
    fn from_str(json: &str) -> Result<Self, InvalidPolicies> {
        let mut policies = Self::default();
        let all: BTreeMap<String, Value> = serde_json::from_str(json).map_err(|error| {
            let form = format!(r#"must be JSON such as {{"meta":{EXAMPLE}}}"#);
            InvalidPolicies(format!("{form}: {error}"))
        })?;
        for (name, value) in all {
            let platform = name.parse::<Platform>();
            let platform = platform.map_err(|error| InvalidPolicies(error.to_string()))?;
            let policy = parse_policy(&name, &value).map_err(InvalidPolicies)?;
            policies.0.insert(platform, policy);
        }
        Ok(policies)
    }
}

impl Policies {
    #[must_use]
    pub fn for_platform(&self, platform: Platform) -> Policy {
        self.0[&platform]
    }

    pub fn iter(&self) -> impl Iterator<Item = (Platform, Policy)> {
        self.0.iter().map(|(platform, policy)| (*platform, *policy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_platform_has_a_default() {
        assert_eq!(Policies::default().iter().count(), Platform::ALL.len());
        let meta = Policies::default().for_platform(Platform::Meta);
        assert_eq!(
            (meta.period.limit, meta.period.seconds, meta.burst.limit),
            (200, 3_600, 50)
        );
        assert_eq!((meta.period.epoch, meta.burst.epoch), (120, 3));
        assert_eq!("{}".parse(), Ok(Policies::default()));
    }

    #[test]
    fn a_deployment_replaces_them_and_nonsense_is_named() {
        let json = r#"{"facebook":{"limit":60,"period":60,"burst":20}}"#;
        let policies: Policies = json.parse().unwrap();
        assert_eq!(
            policies.for_platform(Platform::Meta),
            Policy::new(60, 60, 20).unwrap()
        );
        assert_eq!(
            policies.for_platform(Platform::Google),
            Policies::default().for_platform(Platform::Google)
        );
        for (json, named) in [
            ("[]", r#"must be JSON such as {"meta":{"limit":200,"#),
            ("{", r#"must be JSON such as {"meta":{"limit":200,"#),
            (
                r#"{"myspace":{"limit":1,"period":60,"burst":1}}"#,
                "unknown platform \"myspace\"",
            ),
            (
                r#"{"meta":{"limit":0,"period":60,"burst":1}}"#,
                "meta.limit: must be at least 1",
            ),
            (
                r#"{"meta":{"limit":5,"period":60,"burst":0}}"#,
                "meta.burst: must be at least 1",
            ),
            (
                r#"{"meta":{"limit":5,"period":59,"burst":1}}"#,
                "meta.period must be at least 60",
            ),
            (
                r#"{"meta":{"limit":5,"period":60,"burst":6}}"#,
                "meta.burst must not be above limit",
            ),
            (
                r#"{"meta":{"limit":-1,"period":60,"burst":1}}"#,
                "meta.limit must be a whole number, not -1",
            ),
            (
                r#"{"meta":{"limit":1.5,"period":60,"burst":1}}"#,
                "meta.limit must be a whole number, not 1.5",
            ),
            (
                r#"{"meta":{"limit":5,"period":60}}"#,
                "meta.burst is missing",
            ),
            (
                r#"{"meta":{"limit":5,"period":60,"burst":1,"x":1}}"#,
                "meta has no field \"x\"; there are limit, period, burst",
            ),
            (
                r#"{"meta":{"limit":5,"period":99999999,"burst":1}}"#,
                "must be at most",
            ),
        ] {
            let error = json.parse::<Policies>().unwrap_err().to_string();
            assert!(error.contains(named), "{json}: {error}");
        }
    }
}
