//! Any text as a template.

#![no_main]

use libfuzzer_sys::fuzz_target;
use local::template::{Inputs, Template};

fuzz_target!(|text: &str| {
    if let Ok(template) = Template::parse(text) {
        let _ = template.resolve(&Inputs::default());
    }
});
