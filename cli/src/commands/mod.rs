//! One file, one command.

pub(crate) mod audit;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod import;
pub(crate) mod local;
pub(crate) mod quota;
pub(crate) mod token;
