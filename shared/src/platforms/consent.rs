//! The page on which a person consents (RFC 6749, 4.1.1), as each platform wants it, and what its
//! page says of a refusal.

use std::fmt::Write;

use super::code_exchange::CodeExchange;
use crate::domain::consent_refusal::ConsentRefusal;

/// A way in which a person consents, from the page to the grant.
#[derive(Debug)]
pub(crate) struct ConsentFlow {
    pub(crate) page: ConsentPage,
    pub(crate) consent: Consent,
    pub(crate) exchange: CodeExchange,
}

/// Where a consent page is.
#[derive(Debug)]
pub(crate) enum ConsentPage {
    /// The endpoint `authorize`.
    Authorize,
    /// This path below the main host of the API.
    OfHost(&'static str),
}

/// What a platform's consent page takes, and what it answers.
#[derive(Debug)]
pub struct Consent {
    /// The name of the parameter with our client id.
    pub client_id: &'static str,
    /// The permissions that we ask for. Empty where the platform's own page asks for those that
    /// our application is registered with; that page is not the RFC's.
    pub scopes: &'static [&'static str],
    pub scope_separator: &'static str,
    /// Further parameters of the page.
    pub parameters: &'static [(&'static str, &'static str)],
    /// The parameter with the email address of the account that is meant, if the page takes one.
    pub login_hint: Option<&'static str>,
    /// Whether the platform demands a code challenge (RFC 7636).
    pub pkce: bool,
    /// What stands in `error` on the way back, where it is not the RFC's word.
    pub(crate) refusals: &'static [(&'static str, ConsentRefusal)],
}

/// One person's visit to a consent page.
#[derive(Debug, Clone, Copy)]
pub struct Visit<'a> {
    /// Where the platform sends the person afterwards; it is registered there.
    pub redirect_uri: &'a str,
    /// Comes back with the person and shows that we sent them (RFC 6749, 10.12).
    pub state: &'a str,
    /// Uses the method `S256`; sent only where the platform demands a challenge.
    pub code_challenge: &'a str,
    /// The email address of the account that is meant, if it is known.
    pub email: Option<&'a str>,
}

impl Consent {
    /// Returns the address to which a person is sent: `page` with its parameters.
    #[must_use]
    pub fn authorization_url(&self, page: &str, client_id: &str, visit: Visit<'_>) -> String {
        let scopes = self.scopes.join(self.scope_separator);
        let mut parameters = vec![
            (self.client_id, client_id),
            ("redirect_uri", visit.redirect_uri),
            ("state", visit.state),
        ];
        if !scopes.is_empty() {
            parameters.extend([("response_type", "code"), ("scope", &scopes)]);
        }
        parameters.extend(self.parameters);
        parameters.extend(self.login_hint.zip(visit.email));
        if self.pkce {
            parameters.push(("code_challenge", visit.code_challenge));
            parameters.push(("code_challenge_method", "S256"));
        }
        let query: Vec<_> = parameters
            .into_iter()
            .map(|(name, value)| format!("{name}={}", percent_encode(value)))
            .collect();
        format!("{page}?{}", query.join("&"))
    }

    /// Reads what the page says in `error` (RFC 6749, 4.1.2.1) of a person that comes back without
    /// a code.
    #[must_use]
    pub fn refusal(&self, error: &str) -> ConsentRefusal {
        let own = self.refusals.iter().find(|(said, _)| *said == error);
        match (own, error) {
            (Some((_, refusal)), _) => *refusal,
            (None, "access_denied") => ConsentRefusal::Denied,
            (
                None,
                "invalid_request"
                | "unauthorized_client"
                | "unsupported_response_type"
                | "invalid_scope",
            ) => ConsentRefusal::AppRefused,
            (None, _) => ConsentRefusal::PlatformFailed,
        }
    }
}

/// Returns what an account is called if that is an email address, which a page can be told.
#[must_use]
pub fn email(username: &str) -> Option<&str> {
    let (name, domain) = username.split_once('@')?;
    let is_email = !name.is_empty() && domain.contains('.') && !domain.contains('@');
    (is_email && !username.contains(char::is_whitespace)).then_some(username)
}

/// Encodes everything but the unreserved characters of RFC 3986, 2.3.
fn percent_encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(byte.into());
            }
            _ => {
                let _ = write!(encoded, "%{byte:02X}"); // a String takes everything
            }
        }
    }
    encoded
}
