//! `warden call`.

use std::io::{ErrorKind, IsTerminal, Read, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, Response};
use serde_json::{Map, Value, json};
use shared::{IntegrationKey, Platform, UserId};

use crate::api::{Api, refusal, route, send};
use crate::integration::integration;
use crate::output::{Outcome, Output, UsageError};
use crate::stack::StackArguments;

/// Call a platform's API for an integration, through the proxy
#[derive(Debug, Args)]
#[command(
    override_usage = "warden call [OPTIONS] <PLATFORM> <ORG/INTEGRATION> [METHOD] <PATH>",
    after_help = "The platform's answer goes to standard output, the quota and what the answer means to\n\
        standard error. Exit code 0 if the platform accepted the call. Each call takes a permit.\n\
        In AWS, API_URL is the output ApiUrl, and WARDEN_TOKEN a bearer token."
)]
pub(crate) struct Call {
    /// The platform's name, or one of facebook, x, google_ads
    platform: Platform,
    /// The organisation and its integration
    #[arg(value_name = "ORG/INTEGRATION", value_parser = integration)]
    integration: IntegrationKey,
    /// The method, unless it is GET (or POST with a body), and the path at the platform's host
    #[arg(value_name = "[METHOD] PATH", num_args = 1..=2, required = true)]
    request: Vec<String>,
    /// A query parameter; several are allowed
    #[arg(short = 'q', long = "query", value_name = "NAME=VALUE", value_parser = pair)]
    query: Vec<(String, String)>,
    /// A field of a form, which is the body; several are allowed
    #[arg(short = 'F', long = "field", value_name = "NAME=VALUE", value_parser = pair, conflicts_with = "body")]
    fields: Vec<(String, String)>,
    /// A header, such as LinkedIn-Version=202611; several are allowed
    #[arg(short = 'H', long = "header", value_name = "NAME=VALUE", value_parser = header_pair)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The file with the body, or - for standard input
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// Print the answer's status and headers before its body
    #[arg(long)]
    include: bool,
    /// Who calls the local stack
    #[arg(long, value_parser = |text: &str| UserId::new(text))]
    user: Option<UserId>,
    #[command(flatten)]
    stack: StackArguments,
}

/// What the gateway takes.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it must be NAME=VALUE")?;
    if name.is_empty() {
        return Err("it must be NAME=VALUE".to_owned());
    }
    Ok((name.to_owned(), value.to_owned()))
}

fn header_pair(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = pair(text)?;
    let name: HeaderName = name.parse().map_err(|_| "the name is none of a header")?;
    let value = value.parse().map_err(|_| "the value is none of a header")?;
    match name.as_str() {
        // The bearer token is the caller's at Token Warden, and never passes to a platform.
        "authorization" => Err("the access token is put in by the proxy, so leave this out"),
        "host" | "content-length" | "transfer-encoding" | "connection" | "expect" => {
            Err("this header is made anew for each connection, so leave it out")
        }
        _ => Ok((name, value)),
    }
    .map_err(str::to_owned)
}

impl Call {
    pub(crate) async fn run(self, output: &Output) -> anyhow::Result<Outcome> {
        let (method, path) = self.method_and_path()?;
        let body = self.body.as_ref().map(read).transpose()?;
        let api = Api::from_arguments(&self.stack, self.user.as_ref()).await?;
        let route = route(self.platform, &self.integration, &format!("proxy/{path}"));
        let mut request = api.request(method, &route)?.query(&self.query);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if !self.fields.is_empty() {
            request = request.form(&self.fields);
        } else if let Some(body) = body {
            request = request.body(body);
        }
        let response = send(request).await?;
        // No other answer has it: this one is Token Warden's own.
        let Some(verdict) = header(&response, "warden-verdict").map(str::to_owned) else {
            return Err(refusal(response).await);
        };
        tell_quota(&response, *output);
        let until = header(&response, "warden-until").map_or_else(String::new, |until| {
            format!("; no permit is given until {until}")
        });
        let status = response.status();
        output.note(format_args!(
            "{}: {status}, {verdict}{until}",
            self.platform
        ));
        if output.is_json() {
            let answer = describe(response, &verdict).await?;
            output.answer(&answer, String::new)?;
        } else {
            self.print(response).await?;
        }
        Ok(Outcome::fine_if(verdict == "accepted"))
    }

    fn method_and_path(&self) -> anyhow::Result<(Method, String)> {
        let has_body = self.body.is_some() || !self.fields.is_empty();
        let (method, path) = match &self.request[..] {
            [path] if has_body => (Method::POST, path),
            [path] if METHODS.contains(&&*path.to_uppercase()) => {
                bail!(UsageError("name a path after the method"))
            }
            [path] => (Method::GET, path),
            [method, path] => {
                let method = method.to_uppercase();
                if !METHODS.contains(&&*method) {
                    bail!(UsageError("the method is none of HTTP's"));
                }
                (method.parse()?, path)
            }
            _ => bail!("a method and a path are wanted"),
        };
        if path.contains(['?', '#']) {
            bail!(UsageError(
                "give the path without a query: each parameter goes into a -q of its own"
            ));
        }
        let path = path.strip_prefix('/').unwrap_or(path);
        if path.is_empty() || path.starts_with('/') || path.contains("//") {
            bail!(UsageError("the path has an empty segment"));
        }
        Ok((method, path.to_owned()))
    }

    /// Writes the answer as it came.
    async fn print(&self, response: Response) -> anyhow::Result<()> {
        let mut text = Vec::new();
        if self.include {
            writeln!(text, "{:?} {}", response.version(), response.status())?;
            for (name, value) in response.headers() {
                text.extend_from_slice(name.as_str().as_bytes());
                text.extend_from_slice(b": ");
                text.extend_from_slice(value.as_bytes());
                text.push(b'\n');
            }
            text.push(b'\n');
        }
        text.extend(response.bytes().await.context("the answer was cut off")?);
        let mut stdout = std::io::stdout().lock();
        // On a terminal the prompt begins on a line of its own; elsewhere each byte counts.
        if stdout.is_terminal() && !text.ends_with(b"\n") {
            text.push(b'\n');
        }
        match stdout.write_all(&text).and_then(|()| stdout.flush()) {
            // Who closes the pipe, as `head` does, has read enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => written.context("the answer could not be written"),
        }
    }
}

/// Returns an answer as one object; a body that is no JSON as a text.
async fn describe(response: Response, verdict: &str) -> anyhow::Result<Value> {
    let until = header(&response, "warden-until").map(str::to_owned);
    let headers: Map<String, Value> = response
        .headers()
        .iter()
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.into())))
        .collect();
    let status = response.status().as_u16();
    let body = response.bytes().await.context("the answer was cut off")?;
    let body: Value = serde_json::from_slice(&body)
        .unwrap_or_else(|_| String::from_utf8_lossy(&body).into_owned().into());
    Ok(json!({
        "status": status, "verdict": verdict, "until": until, "headers": headers, "body": body,
    }))
}

fn read(path: &PathBuf) -> anyhow::Result<Vec<u8>> {
    if path.as_os_str() == "-" {
        let mut body = Vec::new();
        std::io::stdin().read_to_end(&mut body)?;
        return Ok(body);
    }
    std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
}

fn tell_quota(response: &Response, output: Output) {
    let number = |name| header(response, name);
    if let (Some(remaining), Some(limit)) =
        (number("x-ratelimit-remaining"), number("x-ratelimit-limit"))
    {
        output.note(format_args!("quota: {remaining} of {limit} left"));
    }
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}
