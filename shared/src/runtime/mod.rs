//! The process: its clock, randomness, variables, log and metrics.

pub mod clock;
pub mod logging;
pub mod metrics;
mod random;
pub mod variables;

pub use clock::Clock;
pub use random::random_id;
pub use variables::Variables;
