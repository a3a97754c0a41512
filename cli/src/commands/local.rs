//! `warden local`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use local::{Addresses, Options, Stack};
use serde::Serialize;
use shared::Clock;
use shared::registration::import::Summary;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use url::Url;

use super::import::{self, ImportFile};
use crate::demo::{self, Demo};
use crate::output::{Outcome, Output};
use crate::stack::DataDir;
use crate::target::Target;

/// How long a failed background invocation waits for its next attempt: a
/// person is watching, so not the minutes that Lambda takes.
const RETRY_DELAY: Duration = Duration::from_secs(2);

/// Run everything on this machine, with a demo to look at
#[derive(Debug, Args)]
pub(crate) struct Local {
    /// Where the API answers; 0 for any free port
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// Where DynamoDB answers; 0 for any free port
    #[arg(long, default_value_t = 8000)]
    dynamodb_port: u16,
    #[command(flatten)]
    data_dir: DataDir,
    /// Import this file, instead of the demo; may be given several times
    #[arg(long, value_name = "FILE")]
    import: Vec<PathBuf>,
    /// Call the functions at this address, as `cargo lambda watch` serves them; what they
    /// need in their environment is in DIR/functions.env, new at every start: give it
    /// that file with --env-file
    #[arg(long, value_name = "URL", value_parser = http_url)]
    functions: Option<Url>,
    /// Keep everything in the DynamoDB at this address, such as DynamoDB Local, instead of
    /// the embedded one; missing tables are made there
    #[arg(long, value_name = "URL", value_parser = http_url, conflicts_with = "dynamodb_port")]
    dynamodb: Option<Url>,
    /// Give a parameter of the template another value, such as
    /// QuotaPolicies='{"meta":{"limit":60,"period":60,"burst":20}}'; may be
    /// given several times
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = parameter)]
    parameters: Vec<(String, String)>,
    /// Load no demo
    #[arg(long)]
    no_demo: bool,
}

/// Parses an address that can be called. `localhost:9000` is a URL too, but of scheme `localhost`.
fn http_url(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).ok();
    url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or("it must begin with http:// or https:// and name a host, as http://127.0.0.1:9000")
}

/// What there is to look at once everything serves.
#[derive(Debug, Serialize)]
struct Ready {
    addresses: Addresses,
    imports: Vec<Imported>,
    demo: Option<Demo>,
}

#[derive(Debug, Serialize)]
struct Imported {
    file: String,
    #[serde(flatten)]
    summary: Summary,
}

fn parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it must be NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Local {
    pub(crate) async fn run(self, output: &Output) -> anyhow::Result<Outcome> {
        let mut sources = Vec::new();
        for file in &self.import {
            sources.push(ImportFile::open(file).await?);
        }
        let stop = StopSignals::listen()?;
        tokio::select! {
            outcome = self.serve(sources, &stop, output) => outcome,
            () = stop.requested(2) => {
                output.note("stopped at once; what was under way was cut off");
                Ok(Outcome::NeedsAttention)
            }
        }
    }

    /// Serves until a signal requests its end.
    async fn serve(
        &self,
        sources: Vec<ImportFile>,
        stop: &StopSignals,
        output: &Output,
    ) -> anyhow::Result<Outcome> {
        let clock = Clock::system();
        let stack = Stack::start(Options {
            port: self.port,
            dynamodb_port: self.dynamodb_port,
            data_dir: Some(self.data_dir.path.clone()),
            functions: self.functions.clone(),
            dynamodb: self.dynamodb.clone(),
            parameters: self.parameters.iter().cloned().collect(),
            clock: clock.clone(),
            schedules: true,
            retry_delay: RETRY_DELAY,
            ..Options::default()
        })
        .await?;
        output.note(format_args!("serving at {}", stack.addresses().gateway));

        let shown = tokio::select! {
            shown = self.show(&stack, &clock, sources, output) => shown,
            () = stop.requested(1) => Ok(Outcome::Fine),
        };
        if shown.is_ok() {
            stop.requested(1).await;
        }
        output.note("stopping");
        stack.stop().await;
        shown
    }

    /// Imports the files or the demo, and prints the result.
    async fn show(
        &self,
        stack: &Stack,
        clock: &Clock,
        sources: Vec<ImportFile>,
        output: &Output,
    ) -> anyhow::Result<Outcome> {
        let target = Target::local(stack.environment().clone());
        let with_demo = !self.no_demo && sources.is_empty();
        let mut imports = Vec::new();
        for source in sources {
            let importer = target.importer(clock.clone())?;
            let file = source.name().to_owned();
            let summary = source.import(&importer, output).await?;
            imports.push(Imported { file, summary });
        }
        let clean = imports.iter().all(|of| of.summary.is_clean());
        let demo = if with_demo {
            let demo = demo::run(stack, &target, clock, &self.data_dir.path).await;
            Some(demo.context("the demo failed")?)
        } else {
            None
        };
        let ready = Ready {
            addresses: stack.addresses().clone(),
            imports,
            demo,
        };
        output.answer(&ready, || ready.render(&self.data_dir.path))?;
        Ok(Outcome::fine_if(clean))
    }
}

