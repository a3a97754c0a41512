//! The API over HTTP, for the commands that call it as an application does.

use anyhow::{Context, bail};
use reqwest::{Method, RequestBuilder, Response, Url};
use serde::Deserialize;
use shared::domain::quota::QuotaKey;
use shared::platform_calls::API_TIMEOUT;
use shared::{IntegrationKey, Platform, UserId, Variables};

use crate::output::UsageError;
use crate::stack::{OR_LOCAL, StackArguments};

/// Where the API is, and who calls it.
pub(crate) struct Api {
    http: reqwest::Client,
    base: String,
    bearer: String,
}

#[derive(Deserialize)]
struct Named {
    platform: Platform,
}

/// Problem details, as far as a person wants them.
#[derive(Deserialize, Default)]
#[serde(default)]
struct ProblemDetails {
    detail: String,
    reconnect_url: Option<String>,
    /// What a denial has instead.
    message: String,
    retry_after: Option<u64>,
}

impl Api {
    /// Returns the API of the selected stack. In AWS, `API_URL` says where it is, and
    /// `WARDEN_TOKEN` is the bearer token; the local issuer gives one to `user`.
    pub(crate) async fn from_arguments(
        stack: &StackArguments,
        user: Option<&UserId>,
    ) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(API_TIMEOUT)
            // A bearer token must not follow a redirect to wherever it points.
            .redirect(reqwest::redirect::Policy::none());
        #[cfg(feature = "local")]
        if stack.local {
            let user = user.ok_or(UsageError("name with --user who calls the local stack"))?;
            let addresses = local::Addresses::from_data_dir(&stack.data_dir.path)?;
            return Ok(Self {
                bearer: crate::commands::token::bearer(&addresses, user).await?,
                base: addresses.gateway,
                http: http.no_proxy().build()?,
            });
        }
        let _ = stack;
        if user.is_some() {
            bail!(UsageError(
                "--user is for the local stack: in AWS, the bearer token in WARDEN_TOKEN names the \
                 caller"
            ));
        }
        let variables = Variables::from_process();
        let required = |name, what| {
            let value = variables.get(name).map(str::to_owned);
            value.with_context(|| format!("{name} is not set: set it to {what}{OR_LOCAL}"))
        };
        let base = required("API_URL", "the output ApiUrl of your deployed stack")?;
        let bearer = required("WARDEN_TOKEN", "a bearer token of your identity provider")?;
        let base = base.trim_end_matches('/').to_owned();
        let http = http.build()?;
        Ok(Self { http, base, bearer })
    }

    /// Begins a request; fails if the path would be sent otherwise than it is written, as one with
    /// dot segments would, to another route.
    pub(crate) fn request(&self, method: Method, path: &str) -> anyhow::Result<RequestBuilder> {
        let url = format!("{}{path}", self.base);
        let url = Url::parse(&url).with_context(|| format!("{url} is no URL"))?;
        if !url.path().ends_with(path) {
            bail!(UsageError(
                "a path cannot have dot segments, backslashes or characters that must be \
                 percent-encoded"
            ));
        }
        Ok(self.http.request(method, url).bearer_auth(&self.bearer))
    }

    /// Returns the platform of an integration.
    pub(crate) async fn platform_of(&self, key: &IntegrationKey) -> anyhow::Result<Platform> {
        let path = format!(
            "/api/dashboard/{}/integrations/{}",
            key.org_id.path_segment(),
            key.integration_id.path_segment()
        );
        let response = send(self.request(Method::GET, &path)?).await?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        let Named { platform } = response.json().await.context("the API's answer is none")?;
        Ok(platform)
    }
}

/// Returns the path of a route for applications.
pub(crate) fn route(platform: Platform, key: &IntegrationKey, rest: &str) -> String {
    let key = QuotaKey::new(platform, key.org_id.clone(), key.integration_id.clone());
    format!("/api/platforms/{}/{rest}", key.path())
}

/// Sends a request; an error does not hold the URL, whose query may have secrets.
pub(crate) async fn send(request: RequestBuilder) -> anyhow::Result<Response> {
    let sent = request.send().await.map_err(reqwest::Error::without_url);
    sent.context("the API did not answer")
}

/// Returns the error that an answer of the API is.
pub(crate) async fn refusal(response: Response) -> anyhow::Error {
    let status = response.status();
    let problem: ProblemDetails = response.json().await.unwrap_or_default();
    let said = [problem.detail, problem.message];
    let mut text = said
        .into_iter()
        .find(|text| !text.is_empty())
        .unwrap_or_else(|| format!("the API answered {status}"));
    if let Some(seconds) = problem.retry_after {
        text += &format!(" The next permit frees in {seconds} seconds.");
    }
    if let Some(url) = problem.reconnect_url {
        text += &format!(" A person reconnects it at {url}.");
    }
    anyhow::Error::msg(text)
}
