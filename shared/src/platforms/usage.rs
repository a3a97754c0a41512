//! How platforms say in headers how much of their own quotas is used.

use std::cmp::Reverse;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::wait::{bounded, parse_number};
use crate::domain::call_reading::{Usage, UsageScope};

/// Returns the value of a header by its name in lower case.
pub(crate) type Headers<'a> = &'a dyn Fn(&str) -> Option<&'a str>;

/// From here on no more calls are made (airbytehq/airbyte, source-facebook-marketing).
const FULL_PERCENT: f64 = 95.0;

/// How many business use cases are read of an answer, the fullest: the platform counts each for
/// itself, and an answer names those that the call had to do with.
const MAX_CASES: usize = 16;
/// The longest name of a business use case, in bytes: ids have up to 20 digits, kinds less than
/// 40 letters.
const MAX_CASE_NAME: usize = 128;

/// The parts of a use, each in percent.
const PARTS: [&str; 3] = ["call_count", "total_time", "total_cputime"];

/// Reads no usage: the platform documents no such header.
pub(super) const fn none(_: Headers<'_>, _: DateTime<Utc>) -> Vec<Usage> {
    Vec::new()
}

/// Reads Meta's headers (graph-api/overview/rate-limiting). The business use cases stand in a
/// map of ids to lists, with minutes; an ad account's reset is in seconds.
pub(super) fn graph(headers: Headers<'_>, now: DateTime<Utc>) -> Vec<Usage> {
    let json = |name| serde_json::from_str::<Value>(headers(name)?).ok();
    let mut all = Vec::new();
    for (header, scope) in [
        ("x-app-usage", UsageScope::Application),
        // Of a page's token (amachang/facebook-node-sdk#30).
        ("x-page-usage", UsageScope::Integration),
    ] {
        let fields = json(header);
        all.extend(fields.and_then(|fields| percent(header, "", scope, &fields, &PARTS)));
    }
    if let Some(Value::Object(cases)) = json("x-business-use-case-usage") {
        let read = cases.iter().flat_map(|(id, list)| business(id, list, now));
        let mut read: Vec<_> = read.collect();
        read.sort_by_key(|usage| Reverse((usage.is_used_up, usage.resets_at, usage.percent)));
        read.truncate(MAX_CASES);
        all.extend(read);
    }
    if let Some(account) = json("x-ad-account-usage") {
        let usage = percent(
            "x-ad-account-usage",
            "",
            UsageScope::Integration,
            &account,
            &["acc_id_util_pct"],
        );
        all.extend(usage.map(|usage| Usage {
            resets_at: after(account["reset_time_duration"].as_f64(), now),
            ..usage
        }));
    }
    if let Some(insights) = json("x-fb-ads-insights-throttle") {
        for (name, scope) in [
            ("app_id_util_pct", UsageScope::Application),
            ("acc_id_util_pct", UsageScope::Integration),
        ] {
            let header = "x-fb-ads-insights-throttle";
            all.extend(percent(header, name, scope, &insights, &[name]));
        }
    }
    all
}

fn business(id: &str, list: &Value, now: DateTime<Utc>) -> Vec<Usage> {
    let entries = list.as_array().map_or(&[][..], Vec::as_slice);
    let read = entries.iter().filter_map(|entry| {
        let kind = entry["type"].as_str().unwrap_or_default();
        let name = Some(format!("{id}/{kind}")).filter(|name| name.len() <= MAX_CASE_NAME)?;
        let header = "x-business-use-case-usage";
        let usage = percent(header, &name, UsageScope::Integration, entry, &PARTS)?;
        let minutes = entry["estimated_time_to_regain_access"].as_f64();
        let resets_at = after(minutes.map(|minutes| minutes * 60.0), now);
        Some(Usage {
            // It names a time only while it refuses.
            is_used_up: usage.is_used_up || resets_at.is_some(),
            resets_at,
            ..usage
        })
    });
    read.collect()
}

