//! `warden completions`.

use clap::{Args, Command};
use clap_complete::{Shell, generate};
use serde_json::json;

use crate::output::{Outcome, Output};

/// Print what makes a shell complete `warden` commands
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// Which shell
    shell: Shell,
}

impl Completions {
    /// `command` is all of `warden`.
    pub(crate) fn run(self, mut command: Command, output: &Output) -> anyhow::Result<Outcome> {
        let mut script = Vec::new();
        generate(self.shell, &mut command, "warden", &mut script);
        let script = String::from_utf8(script)?;
        let object = json!({"shell": self.shell.to_string(), "script": script});
        output.answer(&object, || script)?;
        Ok(Outcome::Fine)
    }
}
