//! `warden check`.

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use check_tokens::Request;
use clap::Args;
use serde_json::{Map, Value, json};
use shared::Clock;
use shared::IntegrationKey;
use shared::aws::AwsError;
use shared::aws::check_tokens::CheckTokensClient;
use shared::domain::report::Checked;
use shared::domain::severity::{InvalidWarningWindow, WarningWindow};

use crate::integration::integration;
use crate::output::{Outcome, Output, exact};
use crate::stack::StackArguments;
use crate::target::Target;
use crate::{progress, report};

/// Refresh what is due, and tell people what only they can mend
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Look this many days ahead and warn that early, 1 to 365; up to 7 changes nothing
    #[arg(long, value_name = "N", value_parser = parse_days, allow_negative_numbers = true)]
    days: Option<u32>,
    /// Only alert, refresh nothing
    #[arg(long)]
    no_auto_refresh: bool,
    /// Only this integration, now: wait for the function, and print the result; exit
    /// code 0 if it was refreshed, or its token is alive
    #[arg(
        long,
        value_name = "ORG/INTEGRATION",
        value_parser = integration,
        conflicts_with_all = ["days", "no_auto_refresh", "sync"]
    )]
    integration: Option<IntegrationKey>,
    /// Run the check in this process and print its report, not in the background
    #[arg(long)]
    sync: bool,
    #[command(flatten)]
    stack: StackArguments,
}

fn parse_days(text: &str) -> Result<u32, InvalidWarningWindow> {
    text.parse::<WarningWindow>()?; // which knows the limits
    text.parse().map_err(|_| InvalidWarningWindow)
}

impl Check {
    pub(crate) async fn run(self, output: &Output) -> anyhow::Result<Outcome> {
        if let Some(key) = &self.integration {
            self.check_one(key, output).await
        } else if self.sync {
            self.sweep_here(output).await
        } else {
            self.sweep_in_background(output).await
        }
    }

    /// The payload with which the function is invoked to sweep.
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

    async fn check_one(&self, key: &IntegrationKey, output: &Output) -> anyhow::Result<Outcome> {
        let target = Target::from_arguments(&self.stack, &["CHECK_TOKENS_FUNCTION"]).await?;
        let function = target.check_tokens_function()?;
        let check_tokens = CheckTokensClient::new(target.sdk(), function);
        let spinner = progress::spinner();
        spinner.set_message(format!("checking {key}"));
        let checked = check_tokens.check(key).await;
        spinner.finish_and_clear();
        let checked = checked?;
        output.answer(&checked, || render(&checked))?;
        Ok(Outcome::fine_if(checked.result.is_accepted()))
    }

    async fn sweep_here(self, output: &Output) -> anyhow::Result<Outcome> {
        let request = Request::parse(&self.payload())?;
        let target = Target::from_arguments(&self.stack, &Target::CHECK_TOKENS_NEEDS).await?;
        let check_tokens = target.check_tokens(Clock::system()).await?;
        let spinner = progress::spinner();
        let report = check_tokens
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
        let report = report?;
        output.answer(&report, || report::render(&report))?;
        Ok(Outcome::fine_if(!report::needs_attention(&report)))
    }

    async fn sweep_in_background(self, output: &Output) -> anyhow::Result<Outcome> {
        let target = Target::from_arguments(&self.stack, &["CHECK_TOKENS_FUNCTION"]).await?;
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
            format!(
                "accepted: {function} checks in the background; with --sync the check runs in this \
                 process and prints its report"
            )
        })?;
        Ok(Outcome::Fine)
    }
}

/// Renders the result of a check, for people.
fn render(checked: &Checked) -> String {
    let Checked {
        org_id,
        integration_id,
        result,
        message,
        ..
    } = checked;
    let mut text = format!("{org_id}/{integration_id}: {result}\n{message}");
    if let Some(at) = checked.access_expires_at {
        text += &format!("\nthe access token ends at {}", exact(at));
    }
    if let Some(at) = checked.next_attempt_at {
        text += &format!("\nthe next attempt is due at {}", exact(at));
    }
    text
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
    fn the_payload_is_what_the_command_line_says() {
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

    #[test]
    fn a_result_is_rendered_in_words() {
        let checked: Checked = serde_json::from_value(json!({
            "org_id": "acme", "integration_id": "7", "result": "held_back",
            "message": "The platform asked us to wait.", "access_expires_at": "2027-01-15T08:00:00Z",
            "next_attempt_at": "2027-01-15T07:00:00Z", "attempt_id": null,
        }))
        .unwrap();
        let expected = "acme/7: held back\nThe platform asked us to wait.\n\
            the access token ends at 2027-01-15T08:00:00Z\n\
            the next attempt is due at 2027-01-15T07:00:00Z";
        assert_eq!(render(&checked), expected);
    }
}
