//! Any bytes as the answer of a platform, to an exchange and to a probe.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shared::Platform;

fuzz_target!(|input: (u8, u16, &[u8])| {
    let (platform, status, body) = input;
    // What stands behind a zero byte, which no JSON holds, is the header.
    let mut parts = body.splitn(2, |byte| *byte == 0);
    let body = parts.next().unwrap_or_default();
    let retry_after = parts.next().unwrap_or_default();
    let platform = Platform::ALL[usize::from(platform) % Platform::ALL.len()];
    let now = chrono::DateTime::from_timestamp(1_795_424_400, 0).unwrap();
    shared::oauth::fuzz_answer(platform, 100 + status % 500, retry_after, body, now);
});
