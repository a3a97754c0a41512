//! Runs a function once: in this process, or wherever Lambda's invoke API is served.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::Clock;
use url::Url;

use crate::template::Function;

/// What the Lambda runtime gives a function besides the event.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// All attempts of an asynchronous invocation share this id.
    pub request_id: String,
    pub function_arn: String,
    /// Lambda stops the invocation at this time.
    pub deadline: DateTime<Utc>,
}

/// How a function failed, as Lambda reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
#[error("{error_type}: {error_message}")]
pub struct FunctionError {
    #[serde(default)]
    pub error_type: String,
    #[serde(default)]
    pub error_message: String,
}

impl FunctionError {
    #[must_use]
    pub fn new(error_type: impl Into<String>, error_message: impl Into<String>) -> Self {
        Self {
            error_type: error_type.into(),
            error_message: error_message.into(),
        }
    }
}

pub type Handler = Arc<
    dyn Fn(Value, Invocation) -> BoxFuture<'static, Result<Value, FunctionError>> + Send + Sync,
>;

/// Makes a handler out of an `async` closure.
pub fn handler<F, R>(function: F) -> Handler
where
    F: Fn(Value, Invocation) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Value, FunctionError>> + Send + 'static,
{
    Arc::new(move |event, invocation| Box::pin(function(event, invocation)))
}

/// Where the functions run.
#[derive(Clone)]
pub(crate) enum Functions {
    /// In this process, by logical id.
    InProcess(BTreeMap<String, Handler>),
    /// Behind Lambda's invoke API at this address, by the name of their binary
    /// (`cargo lambda watch`).
    Remote(Remote),
}

/// An address that serves Lambda's invoke API.
#[derive(Debug, Clone)]
pub(crate) struct Remote {
    base: Url,
    client: reqwest::Client,
}

impl Remote {
    /// Creates a client of the functions served at `base`.
    ///
    /// # Errors
    /// If no HTTP client can be made.
    pub(crate) fn new(base: Url) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5))
            // The longest that Lambda lets a function run; each has its own limit besides.
            .timeout(Duration::from_secs(900))
            .no_proxy()
            .build()
            .context("cannot make an HTTP client for the functions")?;
        Ok(Self { base, client })
    }

    fn unreachable(&self, error: reqwest::Error) -> FunctionError {
        let at = self.base.origin().ascii_serialization();
        let message = if error.is_connect() {
            format!(
                "no functions are served at {at}: start them there (`cargo lambda watch \
                 --env-file functions.env`, the file in the data directory), or stop and \
                 start again without --functions"
            )
        } else {
            let cause = error.without_url();
            format!("the functions at {at} gave no answer; see what serves them: {cause}")
        };
        FunctionError::new("Local.Unreachable", message)
    }

    async fn call(&self, binary: &str, event: &Value) -> Result<Value, FunctionError> {
        let base = self.base.as_str().trim_end_matches('/');
        let url = format!("{base}/2015-03-31/functions/{binary}/invocations");
        let unreachable = |error| self.unreachable(error);
        let response = self
            .client
            .post(url)
            .json(event)
            .send()
            .await
            .map_err(unreachable)?;
        let failed = !response.status().is_success()
            || response.headers().contains_key("x-amz-function-error");
        let status = response.status();
        let body = response.bytes().await.map_err(unreachable)?;
        if failed {
            let error = serde_json::from_slice::<FunctionError>(&body);
            let error = error.ok().filter(|error| !error.error_message.is_empty());
            return Err(error.unwrap_or_else(|| {
                FunctionError::new("Local.Failed", format!("{binary} answered {status}"))
            }));
        }
        serde_json::from_slice(&body).map_err(|e| {
            FunctionError::new("Local.Failed", format!("{binary} did not answer JSON: {e}"))
        })
    }
}

/// Invokes the template's functions. Clones share them.
#[derive(Clone)]
pub(crate) struct Invoker(Arc<InvokerState>);

