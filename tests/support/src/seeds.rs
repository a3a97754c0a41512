//! Which seeds a test runs, and how one of them is repeated.

use std::ops::Range;

#[derive(Debug, Clone, Copy)]
pub struct Seeds {
    /// The first, from `SIMULATION_SEED`; 1 unless that is set.
    pub first: u64,
    pub runs: u64,
    runs_variable: &'static str,
    command: &'static str,
}

impl Seeds {
    /// `runs` seeds, or as many as the environment variable says; `command` runs the test.
    #[must_use]
    pub fn from_environment(runs_variable: &'static str, runs: u64, command: &'static str) -> Self {
        Self {
            first: number("SIMULATION_SEED").unwrap_or(1),
            runs: number(runs_variable).unwrap_or(runs),
            runs_variable,
            command,
        }
    }

    /// Returns the first `runs` seeds, whatever the environment says: for tests where only all
    /// of them together show something.
    #[must_use]
    pub const fn fixed(runs: u64, command: &'static str) -> Self {
        Self {
            first: 1,
            runs,
            runs_variable: "RUNS",
            command,
        }
    }

    #[must_use]
    pub const fn all(&self) -> Range<u64> {
        self.first..self.first + self.runs
    }

    /// The command that repeats one seed alone.
    #[must_use]
    pub fn replay(&self, seed: u64) -> String {
        let Self {
            runs_variable,
            command,
            ..
        } = self;
        format!("SIMULATION_SEED={seed} {runs_variable}=1 {command}")
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs a test by hand sets its seed"
)]
fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().expect("a seed, or a number of runs"))
}
