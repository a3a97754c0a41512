//! Each platform's refresh request, its source named at each arm. Client secrets
//! and tokens are exposed here and nowhere else.

use reqwest::RequestBuilder;
use secrecy::ExposeSecret;
use serde_json::json;

use super::{ClientCredentials, PlatformEndpoints, Tokens};
use crate::Platform;
use crate::platform::RefreshModel;

/// The request that refreshes `tokens`; `None` if the platform wants client
/// credentials and we have none, or if nothing refreshes these tokens.
pub(super) fn build(
    http: &reqwest::Client,
    platform: Platform,
    model: RefreshModel,
    endpoints: &PlatformEndpoints,
    client: Option<&ClientCredentials>,
    tokens: &Tokens,
) -> Option<RequestBuilder> {
    let url = endpoints.token.as_str();
    let access_token = tokens.access_token.expose_secret();
    if platform == Platform::Instagram && model == RefreshModel::Extend {
        // instagram-platform/reference/refresh_access_token: the token alone, no client.
        return Some(http.get(url).query(&[
            ("grant_type", "ig_refresh_token"),
            ("access_token", access_token),
        ]));
    }
    let client = client?;
    let (id, secret) = (
        client.client_id.as_str(),
        client.client_secret.expose_secret(),
    );
    if model == RefreshModel::Extend {
        // facebook-login/guides/access-tokens/get-long-lived
        return Some(http.get(url).query(&[
            ("grant_type", "fb_exchange_token"),
            ("client_id", id),
            ("client_secret", secret),
            ("fb_exchange_token", access_token),
        ]));
    }
    let refresh_token = tokens.refresh_token.as_ref()?.expose_secret();
    let grant = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token),
    ];
    let request = http.post(url);
    Some(match platform {
        // developers.tiktok.com/doc/oauth-user-access-token-management: `client_key`.
        Platform::Tiktok => request.form(&[
            grant[0],
            grant[1],
            ("client_key", id),
            ("client_secret", secret),
        ]),
        // tiktok-business-api-sdk: JSON.
        Platform::TiktokBusiness => request.json(&json!({
            "client_id": id,
            "client_secret": secret,
            "grant_type": "refresh_token",
            "refresh_token": refresh_token,
        })),
        // xdevplatform/docs: HTTP Basic only; X rejects credentials in the body.
        Platform::Twitter => request.basic_auth(id, Some(secret)).form(&grant),
        // learn.microsoft.com, programmatic-refresh-tokens; developers.google.com,
        // identity/protocols/oauth2; developers.snap.com, Ads-API/authentication.
        Platform::Linkedin | Platform::Google | Platform::Snapchat => request.form(&[
            grant[0],
            grant[1],
            ("client_id", id),
            ("client_secret", secret),
        ]),
        // A refresh token means nothing to them.
        Platform::Meta | Platform::Instagram => return None,
    })
}
