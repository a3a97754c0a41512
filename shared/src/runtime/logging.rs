use tracing_subscriber::EnvFilter;

use crate::Variables;

/// Logs JSON lines to standard output, as Lambda collects them. `RUST_LOG` filters them, `info`
/// by default. Whatever it says, the Lambda runtime does not trace whole events, which carry
/// callers' bearer tokens.
pub fn to_stdout_as_json(variables: &Variables) {
    let wanted = variables.get("RUST_LOG").unwrap_or("info");
    let filter = EnvFilter::builder().parse_lossy(format!("{wanted},lambda_runtime=debug"));
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(filter)
        .init();
}
