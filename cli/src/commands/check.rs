//! `warden check`.

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use check_tokens::Request;
use clap::Args;
use serde_json::{Map, Value, json};
use shared::Clock;
use shared::aws::AwsError;
use shared::lapse::{InvalidWindow, Window};

use crate::output::{Outcome, Output};
use crate::target::{Place, Target};
use crate::{progress, report};

/// Refresh what is due, and tell people what only they can mend
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Look this many days ahead and warn that early, 1 to 365; up to 7 changes nothing
    #[arg(long, value_name = "N", value_parser = days, allow_negative_numbers = true)]
    days: Option<u32>,
    /// Only alert, refresh nothing
    #[arg(long)]
    no_auto_refresh: bool,
    /// Run the check in this process and print its report, not in the background
    #[arg(long)]
    sync: bool,
    #[command(flatten)]
    place: Place,
}

fn days(text: &str) -> Result<u32, InvalidWindow> {
    text.parse::<Window>()?; // which knows the limits
    text.parse().map_err(|_| InvalidWindow)
}

impl Check {
    pub(crate) async fn run(self, output: &Output) -> anyhow::Result<Outcome> {
        if self.sync {
            self.here(output).await
        } else {
            self.in_the_background(output).await
        }
    }

    /// What the function is invoked with.
    fn payload(&self) -> Value {
        let mut payload = Map::new();
        if let Some(days) = self.days {
            payload.insert("days".to_owned(), json!(days));
        }
        if self.no_auto_refresh {
            payload.insert("auto_refresh".to_owned(), json!(false));
        }
        Value::Object(payload)
    }

    async fn here(self, output: &Output) -> anyhow::Result<Outcome> {
        let request = Request::parse(&self.payload())?;
        let target = Target::of(&self.place, &Target::CHECK_TOKENS_NEEDS).await?;
        let check_tokens = target.check_tokens(Clock::system()).await?;
        let spinner = progress::spinner();
        let swept = check_tokens
            .sweep(request, None, |so_far| {
                spinner.set_message(format!(
                    "{} examined, {} refreshed, {} failed, {} alerts",
                    so_far.examined,
                    so_far.auto_refreshed,
                    so_far.refresh_failed,
                    so_far.alerts_published
                ));
            })
            .await;
        spinner.finish_and_clear();
        let swept = swept?;
        output.answer(&swept, || report::render(&swept))?;
        Ok(Outcome::fine_if(!report::needs_attention(&swept)))
    }

    async fn in_the_background(self, output: &Output) -> anyhow::Result<Outcome> {
        let target = Target::of(&self.place, &["CHECK_TOKENS_FUNCTION"]).await?;
        let function = target.check_tokens_function()?;
        aws_sdk_lambda::Client::new(target.sdk())
            .invoke()
            .function_name(&function)
            .invocation_type(InvocationType::Event)
            .payload(Blob::new(self.payload().to_string()))
            .send()
            .await
            .map_err(|e| AwsError::new("lambda:Invoke", e))?;
        let object = json!({"accepted": true, "function": function});
        output.answer(&object, || {
            format!("accepted: {function} runs the check now; --sync waits for the report")
        })?;
        Ok(Outcome::Fine)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        check: Check,
    }

    #[test]
    fn the_function_is_asked_what_the_command_line_says() {
        for (line, payload) in [
            ("check", json!({})),
            ("check --days 30", json!({"days": 30})),
            ("check --no-auto-refresh", json!({"auto_refresh": false})),
        ] {
            let line = Line::parse_from(line.split(' '));
            assert_eq!(line.check.payload(), payload);
            assert!(Request::parse(&line.check.payload()).is_ok());
        }
    }
}
