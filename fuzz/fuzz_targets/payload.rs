//! Any bytes as what a schedule, SNS or the gateway sends.

#![no_main]

use aws_lambda_events::event::sns::SnsEvent;
use check_tokens::Invocation;
use libfuzzer_sys::fuzz_target;
use shared::domain::alert::Alert;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(value) = serde_json::from_slice(bytes) {
        let _ = Invocation::parse(&value);
    }
    let _ = serde_json::from_slice::<rate_limit_authorizer::Request>(bytes);
    let _ = serde_json::from_slice::<Alert>(bytes);
    if let Ok(event) = serde_json::from_slice::<SnsEvent>(bytes) {
        for record in event.records {
            let _ = serde_json::from_str::<Alert>(&record.sns.message);
        }
    }
});
