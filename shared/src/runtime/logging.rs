//! Logs, as structured JSON.

use tracing_subscriber::EnvFilter;

use crate::Variables;

/// Logs as JSON lines to standard output, as Lambda collects them. `RUST_LOG`
/// filters, `info` by default; whatever it says, the Lambda runtime
/// is kept from tracing whole events, which carry callers' bearer tokens.
pub fn to_stdout_as_json(variables: &Variables) {
    let wanted = variables.get("RUST_LOG").unwrap_or("info");
    let filter = EnvFilter::builder().parse_lossy(format!("{wanted},lambda_runtime=debug"));
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(filter)
        .init();
}
