//! `warden access-token`.

use std::io::{IsTerminal, Write};

use anyhow::{Context, bail};
use clap::Args;
use reqwest::Method;
use serde_json::Value;
use shared::{IntegrationKey, UserId};

use crate::api::{Api, refusal, route, send};
use crate::integration::integration;
use crate::output::{Outcome, Output};
use crate::stack::StackArguments;

/// Print a living access token of an integration, refreshed if need be
#[derive(Debug, Args)]
#[command(
    after_help = "Whoever may use an integration may do so: in AWS, API_URL is the output ApiUrl, and\n\
        WARDEN_TOKEN a bearer token. Every hand-out is in the integration's audit."
)]
pub(crate) struct AccessToken {
    /// The organisation and its integration
    #[arg(value_name = "ORG/INTEGRATION", value_parser = integration)]
    integration: IntegrationKey,
    /// Who calls the local stack
    #[arg(long, value_parser = |text: &str| UserId::new(text))]
    user: Option<UserId>,
    /// The least life in seconds that the token must have left, from 1 to 3600
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=3600))]
    min_validity: Option<u32>,
    /// Print it on a terminal without asking
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    stack: StackArguments,
}

impl AccessToken {
    pub(crate) async fn run(self, output: &Output) -> anyhow::Result<Outcome> {
        if !self.yes && std::io::stdout().is_terminal() && !self.is_confirmed()? {
            bail!("not printed: answer y, or give --yes");
        }
        let api = Api::from_arguments(&self.stack, self.user.as_ref()).await?;
        let platform = api.platform_of(&self.integration).await?;
        let path = route(platform, &self.integration, "access-token");
        let mut body = serde_json::json!({});
        if let Some(seconds) = self.min_validity {
            body["min_validity_seconds"] = seconds.into();
        }
        let response = send(api.request(Method::POST, &path)?.json(&body)).await?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        let answer: Value = response.json().await.context("the API's answer is none")?;
        let token = answer["access_token"].as_str();
        let token = token.context("the API's answer has no access token")?;
        output.answer(&answer, || token.to_owned())?;
        Ok(Outcome::Fine)
    }

    /// Asks on the terminal, where others may look on and the screen is kept.
    fn is_confirmed(&self) -> anyhow::Result<bool> {
        let IntegrationKey {
            org_id,
            integration_id,
        } = &self.integration;
        let mut stderr = std::io::stderr().lock();
        write!(
            stderr,
            "Print a living access token of {org_id}/{integration_id} on this terminal? [y/N] "
        )?;
        stderr.flush()?;
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
    }
}
