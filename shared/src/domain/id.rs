//! Identifiers. All share one alphabet, without the `#` that separates the parts of a key. So
//! no id can imitate another key.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The longest id, in characters.
pub const MAX_LENGTH: usize = 128;

/// What an id may be, in words that follow its name.
pub const RULE: &str =
    "must be 1 to 128 characters out of A-Z a-z 0-9 . _ : @ | -, and more than dots";

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {RULE}")]
pub struct InvalidId {
    what: &'static str,
}

impl InvalidId {
    /// Returns what an id must be, in words that follow the name of its field.
    #[must_use]
    pub fn rule(&self) -> &'static str {
        RULE
    }
}

fn is_id(text: &str) -> bool {
    (1..=MAX_LENGTH).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._:@|-".contains(&b))
        // In a path, dots alone lead elsewhere.
        && text.bytes().any(|b| b != b'.')
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
        )]
        #[serde(try_from = "String", into = "String")]
        // `MAX_LENGTH` and `is_id`, which a test compares.
        #[schema(min_length = 1, max_length = 128, pattern = "^[.]*[A-Za-z0-9_:@|-][A-Za-z0-9._:@|-]*$")]
        pub struct $name(String);

        impl $name {
            /// Checks the alphabet and the length.
            ///
            /// # Errors
            /// [`InvalidId`] says which id and what it may hold.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidId> {
                let text = text.into();
                if is_id(&text) { Ok(Self(text)) } else { Err(InvalidId { what: $what }) }
            }

            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Returns the segment of a URL path that names it. Of the characters of an id, only
            /// `|` is none of a path.
            #[must_use]
            pub fn path_segment(&self) -> String {
                self.0.replace('|', "%7C")
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// An organisation, the tenant that owns integrations.
    OrgId,
    "org_id"
);
id!(
    /// One integration of an organisation to a platform account.
    IntegrationId,
    "integration_id"
);
id!(
    /// A person or machine client, as the identity provider names it.
    UserId,
    "user_id"
);

/// An integration's primary key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct IntegrationKey {
    pub org_id: OrgId,
    pub integration_id: IntegrationId,
}

impl fmt::Display for IntegrationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "integration {}/{}", self.org_id, self.integration_id)
    }
}

/// Returns the id that a segment of a URL path spells. Characters stand for themselves. Only
/// `|`, `:` and `@` may be percent-encoded, in capitals or not (equal by RFC 3986, 2.1). RFC
/// 3986 does not allow `|` there, and some clients encode `:` and `@` because they encode whole
/// segments. No other encoding spells an id: nobody needs one, and whoever sends `%2F` or `%69`
/// wants two readers to disagree. Every spelling is the same id, so one integration has one
/// quota key.
#[must_use]
pub fn from_path_segment(segment: &str) -> Option<String> {
    let mut parts = segment.split('%');
    let mut text = parts.next()?.to_owned();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        text.push(match code.to_ascii_uppercase().as_str() {
            "3A" => ':',
            "40" => '@',
            "7C" => '|',
            _ => return None,
        });
        text.push_str(rest);
    }
    is_id(&text).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_outside_the_alphabet_are_refused() {
        for bad in [
            "",
            "user#x",
            "a b",
            "a/b",
            "ä",
            "a%69",
            "a\n",
            ".",
            "..",
            &"x".repeat(129),
        ] {
            let error = OrgId::new(bad).unwrap_err().to_string();
            assert!(
                error.starts_with("org_id must be 1 to 128"),
                "{bad:?}: {error}"
            );
        }
        for good in [
            "a",
            "auth0|5f7c8ec7",
            "me@example.com",
            "urn:x-1_2.3",
            "..a",
            &"x".repeat(128),
        ] {
            assert_eq!(OrgId::new(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn a_path_segment_spells_one_id_or_none() {
        for same in ["a|b:c@d", "a%7Cb%3Ac%40d", "a%7cb%3ac%40d", "a|b%3Ac@d"] {
            assert_eq!(
                from_path_segment(same).as_deref(),
                Some("a|b:c@d"),
                "{same}"
            );
        }
        for whole in ["%3A", "%40%40", "a"] {
            assert!(from_path_segment(whole).is_some(), "{whole}");
        }
        for other in [
            "", "%", "%7", "%3", "a%", "%%3A", "%ä", "%3ä", "%69d", "a%2Fb", "a%2fb", "a%23b",
            "a%2Eb", "a%2Db", "a%5Fb", "a%257C", "a%253A", "a%2540", "a%7C%69", "a%3A/b", "%00",
        ] {
            assert_eq!(from_path_segment(other), None, "{other}");
        }
        // As many characters as an id may have, however they are written.
        assert!(from_path_segment(&"%3A".repeat(MAX_LENGTH)).is_some());
        assert!(from_path_segment(&"%3A".repeat(MAX_LENGTH + 1)).is_none());
    }
}
