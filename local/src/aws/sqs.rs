//! SQS: enough to read, and empty, the dead-letter queues. No MD5 sums: the
//! AWS CLI and the Rust SDK do not look at them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::Clock;

use super::protocol::{AwsError, answer_json, parse_input};
use crate::template::Queue;
use crate::uuid::random_uuid;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub message_id: String,
    pub body: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Queues(Arc<QueuesState>);

#[derive(Debug)]
struct QueuesState {
    clock: Clock,
    queues: Vec<Queue>,
    /// Keyed by the queue's ARN.
    messages: Mutex<BTreeMap<String, Vec<Held>>>,
}

#[derive(Debug)]
struct Held {
    message: Message,
    sent: DateTime<Utc>,
    /// The receipt handle that the last `ReceiveMessage` returned.
    receipt: String,
    received: u32,
    visible_at: DateTime<Utc>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SqsRequest {
    queue_url: Option<String>,
    queue_name: Option<String>,
    message_body: Option<String>,
    receipt_handle: Option<String>,
    max_number_of_messages: Option<usize>,
    visibility_timeout: Option<u64>,
}

impl Queues {
    pub(crate) fn new(queues: Vec<Queue>, clock: Clock) -> Self {
        Self(Arc::new(QueuesState {
            clock,
            queues,
            messages: Mutex::default(),
        }))
    }

    pub(crate) fn router(&self) -> Router {
        // The JSON protocol posts to `/`, some clients to the queue's own URL.
        Router::new()
            .route("/", post(serve))
            .route("/{account}/{queue}", post(serve))
            .with_state(self.clone())
    }

    /// Puts `body` into the queue `arn`. Returns its message id, or `None` without such a queue.
    pub(crate) fn send(&self, arn: &str, body: String) -> Option<String> {
        self.0.queues.iter().find(|queue| queue.arn == arn)?;
        let now = self.0.clock.precise();
        let message_id = random_uuid();
        self.with(arn, |messages| {
            messages.push(Held {
                message: Message {
                    message_id: message_id.clone(),
                    body,
                },
                sent: now,
                receipt: String::new(),
                received: 0,
                visible_at: now,
            });
        });
        Some(message_id)
    }

    /// Returns all messages in a queue, visible or not.
    pub(crate) fn peek(&self, logical_id: &str) -> Vec<Message> {
        let queue = self
            .0
            .queues
            .iter()
            .find(|queue| queue.logical_id == logical_id);
        queue.map_or(Vec::new(), |queue| {
            self.with(&queue.arn, |held| {
                held.iter().map(|h| h.message.clone()).collect()
            })
        })
    }

    fn with<T>(&self, arn: &str, act: impl FnOnce(&mut Vec<Held>) -> T) -> T {
        let mut messages = self
            .0
            .messages
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        act(messages.entry(arn.to_owned()).or_default())
    }

    fn operation(&self, name: &str, request: Value) -> Result<Value, AwsError> {
        let request: SqsRequest = parse_input(request)?;
        if name == "ListQueues" {
            let urls: Vec<_> = self.0.queues.iter().map(|queue| &queue.url).collect();
            return Ok(json!({"QueueUrls": urls}));
        }
        let queue = self.0.queues.iter().find(|queue| {
            request.queue_name.as_ref() == Some(&queue.name)
                || request.queue_url.as_ref() == Some(&queue.url)
        });
        let queue = queue.ok_or_else(|| {
            AwsError::new("QueueDoesNotExist", "The specified queue does not exist.")
        })?;
        match name {
            "GetQueueUrl" => Ok(json!({"QueueUrl": queue.url})),
            "SendMessage" => {
                let body = request.message_body.filter(|body| !body.is_empty());
                let body = body.ok_or_else(|| {
                    AwsError::new("MissingParameter", "The request must contain MessageBody.")
                })?;
                let id = self.send(&queue.arn, body);
                Ok(json!({"MessageId": id}))
            }
            "ReceiveMessage" => Ok(self.receive(queue, &request)),
            "DeleteMessage" => {
                let receipt = request.receipt_handle.unwrap_or_default();
                self.with(&queue.arn, |messages| {
                    messages.retain(|held| held.receipt.is_empty() || held.receipt != receipt);
                });
                Ok(json!({}))
            }
            "PurgeQueue" => {
                self.with(&queue.arn, Vec::clear);
                Ok(json!({}))
            }
            "GetQueueAttributes" => Ok(self.attributes(queue)),
            other => Err(AwsError::unknown_operation(other)),
        }
    }

    fn receive(&self, queue: &Queue, request: &SqsRequest) -> Value {
        let now = self.0.clock.precise();
        let visibility = request
            .visibility_timeout
            .map_or(queue.visibility, Duration::from_secs);
        let hidden_until = now + TimeDelta::from_std(visibility).unwrap_or_default();
        let most = request.max_number_of_messages.unwrap_or(1).clamp(1, 10);
        let received: Vec<Value> = self.with(&queue.arn, |messages| {
            let visible = messages.iter_mut().filter(|held| held.visible_at <= now);
            visible
                .take(most)
                .map(|held| {
                    held.receipt = random_uuid();
                    held.received += 1;
                    held.visible_at = hidden_until;
                    json!({
                        "MessageId": held.message.message_id,
                        "ReceiptHandle": held.receipt,
                        "Body": held.message.body,
                        "Attributes": {
                            "SentTimestamp": held.sent.timestamp_millis().to_string(),
                            "ApproximateReceiveCount": held.received.to_string(),
                        },
                    })
                })
                .collect()
        });
        if received.is_empty() {
            json!({})
        } else {
            json!({"Messages": received})
        }
    }

    fn attributes(&self, queue: &Queue) -> Value {
        let now = self.0.clock.precise();
        let (visible, hidden) = self.with(&queue.arn, |messages| {
            let visible = messages
                .iter()
                .filter(|held| held.visible_at <= now)
                .count();
            (visible, messages.len() - visible)
        });
        json!({"Attributes": {
            "QueueArn": queue.arn,
            "ApproximateNumberOfMessages": visible.to_string(),
            "ApproximateNumberOfMessagesNotVisible": hidden.to_string(),
            "VisibilityTimeout": queue.visibility.as_secs().to_string(),
        }})
    }
}

async fn serve(State(queues): State<Queues>, headers: HeaderMap, body: Bytes) -> Response {
    answer_json(&headers, &body, |name, input| queues.operation(name, input))
}
