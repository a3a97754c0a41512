//! What the simulated token endpoints have in common: RFC 6749.

use serde_json::{Value, json};

use super::grant::Issued;
use super::probe::Encoding;
use super::refusal::Refusal;
use super::response::PlatformResponse;
use super::rules::Rules;
use super::simulated::{ClientAuthentication, CodeEndpoint, Life, NamedError, RefreshEndpoint};

/// Returns a token endpoint that takes a form with the client's credentials in it.
pub(super) const fn endpoint(body: fn(&Rules, &Issued) -> Value) -> RefreshEndpoint {
    RefreshEndpoint {
        encodings: &[Encoding::Form],
        authentication: ClientAuthentication::Parameters(["client_id", "client_secret"]),
        grant_type: "refresh_token",
        token: "refresh_token",
        extends: false,
        check: |_, _| Ok(()),
        body,
    }
}

/// Returns an endpoint for codes that takes a form with the client's credentials in it.
pub(super) const fn code_endpoint(body: fn(&Rules, &Issued) -> Value) -> CodeEndpoint {
    CodeEndpoint {
        path: None,
        encodings: &[Encoding::Form],
        authentication: ClientAuthentication::Parameters(["client_id", "client_secret"]),
        grant_type: Some("authorization_code"),
        code: "code",
        wants_redirect_uri: true,
        life: Life::AsRefreshed,
        lengthening: None,
        body,
        refuse: |_| {
            error(
                400,
                "invalid_grant",
                "The code is invalid, expired or was used.",
            )
        },
    }
}

/// Builds the fields that every answer with new tokens has (section 5.1).
pub(super) fn tokens(rules: &Rules, issued: &Issued) -> Value {
    let mut body = json!({"access_token": issued.access_token, "scope": rules.scope});
    if rules.says_expires_in {
        body["expires_in"] = json!(issued.expires_in);
    }
    body
}

/// Builds the error of a token endpoint (section 5.2).
pub(super) fn error(status: u16, error: &str, description: &str) -> PlatformResponse {
    PlatformResponse::json(status, &body(error, description))
}

pub(super) fn body(error: &str, description: &str) -> Value {
    json!({"error": error, "error_description": description})
}

/// Returns a refusal's error name, and its description; `None` where a named error of the
/// platform says it all.
pub(super) fn describe(refusal: Refusal<'_>) -> (&'static str, Option<String>) {
    match refusal {
        Refusal::Encoding => {
            let text = "Only `application/x-www-form-urlencoded` is accepted as Content-Type.";
            ("invalid_request", Some(text.to_owned()))
        }
        Refusal::Missing(name) => {
            let text = format!("Missing required parameter: {name}");
            ("invalid_request", Some(text))
        }
        Refusal::GrantType(given) => {
            let text = format!("Invalid grant_type: {}", given.escape_default());
            ("unsupported_grant_type", Some(text))
        }
        Refusal::Client | Refusal::Secret | Refusal::Proof(_) => ("invalid_client", None),
        Refusal::Token(_) => ("invalid_grant", None),
    }
}

/// Answers a refused refresh, with what the platform's own errors say.
pub(super) fn refuse(errors: &[NamedError], refusal: Refusal<'_>) -> PlatformResponse {
    let (name, text) = describe(refusal);
    let named = errors.iter().find(|(known, _)| *known == name);
    match (text, named) {
        (None, Some((_, answer))) => answer(),
        (text, _) => error(400, name, &text.unwrap_or_default()),
    }
}
