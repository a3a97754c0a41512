//! Lambda: invocations, the queue of asynchronous events, and the `Invoke` API.

pub(crate) mod event_queue;
pub(crate) mod invoke;
pub(crate) mod service;

pub use invoke::{FunctionError, Handler, Invocation, handler};
