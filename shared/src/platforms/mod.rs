//! What is known of each platform.

pub mod catalog;

pub use catalog::Platform;