/// Reads X's headers (docs.x.com, rate-limits): of one endpoint and the token's user. Its reset
/// is in epoch seconds.
pub(super) fn x(headers: Headers<'_>, now: DateTime<Utc>) -> Vec<Usage> {
    [
        (
            "x-rate-limit-limit",
            "x-rate-limit-remaining",
            "x-rate-limit-reset",
            UsageScope::Integration,
        ),
        (
            "x-user-limit-24hour-limit",
            "x-user-limit-24hour-remaining",
            "x-user-limit-24hour-reset",
            UsageScope::Integration,
        ),
        (
            "x-app-limit-24hour-limit",
            "x-app-limit-24hour-remaining",
            "x-app-limit-24hour-reset",
            UsageScope::Application,
        ),
    ]
    .into_iter()
    .filter_map(|(limit, remaining, reset, scope)| {
        let number = |name| parse_number(headers(name)?.trim());
        let left = number(remaining)?;
        let used = match number(limit) {
            _ if left <= 0.0 => 100.0,
            Some(limit) if limit > 0.0 => (limit - left).max(0.0) * 100.0 / limit,
            // Nobody can say how much of what that is.
            _ => return None,
        };
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 seconds")]
        let left_until = number(reset).map(|at| at - now.timestamp() as f64);
        let resets_at = after(left_until, now);
        Some(Usage {
            header: remaining.to_owned(),
            entry: String::new(),
            percent: whole(used),
            scope,
            // A reset that is past has given all back.
            is_used_up: left <= 0.0 && (resets_at.is_some() || left_until.is_none()),
            resets_at,
        })
    })
    .collect()
}

/// Reads the largest of some percentages.
fn percent(
    header: &str,
    entry: &str,
    scope: UsageScope,
    fields: &Value,
    names: &[&str],
) -> Option<Usage> {
    let percents = names.iter().filter_map(|name| fields[name].as_f64());
    let most = percents.reduce(f64::max)?;
    Some(Usage {
        header: header.to_owned(),
        entry: entry.to_owned(),
        percent: whole(most),
        scope,
        is_used_up: most >= FULL_PERCENT,
        resets_at: None,
    })
}

fn whole(percent: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped"
    )]
    let whole = percent.clamp(0.0, 100_000.0).floor() as u32;
    whole
}

