//! One file, one command.

pub(crate) mod access_token;
pub(crate) mod audit;
pub(crate) mod call;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod import;
#[cfg(feature = "local")]
pub(crate) mod local;
pub(crate) mod quota;
#[cfg(feature = "local")]
pub(crate) mod token;
