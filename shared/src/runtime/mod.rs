//! The process: its clock, its variables, its log and its metrics.

pub mod clock;
pub mod logging;
pub mod metrics;
pub mod variables;

pub use clock::Clock;
pub use variables::Variables;
