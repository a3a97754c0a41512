//! How long a platform asks us to wait, as it writes that.

use chrono::TimeDelta;

/// A day, in seconds. A longer wait is nonsense.
const LONGEST: f64 = 86_400.0;

/// Parses `30s` or `1.5s`, as protocol buffers write durations in JSON.
pub(crate) fn parse_duration(text: &str) -> Option<TimeDelta> {
    bounded(parse_number(text.strip_suffix('s')?)?)
}

/// Parses any number of digits, perhaps with a fraction.
pub(crate) fn parse_number(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    text.parse().ok().filter(|_| plain)
}

/// Rounds a wait up, because a second early is too early, and limits it to a day.
pub(crate) fn bounded(seconds: f64) -> Option<TimeDelta> {
    #[expect(clippy::cast_possible_truncation, reason = "at most a day")]
    (seconds > 0.0).then(|| TimeDelta::seconds(seconds.min(LONGEST).ceil() as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_protocol_buffers() {
        let seconds = |text| parse_duration(text).map(|wait| wait.num_seconds());
        assert_eq!(seconds("30s"), Some(30));
        assert_eq!(seconds("1.000s"), Some(1));
        assert_eq!(seconds("1.001s"), Some(2));
        assert_eq!(seconds("0.5s"), Some(1));
        assert_eq!(seconds("9223372036854775807.5s"), Some(86_400));
        for nonsense in ["", "s", "30", "-5s", "0s", "30m", "1e9s", "é"] {
            assert_eq!(seconds(nonsense), None, "{nonsense}");
        }
    }
}