fn after(seconds: Option<f64>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let wait: TimeDelta = bounded(seconds?)?;
    Some(now + wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Reader = fn(Headers<'_>, DateTime<Utc>) -> Vec<Usage>;

    /// Reads headers, and writes each usage in a line.
    fn lines(read: Reader, headers: &[(&str, &str)]) -> Vec<String> {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let find = |name: &str| headers.iter().find(|(of, _)| *of == name).map(|(_, v)| *v);
        let line = |usage: Usage| {
            let reset = usage.resets_at.map(|at| (at - now).num_seconds());
            let full = if usage.is_used_up { " full" } else { "" };
            format!(
                "{} {} {}%{full} {:?} {reset:?}",
                usage.header, usage.entry, usage.percent, usage.scope
            )
        };
        read(&find, now).into_iter().map(line).collect()
    }

    #[test]
    fn metas_headers_are_read_each_in_its_own_unit() {
        let app = r#"{"call_count":28,"total_time":25,"total_cputime":96}"#;
        let cases = r#"{"17":[{"type":"ads_management","call_count":100,"total_cputime":25,"total_time":25,"estimated_time_to_regain_access":19},{"type":"pages","call_count":1,"total_cputime":1,"total_time":1,"estimated_time_to_regain_access":0}],"18":[]}"#;
        let account = r#"{"acc_id_util_pct":95.01,"reset_time_duration":100}"#;
        let insights = r#"{"app_id_util_pct":94.99,"acc_id_util_pct":0}"#;
        let all = [
            ("x-app-usage", app),
            (
                "x-page-usage",
                r#"{"call_count":855,"total_cputime":202,"total_time":911}"#,
            ),
            ("x-business-use-case-usage", cases),
            ("x-ad-account-usage", account),
            ("x-fb-ads-insights-throttle", insights),
        ];
        assert_eq!(
            lines(graph, &all),
            [
                "x-app-usage  96% full Application None",
                "x-page-usage  911% full Integration None",
                "x-business-use-case-usage 17/ads_management 100% full Integration Some(1140)",
                "x-business-use-case-usage 17/pages 1% Integration None",
                "x-ad-account-usage  95% full Integration Some(100)",
                "x-fb-ads-insights-throttle app_id_util_pct 94% Application None",
                "x-fb-ads-insights-throttle acc_id_util_pct 0% Integration None",
            ]
        );
    }

    #[test]
    fn only_the_fullest_business_use_cases_are_read() {
        let case = |count: usize, kind: &str| {
            format!(
                r#"[{{"type":"{kind}","call_count":{count},"estimated_time_to_regain_access":0}}]"#
            )
        };
        let cases: Vec<_> = (0..100)
            .map(|count| format!(r#""{count}":{}"#, case(count, "pages")))
            .collect();
        let long = "x".repeat(MAX_CASE_NAME);
        let cases = format!(r#"{{{},"7":{}}}"#, cases.join(","), case(100, &long));
        let header = "x-business-use-case-usage";
        let read = lines(graph, &[(header, &cases)]);
        assert_eq!(read.len(), MAX_CASES);
        assert_eq!(
            read[0],
            format!("{header} 99/pages 99% full Integration None")
        );
        assert_eq!(read[15], format!("{header} 84/pages 84% Integration None"));
    }

    #[test]
    fn xs_headers_close_at_nothing_left() {
        let headers = |left| {
            [
                ("x-rate-limit-limit", "75"),
                ("x-rate-limit-remaining", left),
                ("x-rate-limit-reset", "1800000900"),
            ]
        };
        assert_eq!(
            lines(x, &headers("1")),
            ["x-rate-limit-remaining  98% Integration Some(900)"]
        );
        assert_eq!(
            lines(x, &headers("0")),
            ["x-rate-limit-remaining  100% full Integration Some(900)"]
        );
        let remaining = "x-rate-limit-remaining";
        let alone = [(remaining, "0")];
        let full = format!("{remaining}  100% full Integration");
        assert_eq!(lines(x, &alone), [format!("{full} None")]);
        let nonsense = [(remaining, "0"), ("x-rate-limit-reset", "99999999999")];
        assert_eq!(lines(x, &nonsense), [format!("{full} Some(86400)")]);
        let past = [
            ("x-app-limit-24hour-limit", "10"),
            ("x-app-limit-24hour-remaining", "0"),
            ("x-app-limit-24hour-reset", "1799999999"),
        ];
        assert_eq!(
            lines(x, &past),
            ["x-app-limit-24hour-remaining  100% Application None"]
        );
    }

    #[test]
    fn nonsense_is_no_usage() {
        for text in [
            "",
            "{}",
            "[]",
            "28",
            "{\"call_count\":\"x\"}",
            "{\"17\":{}}",
            "{\"17\":[1]}",
        ] {
            for header in [
                "x-app-usage",
                "x-business-use-case-usage",
                "x-ad-account-usage",
                "x-fb-ads-insights-throttle",
            ] {
                assert_eq!(lines(graph, &[(header, text)]), [""; 0], "{header} {text}");
            }
        }
        let remaining = ("x-rate-limit-remaining", "0");
        let some = ("x-rate-limit-remaining", "7");
        for rest in [
            remaining,
            ("x-rate-limit-limit", "-1"),
            ("x-rate-limit-limit", "0"),
        ] {
            assert_eq!(lines(x, &[some, rest]), [""; 0]);
        }
    }
}
