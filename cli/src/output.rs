//! Prints the answer of a command on standard output, and everything else on standard error.

use std::fmt::Display;
use std::io::{ErrorKind, Write};

use anyhow::Context;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::json;

/// How a command that did its work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Exit code 0.
    Fine,
    /// Exit code 1.
    NeedsAttention,
}

/// Arguments that parse, and make no sense: exit code 2.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) &'static str);

impl Outcome {
    pub(crate) const fn fine_if(fine: bool) -> Self {
        if fine {
            Self::Fine
        } else {
            Self::NeedsAttention
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether one object is wanted, and nothing else.
    pub(crate) const fn is_json(self) -> bool {
        self.json
    }

    /// Prints the answer: with `--json` as `object` on one line, otherwise as `text`.
    pub(crate) fn answer(
        self,
        object: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> anyhow::Result<()> {
        let answer = if self.json {
            serde_json::to_string(object)?
        } else {
            text()
        };
        let mut stdout = std::io::stdout().lock();
        let written = writeln!(stdout, "{}", answer.trim_end()).and_then(|()| stdout.flush());
        match written {
            // Who closes the pipe, as `head` does, has read enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => written.context("the answer could not be written"),
        }
    }

    /// Prints a line on standard error.
    pub(crate) fn note(self, text: impl Display) {
        // A failure here has no other place to be reported.
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }

    /// Prints why there is no answer.
    pub(crate) fn error(self, error: &anyhow::Error) {
        let text = explain(error);
        self.note(format_args!("error: {text}"));
        if self.json {
            let _ = self.answer(&json!({ "error": text }), String::new);
        }
    }
}

/// Formats an error and its causes. A cause that an error repeats in its own text appears once.
fn explain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// An instant to the second, as RFC 3339 writes it.
pub(crate) fn exact(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_appears_once() {
        let error = anyhow::anyhow!("port 3000 is taken").context("cannot serve");
        assert_eq!(explain(&error), "cannot serve: port 3000 is taken");
        let error = anyhow::anyhow!("no answer").context("sending failed: no answer");
        assert_eq!(explain(&error), "sending failed: no answer");
    }
}
