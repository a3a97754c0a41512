//! The id of a grant that a consent made. It says for whom the grant is and what it allows, so a
//! restarted simulator still knows both.

use shared::Platform;
use shared::domain::digest::hex;

/// Returns the permissions that a page asks for, of the page that asks for any.
fn asked_for(platform: Platform) -> &'static [&'static str] {
    platform.consent(Some(true)).scopes
}

/// Returns the id of a new grant for the account of this id and name.
pub(super) fn grant_id(platform: Platform, account: [&str; 2], scopes: &[String]) -> String {
    let all = asked_for(platform).iter().enumerate();
    let chosen = all.filter(|(_, scope)| scopes.iter().any(|chosen| chosen == *scope));
    let mask = chosen.fold(0_u32, |mask, (number, _)| mask | 1 << number);
    let [id, name] = account.map(|text| hex(text.as_bytes()));
    format!(
        "consent-{mask:x}-{id}-{name}-{:016x}",
        rand::random::<u64>()
    )
}

/// Returns the id of the account of a grant that a consent made.
pub(super) fn account_of(grant: &str) -> Option<String> {
    decode(parts(grant)?[1])
}

/// Returns the name of the account of a grant that a consent made.
pub(super) fn name_of(grant: &str) -> Option<String> {
    decode(parts(grant)?[2])
}

/// Returns what a grant that a consent made allows.
pub(super) fn scopes_of(platform: Platform, grant: &str) -> Option<Vec<&'static str>> {
    let mask = u32::from_str_radix(parts(grant)?[0], 16).ok()?;
    let all = asked_for(platform).iter().enumerate();
    let chosen = all.filter(|(number, _)| mask & 1 << number != 0);
    Some(chosen.map(|(_, scope)| *scope).collect())
}

fn parts(grant: &str) -> Option<[&str; 4]> {
    let parts: Vec<_> = grant.strip_prefix("consent-")?.split('-').collect();
    parts.try_into().ok()
}

fn decode(encoded: &str) -> Option<String> {
    let bytes = encoded.as_bytes().chunks(2).map(|pair| {
        let digits = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(digits, 16).ok()
    });
    String::from_utf8(bytes.collect::<Option<Vec<u8>>>()?).ok()
}
