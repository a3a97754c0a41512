//! What can be wrong with a request for new tokens or with a probe, and how
//! each platform puts it.

use axum::http::StatusCode;
use shared::Platform;

use super::answer::{
    Answer, business, google_ads, graph, linkedin_api, oauth, problem, snapchat_api, tiktok_api,
};
use super::grant::Denied;
use super::named;

/// Why an exchange is refused.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault<'a> {
    /// The body is not in the platform's encoding.
    Encoding,
    /// A parameter is missing or empty.
    Missing(&'a str),
    /// Another grant type than the refresh's.
    GrantType(&'a str),
    /// The wrong client, or its credentials in the wrong place.
    Client,
    /// The right client with the wrong secret.
    Secret,
    /// What is wrong with the proof that the caller has the secret (Meta).
    Proof(&'static str),
    /// The token is not accepted.
    Token(Denied),
}

/// The token endpoint's answer to a faulty exchange.
pub(super) fn exchange(platform: Platform, fault: Fault<'_>) -> Answer {
    match platform {
        Platform::Meta | Platform::Instagram | Platform::Threads => of_graph(fault),
        Platform::TiktokBusiness => of_business(fault),
        _ => of_oauth(platform, fault),
    }
}

/// The API's answer to a probe with a token that is not accepted, or with none.
pub(super) fn probe(platform: Platform, denied: Option<Denied>) -> Answer {
    let unauthorized = StatusCode::UNAUTHORIZED;
    let expired = denied == Some(Denied::Expired);
    match platform {
        Platform::Meta | Platform::Instagram | Platform::Threads => match denied {
            Some(denied) => of_graph(Fault::Token(denied)),
            None => of_graph(Fault::Missing("access_token")),
        },
        Platform::Tiktok => tiktok_api(
            unauthorized,
            "access_token_invalid",
            "The access token is invalid or not found in the request.",
        ),
        Platform::TiktokBusiness => match denied {
            None => business(40104, "Access token is empty"),
            Some(Denied::Expired) => business(40102, "Access token is expired"),
            Some(_) => business(40105, "Access token is incorrect or has been revoked"),
        },
        Platform::Linkedin => match denied {
            Some(Denied::Revoked) => linkedin_api(
                unauthorized,
                65601,
                "REVOKED_ACCESS_TOKEN",
                "The token used in the request has been revoked by the user",
            ),
            _ => linkedin_api(
                unauthorized,
                65600,
                "INVALID_ACCESS_TOKEN",
                "Invalid access token",
            ),
        },
        Platform::Twitter => problem(unauthorized, "", "Unauthorized", "Unauthorized"),
        Platform::Google => {
            let code = match denied {
                _ if expired => "OAUTH_TOKEN_EXPIRED",
                Some(Denied::Revoked) => "OAUTH_TOKEN_REVOKED",
                _ => "OAUTH_TOKEN_INVALID",
            };
            let message = "Request had invalid authentication credentials.";
            google_ads(unauthorized, "authenticationError", code, message)
        }
        Platform::Snapchat => snapchat_api(unauthorized, "Unauthorized"),
    }
}

fn of_graph(fault: Fault<'_>) -> Answer {
    let (code, subcode, message) = match fault {
        Fault::Encoding => (100, 0, "Unsupported request encoding".to_owned()),
        Fault::Missing("client_id") => (101, 0, "Missing client_id parameter.".to_owned()),
        Fault::Missing(name) => (100, 0, format!("The parameter {name} is required.")),
        Fault::GrantType(_) => (100, 0, "Unsupported grant_type".to_owned()),
        Fault::Client => (
            101,
            0,
            "Error validating application. Invalid application ID.".to_owned(),
        ),
        // The same code as an unknown error; only the message tells.
        Fault::Secret => (1, 0, "Error validating client secret.".to_owned()),
        Fault::Proof("Invalid") => (
            100,
            0,
            "Invalid appsecret_proof provided in the API argument".to_owned(),
        ),
        Fault::Proof(wrong) => (100, 0, format!("{wrong} appsecret_proof argument")),
        Fault::Token(Denied::Revoked) => (
            190,
            458,
            "Error validating access token: The user has not authorized application 1.".to_owned(),
        ),
        Fault::Token(Denied::Expired) => (
            190,
            463,
            "Error validating access token: Session has expired.".to_owned(),
        ),
        // Not documented; callers are to keep the age themselves.
        Fault::Token(Denied::TooYoung) => (
            100,
            0,
            "The access token must be at least 24 hours old to be refreshed.".to_owned(),
        ),
        Fault::Token(Denied::Unknown | Denied::Used) => (
            190,
            0,
            "Invalid OAuth access token - Cannot parse access token".to_owned(),
        ),
    };
    graph(StatusCode::BAD_REQUEST, code, subcode, &message)
}

fn of_business(fault: Fault<'_>) -> Answer {
    match fault {
        Fault::Encoding => business(40002, "The request body must be JSON"),
        Fault::Missing("refresh_token") => business(40104, "refresh_token is empty"),
        Fault::Missing(name) => {
            business(40002, &format!("{name}: Missing data for required field."))
        }
        Fault::GrantType(_) => business(40108, "Grant type is invalid"),
        Fault::Client | Fault::Secret | Fault::Proof(_) => {
            business(40101, "App id or secret is incorrect")
        }
        Fault::Token(Denied::Expired) => business(40103, "Refresh token is expired"),
        Fault::Token(Denied::Revoked) => {
            business(40105, "Access token is incorrect or has been revoked")
        }
        Fault::Token(_) => business(40107, "Refresh token is invalid"),
    }
}

fn of_oauth(platform: Platform, fault: Fault<'_>) -> Answer {
    let status = match platform {
        Platform::Tiktok => StatusCode::OK,
        _ => StatusCode::BAD_REQUEST,
    };
    let refusal = |error: &str, text: &str| oauth(platform, status, error, text);
    let name = match fault {
        Fault::Encoding => {
            let text = "Only `application/x-www-form-urlencoded` is accepted as Content-Type.";
            return refusal("invalid_request", text);
        }
        Fault::Missing(name) => {
            let text = match platform {
                Platform::Twitter => format!("Missing required parameter [{name}]."),
                _ => format!("Missing required parameter: {name}"),
            };
            return refusal("invalid_request", &text);
        }
        Fault::GrantType(given) => {
            let text = format!("Invalid grant_type: {}", given.escape_default());
            return refusal("unsupported_grant_type", &text);
        }
        Fault::Client | Fault::Secret | Fault::Proof(_) => "invalid_client",
        // X calls a dead refresh token an invalid request.
        Fault::Token(_) if platform == Platform::Twitter => "invalid_request",
        Fault::Token(_) => "invalid_grant",
    };
    named::answer(platform, name).unwrap_or_else(|| refusal(name, ""))
}