struct InvokerState {
    specs: BTreeMap<String, Function>,
    functions: Functions,
    clock: Clock,
}

impl Invoker {
    /// Creates an invoker of `functions` as the template describes them.
    #[must_use]
    pub(crate) fn new(
        specs: BTreeMap<String, Function>,
        functions: Functions,
        clock: Clock,
    ) -> Self {
        Self(Arc::new(InvokerState {
            specs,
            functions,
            clock,
        }))
    }

    /// Returns the logical id that a name, an ARN or a partial ARN means, qualified or not.
    #[must_use]
    pub(crate) fn logical_id(&self, name: &str) -> Option<String> {
        let name = name.split_once("function:").map_or(name, |(_, name)| name);
        let name = name.split(':').next()?;
        let mut specs = self.0.specs.iter();
        specs
            .find(|(_, spec)| spec.name == name)
            .map(|(id, _)| id.clone())
    }

    pub(crate) fn spec(&self, logical_id: &str) -> Option<&Function> {
        self.0.specs.get(logical_id)
    }

    /// Runs a function to its end, or to its timeout.
    ///
    /// # Errors
    /// The function's own error, its panic, or that it ran out of time.
    pub(crate) async fn invoke(
        &self,
        logical_id: &str,
        event: Value,
        request_id: &str,
    ) -> Result<Value, FunctionError> {
        let missing = || {
            FunctionError::new(
                "Local.NoSuchFunction",
                format!("no function {logical_id} runs here"),
            )
        };
        let spec = self.spec(logical_id).ok_or_else(missing)?;
        let timeout = TimeDelta::from_std(spec.timeout).unwrap_or_default();
        let invocation = Invocation {
            request_id: request_id.to_owned(),
            function_arn: spec.arn.clone(),
            deadline: self.0.clock.precise() + timeout,
        };
        // Its own task: a panic ends it alone, and like Lambda it goes on when
        // its caller goes away.
        let task = match &self.0.functions {
            Functions::InProcess(handlers) => {
                let handler = handlers.get(logical_id).cloned().ok_or_else(missing)?;
                let work = async move { handler(event, invocation).await };
                tokio::spawn(tokio::time::timeout(spec.timeout, work))
            }
            Functions::Remote(remote) => {
                let (remote, binary) = (remote.clone(), spec.binary.clone());
                let work = async move { remote.call(&binary, &event).await };
                tokio::spawn(tokio::time::timeout(spec.timeout, work))
            }
        };
        match task.await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => {
                let seconds = spec.timeout.as_secs_f64();
                let message = format!("{request_id} Task timed out after {seconds:.2} seconds");
                Err(FunctionError::new("Sandbox.Timedout", message))
            }
            Err(error) if error.is_panic() => {
                let text = panic_text(&*error.into_panic());
                Err(FunctionError::new("Runtime.Panic", text))
            }
            Err(_) => Err(FunctionError::new(
                "Runtime.ExitError",
                "the process is stopping",
            )),
        }
    }
}

fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    format!("Lambda panicked: {}", text.unwrap_or("no message"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn where_nothing_listens_the_error_says_where_and_what_to_do() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", free.local_addr().unwrap());
        drop(free);
        let remote = Remote::new(Url::parse(&base).unwrap()).unwrap();
        let error = remote.call("notify", &Value::Null).await.unwrap_err();
        assert_eq!(error.error_type, "Local.Unreachable");
        for part in [base.as_str(), "functions.env", "without --functions"] {
            let text = &error.error_message;
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[tokio::test]
    async fn where_nobody_answers_the_error_says_where() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { while listener.accept().await.is_ok() {} });
        let remote = Remote::new(Url::parse(&base).unwrap()).unwrap();
        let error = remote.call("notify", &Value::Null).await.unwrap_err();
        assert_eq!(error.error_type, "Local.Unreachable");
        let text = error.error_message;
        assert!(text.contains(&format!("{base} gave no answer")), "{text}");
    }
}
