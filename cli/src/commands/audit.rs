//! `warden audit`.

use clap::Args;
use shared::Clock;
use shared::IntegrationKey;

use crate::history::History;
use crate::integration::integration;
use crate::output::{Outcome, Output};
use crate::stack::StackArguments;
use crate::target::Target;

/// The largest value of `--limit`.
const MAX_LIMIT: usize = 1_000;

/// Print what happened to an integration, newest first
#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// The organisation and its integration
    #[arg(value_name = "ORG/INTEGRATION", value_parser = integration)]
    integration: IntegrationKey,
    /// Print at most so many entries, 1 to 1000
    #[arg(long, value_name = "N", default_value = "20", value_parser = limit, allow_negative_numbers = true)]
    limit: usize,
    #[command(flatten)]
    stack: StackArguments,
}

fn limit(text: &str) -> Result<usize, String> {
    let whole = text.bytes().all(|b| b.is_ascii_digit()).then_some(text);
    whole
        .and_then(|text| text.parse().ok())
        .filter(|limit| (1..=MAX_LIMIT).contains(limit))
        .ok_or_else(|| format!("it must be a whole number from 1 to {MAX_LIMIT}"))
}

impl Audit {
    pub(crate) async fn run(self, output: &Output) -> anyhow::Result<Outcome> {
        let target = Target::from_arguments(&self.stack, &Target::AUDIT_NEEDS).await?;
        let audit = target.audit(Clock::system())?;
        let entries = audit.history(&self.integration, self.limit).await?;
        let may_go_on = entries.len() == self.limit;
        let history = History::new(&self.integration, entries);
        output.answer(&history, || history.render())?;
        if may_go_on && self.limit < MAX_LIMIT {
            let limit = self.limit;
            output.note(format_args!(
                "the newest {limit}; a larger --limit may show more"
            ));
        }
        Ok(Outcome::Fine)
    }
}
