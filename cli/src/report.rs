//! A sweep's report, for people.

use comfy_table::CellAlignment;
use shared::domain::report::SweepReport;

use crate::table;

/// Whether somebody should look: a refresh that failed, an integration that
/// expired or soon will, or work that was not done.
pub(crate) fn needs_attention(report: &SweepReport) -> bool {
    report.refresh_failed + report.critical + report.urgent + report.expired > 0
        || !report.is_complete()
        || report.failures_unlisted > 0
        || report.held_back > 0
        || !report.operator_events.is_empty()
}

/// Renders the counts as a small table, then what could not be handled.
pub(crate) fn render(report: &SweepReport) -> String {
    let failures: Vec<String> = report
        .refresh_failures
        .iter()
        .map(|(result, count)| format!("{count} {result}"))
        .collect();
    let mut table = table::plain();
    for (name, count, meaning) in [
        (
            "examined",
            report.examined,
            "integrations with something due",
        ),
        ("refreshed", report.auto_refreshed, "got a new token"),
        (
            "refresh failed",
            report.refresh_failed,
            failures.join(", ").as_str(),
        ),
        ("expired", report.expired, "of those examined"),
        ("critical", report.critical, "ends within 1 day"),
        ("urgent", report.urgent, "ends within 3 days"),
        (
            "warning",
            report.warning,
            "ends within 7 days, or --days if that is more",
        ),
        (
            "alerts",
            report.alerts_published,
            "sent to the people concerned",
        ),
        ("conflicts", report.conflicts, "someone else was quicker"),
        (
            "skipped",
            report.skipped,
            "nothing left to do, or in someone else's hands",
        ),
        (
            "held back",
            report.held_back,
            "the platform asked us to wait, or refuses our application",
        ),
    ] {
        table.add_row([name.to_owned(), count.to_string(), meaning.to_owned()]);
    }
    if let Some(counts) = table.column_mut(1) {
        counts.set_cell_alignment(CellAlignment::Right);
    }
    let mut text = table::render(table);
    for failure in &report.failures {
        text += &format!(
            "\nnot handled: {}/{}: {}",
            failure.org_id, failure.integration_id, failure.problem
        );
    }
    if report.failures_unlisted > 0 {
        text += &format!("\nnot handled: {} more", report.failures_unlisted);
    }
    for event in &report.operator_events {
        text += &format!("\nfor the operator: {event}");
    }
    if report.cut_short {
        text += "\ncut short by its deadline; the next sweep goes on from here";
    }
    text
}

#[cfg(test)]
mod tests {
    use shared::domain::check_result::CheckResult;
    use shared::domain::report::IntegrationFailure;

    use super::*;

    #[test]
    fn only_a_quiet_report_is_fine() {
        let quiet = SweepReport {
            examined: 3,
            auto_refreshed: 2,
            warning: 1,
            alerts_published: 1,
            skipped: 1,
            conflicts: 1,
            ..SweepReport::default()
        };
        assert!(!needs_attention(&quiet));
        let loud: [fn(&mut SweepReport); 8] = [
            |report| report.held_back = 1,
            |report| report.operator_events.push("a breaker opened".to_owned()),
            |report| report.refresh_failed = 1,
            |report| report.critical = 1,
            |report| report.urgent = 1,
            |report| report.expired = 1,
            |report| report.cut_short = true,
            |report| report.failures.push(failure()),
        ];
        for spoil in loud {
            let mut report = quiet.clone();
            spoil(&mut report);
            assert!(needs_attention(&report), "{report:?}");
        }
    }

    fn failure() -> IntegrationFailure {
        IntegrationFailure {
            org_id: "acme".to_owned(),
            integration_id: "7".to_owned(),
            problem: "the row is damaged".to_owned(),
        }
    }

    #[test]
    fn a_report_says_what_failed_and_why() {
        let report = SweepReport {
            examined: 12,
            refresh_failed: 3,
            refresh_failures: [
                (CheckResult::ReconnectNeeded, 2),
                (CheckResult::Transient, 1),
            ]
            .into(),
            failures: vec![failure()],
            cut_short: true,
            operator_events: vec!["google: a breaker opened".to_owned()],
            ..SweepReport::default()
        };
        let text = render(&report);
        for part in [
            "examined",
            " 12 ",
            "2 reconnect needed, 1 transient",
            "not handled: acme/7: the row is damaged",
            "cut short",
            "for the operator: google: a breaker opened",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
