//! Attributes of DynamoDB items.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

/// An item, or a part of one.
pub(super) type Attributes = HashMap<String, AttributeValue>;

pub(super) fn text(value: impl std::fmt::Display) -> AttributeValue {
    AttributeValue::S(value.to_string())
}

pub(super) fn number(value: impl std::fmt::Display) -> AttributeValue {
    AttributeValue::N(value.to_string())
}