impl Ready {
    fn render(&self, data_dir: &Path) -> String {
        let mut parts: Vec<String> = Vec::new();
        for Imported { file, summary } in &self.imports {
            parts.push(format!("{file}: {}", import::render(summary)));
        }
        parts.extend(self.demo.as_ref().map(Demo::render));
        let Addresses {
            gateway,
            dynamodb,
            issuer,
            platforms,
            ..
        } = &self.addresses;
        parts.push(format!(
            "API        {gateway}\nDynamoDB   {dynamodb}\nIssuer     {issuer}\nPlatforms  {platforms}"
        ));
        let (user, org) = match self.demo {
            Some(_) => (demo::OWNER, demo::ORG),
            None => ("USER", "ORG"), // theirs to fill in
        };
        let warden = own_command();
        let data_dir = if data_dir == Path::new(".warden") {
            String::new()
        } else {
            format!(" --data-dir {}", quoted(&data_dir.display().to_string()))
        };
        let base = format!("{gateway}/api/dashboard/{org}");
        let curl = "curl -H \"Authorization: Bearer $TOKEN\"";
        parts.push(format!(
            "Try, in another terminal\n  \
             TOKEN=$({warden} token --user {user} --local{data_dir})\n  \
             {curl} '{base}/integrations/expiring-tokens?days=7'\n  \
             {curl} '{base}/notifications'\n  \
             {warden} check --sync --local{data_dir}\n\
             Ctrl-C stops it."
        ));
        parts.join("\n\n")
    }
}

/// Returns how to call this program from here: it is seldom in the path.
fn own_command() -> String {
    let Ok(program) = std::env::current_exe() else {
        return "warden".to_owned();
    };
    let from_here = std::env::current_dir()
        .ok()
        .and_then(|here| program.strip_prefix(here).ok().map(Path::to_owned));
    quoted(&from_here.unwrap_or(program).display().to_string())
}

/// Quotes text so that a shell takes it for one word.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// The number of SIGINT and SIGTERM that were received.
struct StopSignals(watch::Receiver<u32>);

impl StopSignals {
    fn listen() -> std::io::Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let (count, received) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                count.send_modify(|count| *count += 1);
            }
        });
        Ok(Self(received))
    }

    /// Returns once the process has received so many signals, now or before.
    async fn requested(&self, times: u32) {
        // An error would mean that the task that listens has ended.
        let _ = self.0.clone().wait_for(|count| *count >= times).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pasted_path_stays_one_word() {
        assert_eq!(quoted("target/debug/warden"), "target/debug/warden");
        assert_eq!(quoted("/tmp/it's here"), r"'/tmp/it'\''s here'");
    }

    #[test]
    fn without_a_demo_the_commands_leave_room_for_names() {
        let url = || "http://127.0.0.1:1".to_owned();
        let ready = Ready {
            addresses: Addresses {
                parameters: std::collections::BTreeMap::new(),
                gateway: "http://127.0.0.1:3000".to_owned(),
                dynamodb: url(),
                sns: url(),
                sqs: url(),
                kms: url(),
                s3: url(),
                lambda: url(),
                secretsmanager: url(),
                issuer: url(),
                platforms: url(),
                access_key: "local".to_owned(),
            },
            imports: Vec::new(),
            demo: None,
        };
        let text = ready.render(Path::new("/tmp/data dir"));
        assert!(
            text.contains("token --user USER --local --data-dir '/tmp/data dir'"),
            "{text}"
        );
        assert!(
            text.contains("http://127.0.0.1:3000/api/dashboard/ORG/notifications"),
            "{text}"
        );
    }
}
