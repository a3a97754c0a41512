//! SNS: `Publish` to the template's topics, in the query protocol, delivered to
//! the subscribed functions as Lambda gets it in AWS.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use chrono::SecondsFormat;
use http::{StatusCode, header};
use serde_json::{Map, Value, json};
use shared::Clock;

use super::protocol::AwsError;
use crate::aws::lambda::event_queue::EventQueue;
use crate::template::Topic;
use crate::uuid::random_uuid;

/// SNS's limit for a message with its attributes.
const MAX_MESSAGE_BYTES: usize = 256 * 1024;

#[derive(Clone)]
pub(crate) struct Sns(Arc<SnsState>);

struct SnsState {
    topics: Vec<Topic>,
    events: EventQueue,
    clock: Clock,
}

type Form = BTreeMap<String, String>;

impl Sns {
    pub(crate) fn new(topics: Vec<Topic>, events: EventQueue, clock: Clock) -> Self {
        Self(Arc::new(SnsState {
            topics,
            events,
            clock,
        }))
    }

    pub(crate) fn router(self) -> Router {
        Router::new().route("/", post(serve)).with_state(self)
    }

    /// Delivers a message to every subscriber and returns its id.
    fn publish(&self, form: &Form) -> Result<String, AwsError> {
        let arn = form.get("TopicArn").or_else(|| form.get("TargetArn"));
        let arn = arn.ok_or_else(|| invalid("TopicArn or TargetArn"))?;
        let topic = self.0.topics.iter().find(|topic| topic.arn == *arn);
        let topic = topic.ok_or_else(|| AwsError {
            status: StatusCode::NOT_FOUND,
            code: "NotFound",
            message: "Topic does not exist".to_owned(),
        })?;
        let message = form.get("Message").filter(|message| !message.is_empty());
        let message = message.ok_or_else(|| invalid("Empty message"))?;
        let attributes = attributes(form)?;
        if message.len() + Value::from(attributes.clone()).to_string().len() > MAX_MESSAGE_BYTES {
            return Err(invalid("Message too long"));
        }
        let message_id = random_uuid();
        for subscription in &topic.subscriptions {
            let event = json!({"Records": [{
                "EventSource": "aws:sns",
                "EventVersion": "1.0",
                "EventSubscriptionArn": subscription.arn,
                "Sns": {
                    "Type": "Notification",
                    "MessageId": message_id,
                    "TopicArn": topic.arn,
                    "Subject": form.get("Subject"),
                    "Message": message,
                    "Timestamp": self.0.clock.precise().to_rfc3339_opts(SecondsFormat::Millis, true),
                    "SignatureVersion": "1",
                    // IAM authorises the call to Lambda; no subscriber checks a signature.
                    "Signature": "",
                    "SigningCertUrl": "",
                    "UnsubscribeUrl": "",
                    "MessageAttributes": attributes,
                },
            }]});
            self.0.events.submit(&subscription.function, event);
        }
        Ok(message_id)
    }
}

fn invalid(what: &str) -> AwsError {
    AwsError::new("InvalidParameter", format!("Invalid parameter: {what}"))
}

/// Reads `MessageAttributes.entry.N.Name`, `.Value.DataType`, `.Value.StringValue`.
fn attributes(form: &Form) -> Result<Map<String, Value>, AwsError> {
    let mut attributes = Map::new();
    for index in 1.. {
        let field = |name: &str| form.get(&format!("MessageAttributes.entry.{index}.{name}"));
        let Some(name) = field("Name") else { break };
        let kind = field("Value.DataType").ok_or_else(|| invalid("MessageAttributes"))?;
        let value = field("Value.StringValue").or_else(|| field("Value.BinaryValue"));
        let value = value.filter(|value| !value.is_empty()).ok_or_else(|| {
            invalid(&format!(
                "The message attribute '{name}' must contain a value"
            ))
        })?;
        attributes.insert(name.clone(), json!({"Type": kind, "Value": value}));
    }
    Ok(attributes)
}

async fn serve(State(sns): State<Sns>, body: Bytes) -> Response {
    let form: Form = url::form_urlencoded::parse(&body).into_owned().collect();
    let action = form.get("Action").map(String::as_str).unwrap_or_default();
    let result = match action {
        "Publish" => sns.publish(&form),
        other => Err(AwsError {
            code: "InvalidAction",
            ..AwsError::unknown_operation(other)
        }),
    };
    let request_id = random_uuid();
    let (status, xml) = match result {
        Ok(message_id) => (
            StatusCode::OK,
            format!(
                "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\">\
                 <PublishResult><MessageId>{message_id}</MessageId></PublishResult>\
                 <ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>\
                 </PublishResponse>"
            ),
        ),
        Err(error) => (
            error.status,
            format!(
                "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error>\
                 <Type>Sender</Type><Code>{}</Code><Message>{}</Message></Error>\
                 <RequestId>{request_id}</RequestId></ErrorResponse>",
                error.code,
                escaped(&error.message)
            ),
        ),
    };
    let headers = [
        (header::CONTENT_TYPE, "text/xml".to_owned()),
        (
            header::HeaderName::from_static("x-amzn-requestid"),
            request_id,
        ),
    ];
    (status, headers, xml).into_response()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
