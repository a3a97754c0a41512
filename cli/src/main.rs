//! `warden`: Token Warden on the command line.

mod arguments;
mod commands;
mod demo;
mod output;
mod progress;
mod report;
mod table;
mod target;

use std::process::ExitCode;

use arguments::Cli;
use output::{Outcome, Output};
use shared::Variables;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::of_process();
    log_to_stderr();
    let output = Output::new(cli.json);
    match cli.command.run(&output).await {
        Ok(Outcome::Fine) => ExitCode::SUCCESS,
        Ok(Outcome::NeedsAttention) => ExitCode::FAILURE,
        Err(error) => {
            output.error(&error);
            ExitCode::FAILURE
        }
    }
}

/// Only what went wrong, unless `RUST_LOG` asks for more: a person is reading.
fn log_to_stderr() {
    let variables = Variables::of_process();
    // The embedded database warns of every condition that does not hold; for
    // us that is an answer like any other.
    let filter = variables.get("RUST_LOG").unwrap_or("warn,dynoxide=error");
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::builder().parse_lossy(filter))
        .with_writer(std::io::stderr)
        .init();
}
