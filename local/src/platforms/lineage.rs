//! What a token's text says about its origin. A restarted simulator recognises its
//! own tokens by it.

use aws_lc_rs::digest::{SHA256, digest};
use shared::Platform;
use shared::domain::digest::hex;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    Access,
    Refresh,
}

/// The grant that a token belongs to, and its place in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lineage {
    pub(super) grant: String,
    /// `None` for a token that we did not issue: it may be either.
    pub(super) kind: Option<TokenKind>,
    /// 0 for a token that we did not issue, then counting each exchange.
    pub(super) generation: u32,
}

/// Parses a token. Returns `None` if another platform's simulator issued it: this one
/// will never accept it.
pub(super) fn parse(platform: Platform, token: &str) -> Option<Lineage> {
    let Some((issuer, grant, kind, generation)) = issued(token) else {
        return Some(Lineage {
            grant: fingerprint(platform, token),
            kind: None,
            generation: 0,
        });
    };
    (issuer == platform.name()).then(|| Lineage {
        grant: grant.to_owned(),
        kind: Some(kind),
        generation,
    })
}

pub(super) fn mint(platform: Platform, grant: &str, kind: TokenKind, generation: u32) -> String {
    let letter = match kind {
        TokenKind::Access => 'a',
        TokenKind::Refresh => 'r',
    };
    let random = rand::random::<u128>();
    format!("sim.{platform}.{grant}.{letter}{generation}.{random:032x}")
}

fn issued(token: &str) -> Option<(&str, &str, TokenKind, u32)> {
    let mut parts = token.strip_prefix("sim.")?.splitn(4, '.');
    let (platform, grant, place) = (parts.next()?, parts.next()?, parts.next()?);
    parts.next()?;
    let kind = match place.chars().next()? {
        'a' => TokenKind::Access,
        'r' => TokenKind::Refresh,
        _ => return None,
    };
    Some((platform, grant, kind, place.get(1..)?.parse().ok()?))
}

/// Derives a grant's id from the token by which it was adopted. After a restart, that
/// token is then recognised as an ancestor, not adopted again.
fn fingerprint(platform: Platform, token: &str) -> String {
    let hash = digest(&SHA256, format!("{platform} {token}").as_bytes());
    hex(&hash.as_ref()[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issued_token_names_its_grant() {
        let token = mint(Platform::Twitter, "c0ffee", TokenKind::Refresh, 7);
        assert!(token.starts_with("sim.twitter.c0ffee.r7."), "{token}");
        let parsed = parse(Platform::Twitter, &token).unwrap();
        assert_eq!(parsed.grant, "c0ffee");
        assert_eq!(parsed.kind, Some(TokenKind::Refresh));
        assert_eq!(parsed.generation, 7);
        assert_eq!(parse(Platform::Tiktok, &token), None);
    }

    #[test]
    fn any_other_token_has_a_grant_of_its_own() {
        for token in ["EAAB.x", "sim.meta", "sim.meta.g.q1.x", "sim.meta.g.é1.x"] {
            let first = parse(Platform::Meta, token).unwrap();
            assert_eq!(first, parse(Platform::Meta, token).unwrap());
            assert_eq!((first.kind, first.generation), (None, 0), "{token}");
            let elsewhere = parse(Platform::Instagram, token).unwrap();
            assert_ne!(first.grant, elsewhere.grant);
        }
    }
}
