//! How to run the stack.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use shared::Clock;
use url::Url;

#[derive(Debug, Clone)]
pub struct Options {
    /// Port of the gateway; 0 for a free one.
    pub port: u16,
    /// Port of DynamoDB; 0 for a free one.
    pub dynamodb_port: u16,
    /// A DynamoDB that runs elsewhere replaces the embedded one.
    pub dynamodb: Option<Url>,
    /// The access key for DynamoDB calls: DynamoDB Local has a database for each.
    pub access_key: Option<String>,
    /// Whether a guard holds the functions to their policies and records their calls.
    pub guard: bool,
    /// The directory of all data; without one, data is in memory.
    pub data_dir: Option<PathBuf>,
    /// Where the functions run, if not in this process.
    pub functions: Option<Url>,
    /// Overrides the defaults of the template's parameters.
    pub parameters: BTreeMap<String, String>,
    pub clock: Clock,
    /// Whether the template's schedules tick.
    pub schedules: bool,
    /// How long a failed asynchronous invocation waits for its next attempt.
    pub retry_delay: Duration,
}

impl Default for Options {
    /// Returns free ports, everything in memory, no schedules, no delay.
    fn default() -> Self {
        Self {
            port: 0,
            dynamodb_port: 0,
            dynamodb: None,
            access_key: None,
            guard: false,
            data_dir: None,
            functions: None,
            parameters: BTreeMap::new(),
            clock: Clock::system(),
            schedules: false,
            retry_delay: Duration::ZERO,
        }
    }
}
