//! The id of a grant that a consent made. It says for whom the grant is and what it allows, so a
//! restarted simulator still knows both.

use shared::Platform;
use shared::domain::digest::hex;

/// Returns the id of a new grant.
pub(super) fn grant_id(platform: Platform, account: &str, scopes: &[String]) -> String {
    let all = platform.consent().scopes.iter().enumerate();
    let chosen = all.filter(|(_, scope)| scopes.iter().any(|chosen| chosen == *scope));
    let mask = chosen.fold(0_u32, |mask, (number, _)| mask | 1 << number);
    let account = hex(account.as_bytes());
    format!("consent-{mask:x}-{account}-{:016x}", rand::random::<u64>())
}

/// Returns the account of a grant that a consent made.
pub(super) fn account_of(grant: &str) -> Option<String> {
    let encoded = grant.strip_prefix("consent-")?.split('-').nth(1)?;
    let bytes = encoded.as_bytes().chunks(2).map(|pair| {
        let digits = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(digits, 16).ok()
    });
    String::from_utf8(bytes.collect::<Option<Vec<u8>>>()?).ok()
}

/// Returns what a grant that a consent made allows.
pub(super) fn scopes_of(platform: Platform, grant: &str) -> Option<Vec<&'static str>> {
    let mask = grant.strip_prefix("consent-")?.split('-').next()?;
    let mask = u32::from_str_radix(mask, 16).ok()?;
    let all = platform.consent().scopes.iter().enumerate();
    let chosen = all.filter(|(number, _)| mask & 1 << number != 0);
    Some(chosen.map(|(_, scope)| *scope).collect())
}
