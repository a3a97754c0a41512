//! What operators are given fits together: alarms, runbook, metrics.

use std::collections::BTreeSet;

use local::template::EMBEDDED;
use shared::domain::check_result::CheckResult;

const RUNBOOK: &str = include_str!("../../docs/runbook.md");
/// Everything that writes metrics.
const WRITERS: [&str; 7] = [
    include_str!("../../functions/check-tokens/src/metrics.rs"),
    include_str!("../../functions/check-tokens/src/report.rs"),
    include_str!("../../functions/platform-calls/src/proxy/mod.rs"),
    include_str!("../../functions/rate-limit-authorizer/src/lib.rs"),
    include_str!("../../functions/rate-limit-authorizer/src/meter.rs"),
    include_str!("../../shared/src/platform_calls/access_token.rs"),
    include_str!("../../shared/src/platform_calls/feedback.rs"),
];

/// Returns every text that stands between `before` and `after`.
fn between<'a>(text: &'a str, before: &str, after: char) -> BTreeSet<&'a str> {
    let found = text.split(before).skip(1);
    found.filter_map(|rest| rest.split(after).next()).collect()
}

#[test]
fn every_alarm_has_its_entry_in_the_runbook_and_the_other_way_round() {
    let alarms = between(EMBEDDED, "AlarmName: !Sub \"${AWS::StackName}-", '"');
    assert_eq!(alarms.len(), 11);
    assert_eq!(alarms, between(RUNBOOK, "\n## ", '\n'));
    for entry in RUNBOOK.split("\n## ").skip(1) {
        for part in ["**Means.**", "**Look at.**", "**Do.**"] {
            assert!(entry.contains(part), "{part}: {entry}");
        }
    }
}

#[test]
fn every_saved_query_that_the_runbook_names_is_there() {
    let saved = between(EMBEDDED, "Name: !Sub \"TokenWarden/${AWS::StackName}/", '"');
    let named = RUNBOOK.replace('\n', " ");
    let named = between(&named, "query `", '`');
    assert!(
        named.len() > 5 && named.is_subset(&saved),
        "{named:?} {saved:?}"
    );
}

#[test]
fn the_query_of_failing_integrations_leaves_out_results() {
    let (_, list) = EMBEDDED.split_once("result not in [").unwrap();
    let (list, _) = list.split_once(']').unwrap();
    let left_out: BTreeSet<CheckResult> = list
        .split(", ")
        .map(|name| serde_json::from_str(name).unwrap_or_else(|e| panic!("{name}: {e}")))
        .collect();
    let no_failures = [
        CheckResult::Renewed,
        CheckResult::StoredFromFallback,
        CheckResult::Unchanged,
        CheckResult::Alive,
        // Another process did it, or the next sweep does.
        CheckResult::Superseded,
        CheckResult::OutOfTime,
    ];
    assert_eq!(left_out, BTreeSet::from(no_failures));
}

#[test]
fn every_metric_that_is_watched_is_written() {
    let own = "TokenWarden/${AWS::StackName}";
    let mut watched = between(EMBEDDED, &format!("[\"{own}\",\""), '"');
    watched.extend(between(EMBEDDED, "MetricName=\\\"", '\\'));
    watched.extend(between(
        EMBEDDED,
        &format!("Namespace: !Sub \"{own}\", MetricName: "),
        '}',
    ));
    watched.extend(between(
        EMBEDDED,
        &format!("Namespace: !Sub \"{own}\"\n      MetricName: "),
        '\n',
    ));
    assert!(watched.len() > 15, "{watched:?}");
    for metric in watched {
        let written = format!("\"{metric}\"");
        let is_written = WRITERS.iter().any(|writer| writer.contains(&written));
        assert!(is_written, "nothing writes {metric}");
    }
}
