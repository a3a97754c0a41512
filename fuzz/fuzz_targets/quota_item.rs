//! Any JSON as a stored quota item: `{"n": 3, "p01": "text"}`.

#![no_main]

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let Ok(fields) = serde_json::from_slice::<HashMap<String, Value>>(bytes) else {
        return;
    };
    let attributes = fields.into_iter().map(|(name, value)| {
        let value = match value {
            Value::Number(number) => AttributeValue::N(number.to_string()),
            Value::String(text) => AttributeValue::S(text),
            other => AttributeValue::N(other.to_string()),
        };
        (name, value)
    });
    let now = chrono::DateTime::from_timestamp(1_795_424_400, 0).unwrap();
    shared::aws::quota::fuzz_item(&attributes.collect(), now);
});
