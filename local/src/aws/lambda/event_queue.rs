//! Asynchronous invocation as Lambda does it: an event is accepted at once and
//! tried again when it fails; after the last try it goes to the function's
//! failure destination.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};
use shared::Clock;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::aws::lambda::invoke::{FunctionError, Invoker};
use crate::aws::sqs::Queues;
use crate::uuid::random_uuid;

/// How many asynchronous invocations run at once: enough to keep a machine
/// busy, few enough not to run out of sockets.
const MAX_CONCURRENT_INVOCATIONS: usize = 32;

/// Queues asynchronous events for the functions. Clones share the queue.
#[derive(Clone)]
pub(crate) struct EventQueue(Arc<EventQueueState>);

struct EventQueueState {
    invoker: Invoker,
    queues: Queues,
    clock: Clock,
    retry_delay: Duration,
    slots: Semaphore,
    pending: watch::Sender<usize>,
    tasks: Mutex<JoinSet<()>>,
}

/// An accepted event counts as pending until it is dropped.
struct PendingEvent {
    inner: Arc<EventQueueState>,
    logical_id: String,
    event: Value,
    request_id: String,
    accepted: DateTime<Utc>,
}

impl Drop for PendingEvent {
    fn drop(&mut self) {
        self.inner.pending.send_modify(|count| *count -= 1);
    }
}

impl EventQueue {
    pub(crate) fn new(
        invoker: Invoker,
        queues: Queues,
        clock: Clock,
        retry_delay: Duration,
    ) -> Self {
        Self(Arc::new(EventQueueState {
            invoker,
            queues,
            clock,
            retry_delay,
            slots: Semaphore::new(MAX_CONCURRENT_INVOCATIONS),
            pending: watch::Sender::new(0),
            tasks: Mutex::default(),
        }))
    }

    pub(crate) fn invoker(&self) -> &Invoker {
        &self.0.invoker
    }

    /// Accepts an event for a function and returns the invocation's id.
    pub(crate) fn submit(&self, logical_id: &str, event: Value) -> String {
        let request_id = random_uuid();
        self.0.pending.send_modify(|count| *count += 1);
        let pending = PendingEvent {
            inner: self.0.clone(),
            logical_id: logical_id.to_owned(),
            event,
            request_id: request_id.clone(),
            accepted: self.0.clock.precise(),
        };
        let mut tasks = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {} // forget those that have ended
        tasks.spawn(async move { pending.run().await });
        request_id
    }

    /// Returns when no event is pending.
    pub(crate) async fn settled(&self) {
        let mut pending = self.0.pending.subscribe();
        // An error would mean that the sender is gone; we hold it.
        let _ = pending.wait_for(|count| *count == 0).await;
    }

    /// Abandons the pending events and returns their number.
    pub(crate) fn abandon(&self) -> usize {
        let mut tasks = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let count = *self.0.pending.borrow();
        tasks.abort_all();
        count
    }
}

impl PendingEvent {
    async fn run(&self) {
        let Some(spec) = self.inner.invoker.spec(&self.logical_id) else {
            return;
        };
        let maximum_age = TimeDelta::from_std(spec.maximum_age).unwrap_or(TimeDelta::MAX);
        let mut attempts = 0;
        let (condition, error) = loop {
            let Ok(slot) = self.inner.slots.acquire().await else {
                return; // never closed
            };
            let result = self
                .inner
                .invoker
                .invoke(&self.logical_id, self.event.clone(), &self.request_id)
                .await;
            drop(slot);
            attempts += 1;
            let Err(error) = result else { return };
            tracing::warn!(
                function = spec.name,
                request_id = self.request_id,
                attempts,
                error_type = error.error_type,
                "an asynchronous invocation failed"
            );
            if attempts > spec.retries {
                break ("RetriesExhausted", error);
            }
            if self.inner.clock.precise() - self.accepted >= maximum_age {
                break ("EventAgeExceeded", error);
            }
            tokio::time::sleep(self.inner.retry_delay).await;
        };
        if let Some(queue) = &spec.on_failure {
            tracing::error!(
                function = spec.name,
                request_id = self.request_id,
                condition,
                error_type = error.error_type,
                error_message = error.error_message,
                "an event was given up and lies in the dead letters"
            );
            let record = self.failure_record(&spec.arn, condition, attempts, &error);
            if self.inner.queues.send(queue, record.to_string()).is_none() {
                tracing::error!(function = spec.name, queue, "no such failure destination");
            }
        }
    }

    /// Returns what Lambda sends to a failure destination
    /// (docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html).
    fn failure_record(
        &self,
        function_arn: &str,
        condition: &str,
        attempts: u32,
        error: &FunctionError,
    ) -> Value {
        let now = self.inner.clock.precise();
        json!({
            "version": "1.0",
            "timestamp": now.to_rfc3339_opts(SecondsFormat::Millis, true),
            "requestContext": {
                "requestId": self.request_id,
                "functionArn": format!("{function_arn}:$LATEST"),
                "condition": condition,
                "approximateInvokeCount": attempts,
            },
            "requestPayload": self.event,
            "responseContext": {
                "statusCode": 200,
                "executedVersion": "$LATEST",
                "functionError": "Unhandled",
            },
            "responsePayload": error,
        })
    }
}
