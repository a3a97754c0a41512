//! Identifiers. One alphabet for all of them, without the `#` that separates
//! parts of a key, so that no id can imitate another key.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest id, in characters.
pub const MAX_LENGTH: usize = 128;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be 1 to {MAX_LENGTH} characters out of A-Z a-z 0-9 . _ : @ | -")]
pub struct InvalidId {
    what: &'static str,
}

fn is_id(text: &str) -> bool {
    (1..=MAX_LENGTH).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._:@|-".contains(&b))
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
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

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
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
    /// An organisation, the tenant that owns connections.
    OrgId,
    "org_id"
);
id!(
    /// One connection of an organisation to a platform account.
    IntegrationId,
    "integration_id"
);
id!(
    /// A person or machine client, as the identity provider names it.
    UserId,
    "user_id"
);

/// The one spelling of an id in a URL path: itself, except that `|`, which
/// RFC 3986 does not allow there, may be written `%7C`. Any other
/// percent-encoding is not a spelling of an id, so that one integration has
/// one path and one quota key.
#[must_use]
pub fn from_path_segment(segment: &str) -> Option<String> {
    let text = segment.replace("%7C", "|");
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
            &"x".repeat(128),
        ] {
            assert_eq!(OrgId::new(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn a_path_segment_has_one_spelling() {
        assert_eq!(from_path_segment("auth0%7C1").as_deref(), Some("auth0|1"));
        assert_eq!(from_path_segment("auth0|1").as_deref(), Some("auth0|1"));
        for other in ["%69d", "auth0%7c1", "a%2Fb", "a%23b", "a%257C"] {
            assert_eq!(from_path_segment(other), None, "{other}");
        }
    }
}
