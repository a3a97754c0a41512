//! `warden token`.

use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use local::Addresses;
use serde::{Deserialize, Serialize};
use shared::UserId;

use crate::output::{Outcome, Output};
use crate::stack::StackArguments;

/// The error for a token without `--local`.
pub(crate) const ONLY_LOCAL: &str = "only the local stack hands out tokens: add --local. \
    In AWS they come from the identity provider that the stack's parameter AuthIssuer names, \
    and without one from the user pool that the stack makes";

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Print a bearer token for calling the local stack's API
#[derive(Debug, Args)]
pub(crate) struct Token {
    /// Whose token it is
    #[arg(long, value_parser = |text: &str| UserId::new(text))]
    user: UserId,
    #[command(flatten)]
    pub(crate) stack: StackArguments,
}

#[derive(Deserialize)]
struct TokenResponse {
    access_token: String,
    expires_in: u64,
}

#[derive(Deserialize)]
struct TokenError {
    error_description: String,
}

#[derive(Serialize)]
struct TokenOutput<'a> {
    token: &'a str,
    expires_in: u64,
}

impl Token {
    pub(crate) async fn run(self, output: &Output) -> anyhow::Result<Outcome> {
        let addresses = Addresses::from_data_dir(&self.stack.data_dir.path)?;
        let TokenResponse {
            access_token,
            expires_in,
        } = issued(&addresses, &self.user).await?;
        let answer = TokenOutput {
            token: &access_token,
            expires_in,
        };
        output.answer(&answer, || access_token.clone())?;
        Ok(Outcome::Fine)
    }
}

/// Returns a bearer token of the local issuer.
pub(crate) async fn bearer(addresses: &Addresses, user: &UserId) -> anyhow::Result<String> {
    Ok(issued(addresses, user).await?.access_token)
}

async fn issued(addresses: &Addresses, user: &UserId) -> anyhow::Result<TokenResponse> {
    let http = reqwest::Client::builder()
        .timeout(REQUEST_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()?;
    let response = http
        .post(format!("{}/token", addresses.issuer))
        .form(&[("user", user.as_str())])
        .send()
        .await
        .context("the local stack did not answer; is `warden local` still running?")?;
    if !response.status().is_success() {
        let status = response.status();
        let refused: Option<TokenError> = response.json().await.ok();
        let reason = refused.map_or(status.to_string(), |refused| refused.error_description);
        bail!("no token for {user}: {reason}");
    }
    let token = response.json().await;
    token.context("the issuer's answer is no token")
}
