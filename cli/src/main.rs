//! `warden`: Token Warden on the command line.

mod api;
mod arguments;
mod commands;
#[cfg(feature = "local")]
mod demo;
mod history;
mod integration;
mod output;
mod progress;
mod quota;
mod report;
mod stack;
mod table;
mod target;

use std::process::ExitCode;

use anyhow::Context;
use arguments::Cli;
use output::{Outcome, Output, UsageError};
use shared::Variables;
use tokio::runtime::Runtime;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::from_process();
    log_to_stderr();
    let output = Output::new(cli.json);
    let ended = Runtime::new().context("cannot start").and_then(|runtime| {
        let ended = runtime.block_on(cli.command.run(&output));
        // A read of standard input cannot be cancelled, so it is not waited for.
        runtime.shutdown_background();
        ended
    });
    match ended {
        Ok(Outcome::Fine) => ExitCode::SUCCESS,
        Ok(Outcome::NeedsAttention) => ExitCode::FAILURE,
        Err(error) => {
            output.error(&error);
            match error.is::<UsageError>() {
                true => ExitCode::from(2),
                false => ExitCode::FAILURE,
            }
        }
    }
}

/// Logs only failures, unless `RUST_LOG` sets more: a person is reading.
fn log_to_stderr() {
    let variables = Variables::from_process();
    // The embedded database warns of every condition that does not hold, which is
    // an expected answer here. The SDK warns at length of missing credentials,
    // which the command reports in one line.
    let filter = variables.get("RUST_LOG");
    let filter = filter.unwrap_or("warn,dynoxide=error,aws_config=error");
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::builder().parse_lossy(filter))
        .with_writer(std::io::stderr)
        .init();
}
