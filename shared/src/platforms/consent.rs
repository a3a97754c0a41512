//! The page on which a person consents (RFC 6749, 4.1.1), as each platform wants it.

use std::fmt::Write;

/// What a platform's consent page takes. Its address is the endpoint `authorize`.
#[derive(Debug)]
pub struct Consent {
    /// The name of the parameter with our client id.
    pub client_id: &'static str,
    /// The permissions that we ask for.
    pub scopes: &'static [&'static str],
    pub scope_separator: &'static str,
    /// Further parameters of the page.
    pub parameters: &'static [(&'static str, &'static str)],
    /// Whether the platform demands a code challenge (RFC 7636).
    pub pkce: bool,
}

/// The parameters of one person's visit to a consent page.
#[derive(Debug, Clone, Copy)]
pub struct ConsentRequest<'a> {
    pub client_id: &'a str,
    /// Where the platform sends the person afterwards; it is registered there.
    pub redirect_uri: &'a str,
    /// Comes back with the person and shows that we sent them (RFC 6749, 10.12).
    pub state: &'a str,
    /// Uses the method `S256`; sent only where the platform demands a challenge.
    pub code_challenge: &'a str,
}

impl Consent {
    /// Returns the address to which a person is sent: `page` with its parameters.
    #[must_use]
    pub fn authorization_url(&self, page: &str, request: ConsentRequest<'_>) -> String {
        let scopes = self.scopes.join(self.scope_separator);
        let mut parameters = vec![
            ("response_type", "code"),
            (self.client_id, request.client_id),
            ("redirect_uri", request.redirect_uri),
            ("scope", &scopes),
            ("state", request.state),
        ];
        parameters.extend(self.parameters);
        if self.pkce {
            parameters.push(("code_challenge", request.code_challenge));
            parameters.push(("code_challenge_method", "S256"));
        }
        let query: Vec<_> = parameters
            .into_iter()
            .map(|(name, value)| format!("{name}={}", percent_encode(value)))
            .collect();
        format!("{page}?{}", query.join("&"))
    }
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
