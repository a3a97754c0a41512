//! Where a person's session at the issuer ends.

use serde::Serialize;
use shared::openid::{FetchError, Issuer, Metadata};
use utoipa::ToSchema;

/// Of OpenID Connect RP-Initiated Logout 1.0, 2.
const STANDARD: &[&str] = &["client_id", "id_token_hint", "post_logout_redirect_uri"];
/// Cognito calls the way back by a name of its own, and reads nothing besides
/// (docs.aws.amazon.com/cognito/latest/developerguide/logout-endpoint.html).
const COGNITO: &[&str] = &["client_id", "logout_uri"];

/// Where the page sends people who sign out, and with which of the parameters that it knows.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SignOut {
    endpoint: String,
    parameters: &'static [&'static str],
}

impl SignOut {
    /// Returns `None` if the issuer ends no sessions.
    pub(super) fn at(issuer: &Issuer, metadata: &Metadata) -> Result<Option<Self>, FetchError> {
        let named = &metadata.end_session_endpoint;
        let (endpoint, parameters) = match (named.as_str(), issuer.is_cognito()) {
            ("", false) => return Ok(None),
            // Beside the page where people sign in, on the user pool's domain.
            ("", true) => {
                let page = &metadata.authorization_endpoint;
                let mut url = issuer.address("authorization_endpoint", page)?;
                url.set_path("/logout");
                (url, COGNITO)
            }
            (named, is_cognito) => {
                let parameters = if is_cognito { COGNITO } else { STANDARD };
                (issuer.address("end_session_endpoint", named)?, parameters)
            }
        };
        Ok(Some(Self {
            endpoint: endpoint.into(),
            parameters,
        }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn sign_out(issuer: &str, end_session_endpoint: &str) -> Value {
        let metadata = json!({
            "issuer": issuer,
            "authorization_endpoint": "https://people.example/oauth2/authorize",
            "end_session_endpoint": end_session_endpoint,
        });
        let metadata = serde_json::from_value(metadata).unwrap();
        json!(SignOut::at(&Issuer::new(issuer).unwrap(), &metadata).unwrap())
    }

    #[test]
    fn the_issuer_decides_what_the_page_sends() {
        let (issuer, end) = ("https://id.example", "https://id.example/end");
        assert_eq!(sign_out(issuer, ""), Value::Null);
        let standard = json!({"endpoint": end, "parameters": STANDARD});
        assert_eq!(sign_out(issuer, end), standard);
        // Whether its discovery document says so or not.
        let issuer = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_a";
        let end = "https://people.example/logout";
        let cognito = json!({"endpoint": end, "parameters": ["client_id", "logout_uri"]});
        assert_eq!(sign_out(issuer, end), cognito);
        assert_eq!(sign_out(issuer, ""), cognito);
    }
}
