//! The SNS topic that alerts are published to.

use aws_sdk_sns::types::MessageAttributeValue;

use crate::aws::AwsError;
use crate::domain::alert::Alert;

#[derive(Debug, Clone)]
pub struct Topic {
    client: aws_sdk_sns::Client,
    arn: String,
}

impl Topic {
    #[must_use]
    pub fn new(client: aws_sdk_sns::Client, arn: impl Into<String>) -> Self {
        Self {
            client,
            arn: arn.into(),
        }
    }

    /// Publishes an alert, with attributes that a subscription can filter on.
    ///
    /// # Errors
    /// If SNS does not take the alert.
    pub async fn publish(&self, alert: &Alert) -> Result<(), AwsError> {
        let message = serde_json::to_string(alert)
            .map_err(|_| AwsError::incomplete("sns:Publish", "renderable message"))?;
        let attributes = [
            ("kind", alert.kind.name()),
            ("severity", alert.severity.name()),
            ("platform", alert.platform.name()),
            ("org_id", alert.org_id.as_str()),
        ];
        let mut publish = self.client.publish().topic_arn(&self.arn).message(message);
        for (name, value) in attributes {
            let value = MessageAttributeValue::builder()
                .data_type("String")
                .string_value(value)
                .build()
                .map_err(|_| AwsError::incomplete("sns:Publish", "valid attribute"))?;
            publish = publish.message_attributes(name, value);
        }
        publish
            .send()
            .await
            .map_err(|e| AwsError::new("sns:Publish", e))?;
        Ok(())
    }
}
