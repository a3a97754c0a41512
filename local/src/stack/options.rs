//! How to run the stack.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use shared::Clock;
use url::Url;

/// The settings of a stack.
#[derive(Debug, Clone)]
pub struct Options {
    /// Port of the gateway; 0 for a free one.
    pub port: u16,
    /// Port of DynamoDB; 0 for a free one.
    pub dynamodb_port: u16,
    /// A DynamoDB that runs elsewhere, in place of the embedded one.
    pub dynamodb: Option<Url>,
    /// The access key to call it with: DynamoDB Local has a database for each.
    pub access_key: Option<String>,
    /// Whether the functions are held to their policies, and their calls recorded.
    pub guard: bool,
    /// The directory of all data; without one, data is in memory.
    pub data_dir: Option<PathBuf>,
    /// Where the functions run, if not in this process.
    pub functions: Option<Url>,
    /// Values of the template's parameters, in place of its defaults.
    pub parameters: BTreeMap<String, String>,
    /// The time.
    pub clock: Clock,
    /// Whether the template's schedules tick.
    pub schedules: bool,
    /// How long a failed asynchronous invocation waits for its next attempt.
    pub retry_delay: Duration,
}

impl Default for Options {
    /// Free ports, everything in memory, no schedules, no delay.
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
