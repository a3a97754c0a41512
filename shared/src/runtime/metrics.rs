//! Metrics in CloudWatch's embedded metric format: lines in the log that become
//! metrics (docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html).

use chrono::{DateTime, Utc};
use metrique_writer::format::Format;
use metrique_writer::unit::NegativeScale;
use metrique_writer::{Entry, EntryWriter, MetricFlags, Observation, Unit, Value, ValueWriter};
use metrique_writer_format_emf::Emf;

use crate::Variables;

/// The most observations that one value may hold.
const MAX_OBSERVATIONS: usize = 100;

/// Where metrics go: nowhere, unless a Lambda `main` says otherwise. Only there does stdout
/// belong to CloudWatch.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// The namespace of metrics on stdout; `None` writes none.
    namespace: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Metric<'a> {
    Count(u64),
    Milliseconds(&'a [u64]),
    Seconds(&'a [u64]),
}

impl Metrics {
    /// Returns metrics that go to stdout, in the namespace `METRICS_NAMESPACE` (default
    /// `TokenWarden`). They bypass the log's formatter, which would wrap them in a line of its
    /// own.
    #[must_use]
    pub fn to_stdout(variables: &Variables) -> Self {
        let namespace = variables.get("METRICS_NAMESPACE").unwrap_or("TokenWarden");
        Self {
            namespace: Some(namespace.to_owned()),
        }
    }

    /// Writes metrics for one dimension and in total; without a dimension, in total only.
    pub fn write(
        &self,
        at: DateTime<Utc>,
        by: Option<(&'static str, &str)>,
        metrics: &[(&'static str, Metric)],
    ) {
        let Some(namespace) = &self.namespace else {
            return;
        };
        for line in lines(namespace, at, by, metrics) {
            #[expect(clippy::print_stdout, reason = "the one sink of metrics")]
            {
                print!("{line}");
            }
        }
    }
}

/// Returns as many lines as the longest metric needs.
fn lines(
    namespace: &str,
    at: DateTime<Utc>,
    by: Option<(&'static str, &str)>,
    metrics: &[(&'static str, Metric)],
) -> Vec<String> {
    let dimensions = by.map(|(name, _)| vec![name.to_owned()]);
    let dimensions = dimensions.into_iter().chain([vec![]]).collect();
    let mut emf = Emf::all_validations(namespace.to_owned(), dimensions);
    let parts = metrics.iter().map(|(_, metric)| metric.parts()).max();
    let mut lines = Vec::new();
    for part in 0..parts.unwrap_or_default() {
        let mut line = Vec::new();
        let entry = Line {
            at,
            by,
            metrics,
            part,
        };
        match emf.format(&entry, &mut line) {
            Ok(()) => lines.push(String::from_utf8_lossy(&line).into_owned()),
            Err(error) => tracing::error!(%error, "a metric could not be written"),
        }
    }
    lines
}

struct Line<'a> {
    at: DateTime<Utc>,
    by: Option<(&'static str, &'a str)>,
    metrics: &'a [(&'static str, Metric<'a>)],
    part: usize,
}

impl Entry for Line<'_> {
    fn write<'a>(&'a self, writer: &mut impl EntryWriter<'a>) {
        writer.timestamp(self.at.into());
        if let Some((dimension, value)) = self.by {
            writer.value(dimension, value);
        }
        for (name, metric) in self.metrics {
            let part = Part(*metric, self.part);
            if !part.is_empty() {
                writer.value(*name, &part);
            }
        }
    }
}

impl<'a> Metric<'a> {
    fn parts(self) -> usize {
        match self {
            Self::Count(_) => 1,
            Self::Milliseconds(of) | Self::Seconds(of) => of.len().div_ceil(MAX_OBSERVATIONS),
        }
    }

    fn observations(self) -> &'a [u64] {
        match self {
            Self::Count(_) => &[],
            Self::Milliseconds(of) | Self::Seconds(of) => of,
        }
    }
}

/// As much of a metric as one line holds.
struct Part<'a>(Metric<'a>, usize);

impl Part<'_> {
    fn is_empty(&self) -> bool {
        self.1 >= self.0.parts()
    }
}

impl Value for Part<'_> {
    fn write(&self, writer: impl ValueWriter) {
        let Self(metric, part) = self;
        let (unit, count) = match metric {
            Metric::Count(count) => (Unit::Count, Some(count)),
            Metric::Milliseconds(_) => (Unit::Second(NegativeScale::Milli), None),
            Metric::Seconds(_) => (Unit::Second(NegativeScale::One), None),
        };
        let observations = metric.observations().chunks(MAX_OBSERVATIONS).nth(*part);
        let observations = count.into_iter().chain(observations.unwrap_or_default());
        let observations = observations.map(|observed| Observation::Unsigned(*observed));
        writer.metric(observations, unit, [], MetricFlags::empty());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines_of(
        by: Option<(&'static str, &str)>,
        metrics: &[(&'static str, Metric)],
    ) -> Vec<serde_json::Value> {
        let at = DateTime::from_timestamp(1_764_061_200, 0).unwrap();
        let lines = lines("TokenWarden/prod", at, by, metrics);
        let ends = lines
            .iter()
            .all(|line| line.ends_with('\n') && line.matches('\n').count() == 1);
        assert!(ends, "{lines:?}");
        lines
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn a_line_is_what_cloudwatch_reads() {
        let metrics = [
            ("Denied", Metric::Count(1)),
            ("Took", Metric::Milliseconds(&[7, 9])),
            ("Left", Metric::Seconds(&[])),
        ];
        let expected = json!({
            "_aws": {"Timestamp": 1_764_061_200_000_i64, "CloudWatchMetrics": [{
                "Namespace": "TokenWarden/prod", "Dimensions": [["platform"], []],
                "Metrics": [{"Name": "Denied", "Unit": "Count"}, {"Name": "Took", "Unit": "Milliseconds"}],
            }]},
            "platform": "meta", "Denied": 1, "Took": {"Values": [7, 9], "Counts": [1, 1]},
        });
        assert_eq!(lines_of(Some(("platform", "meta")), &metrics), [expected]);
    }

    #[test]
    fn without_a_dimension_a_metric_counts_once() {
        let line = &lines_of(None, &[("SweepsFinished", Metric::Count(1))])[0];
        assert_eq!(
            line["_aws"]["CloudWatchMetrics"][0]["Dimensions"],
            json!([[]])
        );
    }

    #[test]
    fn many_observations_take_several_lines_and_a_count_only_one() {
        let many: Vec<u64> = (0..250).collect();
        let metrics = [
            ("Refreshed", Metric::Count(250)),
            ("Took", Metric::Milliseconds(&many)),
        ];
        let lines = lines_of(Some(("platform", "meta")), &metrics);
        let values = |line: &serde_json::Value| line["Took"]["Values"].as_array().unwrap().len();
        assert_eq!(lines.iter().map(values).collect::<Vec<_>>(), [100, 100, 50]);
        let counts: Vec<_> = lines
            .iter()
            .filter_map(|line| line.get("Refreshed"))
            .collect();
        assert_eq!(counts, [250]);
    }
}
