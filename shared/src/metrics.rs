//! Metrics in CloudWatch's embedded metric format
//! (docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html).

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

const NAMESPACE: &str = "TokenWarden";

/// Where metrics go. Nowhere, unless a Lambda `main` says otherwise: only there
/// does stdout belong to CloudWatch.
#[derive(Debug, Clone, Copy, Default)]
pub struct Metrics {
    to_stdout: bool,
}

impl Metrics {
    /// Metrics as lines on stdout. Not through the log's formatter, which would
    /// wrap them in a line of its own.
    #[must_use]
    pub const fn to_stdout() -> Self {
        Self { to_stdout: true }
    }

    /// Counts, by one dimension and in all.
    pub fn count(&self, at: DateTime<Utc>, by: (&str, &str), counts: &[(&str, u64)]) {
        if self.to_stdout {
            #[expect(clippy::print_stdout, reason = "the one sink of metrics")]
            {
                println!("{}", line(at, by, counts));
            }
        }
    }
}

fn line(at: DateTime<Utc>, (dimension, value): (&str, &str), counts: &[(&str, u64)]) -> Value {
    let definitions: Vec<_> = counts
        .iter()
        .map(|(name, _)| json!({"Name": name, "Unit": "Count"}))
        .collect();
    let mut line = Map::new();
    line.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": at.timestamp_millis(),
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE, "Dimensions": [[dimension], []], "Metrics": definitions,
            }],
        }),
    );
    line.insert(dimension.to_owned(), json!(value));
    line.extend(
        counts
            .iter()
            .map(|(name, count)| ((*name).to_owned(), json!(count))),
    );
    Value::Object(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_cloudwatch_reads() {
        let at = DateTime::from_timestamp(1_764_061_200, 0).unwrap();
        let line = line(at, ("platform", "meta"), &[("Denied", 1), ("Calls", 2)]);
        let expected = json!({
            "_aws": {"Timestamp": 1_764_061_200_000_i64, "CloudWatchMetrics": [{
                "Namespace": "TokenWarden", "Dimensions": [["platform"], []],
                "Metrics": [{"Name": "Denied", "Unit": "Count"}, {"Name": "Calls", "Unit": "Count"}],
            }]},
            "platform": "meta", "Denied": 1, "Calls": 2,
        });
        assert_eq!(line, expected);
    }
}
