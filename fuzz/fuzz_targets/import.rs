//! Any bytes as a line of an import.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shared::registration::import::Record;

fuzz_target!(|line: &[u8]| {
    match Record::parse(line) {
        Ok(record) => {
            let _ = (record.org_id(), record.identity());
        }
        Err(reason) => assert!(!reason.to_string().is_empty()),
    }
});
