//! Instagram, by the Instagram API with Instagram Login.

use serde_json::Value;

use super::code_exchange::{CodeExchange, account, list_of, nobody};
use super::consent::{Consent, ConsentFlow, ConsentPage};
use super::definition::{
    Addresses, ApiCalls, DefaultQuota, Definition, HOUR, Probe, RefreshModel, TokenHeader,
};
use super::request::Parameter::{AccessToken, ClientSecret, Literal};
use super::request::{Authentication, Endpoint, Parameters, RequestShape};
use super::rule::ANYWHERE;
use super::{code_exchange, graph, rfc6749, usage};

pub(super) static DEFINITION: Definition = Definition {
    name: "instagram",
    aliases: &[],
    display_name: "Instagram",
    addresses: Addresses {
        // As the Graph API of Meta.
        version: "v26.0",
        token: "https://graph.instagram.com/refresh_access_token",
        code: Some("https://api.instagram.com/oauth/access_token"),
        authorize: "https://www.instagram.com/oauth/authorize",
        api: "https://graph.instagram.com/{version}",
    },
    consent: |_| &CONSENT,
    refresh_model: RefreshModel::Extend,
    refresh: EXTENSION,
    tokens: rfc6749::tokens,
    lifetimes: graph::EXTENDED_BY_ITSELF,
    probe: Some(Probe {
        request: |_, _| &ME,
        outcome: graph::is_somebody,
    }),
    api_headers: &[],
    error_body: graph::error_body,
    rules: &[graph::RULES, ANYWHERE],
    calls: ApiCalls {
        hosts: &[("graph", "https://graph.instagram.com")],
        token_header: TokenHeader::Bearer,
        usage: usage::graph,
    },
    scope_spellings: &[],
    quota: DefaultQuota {
        limit: 200,
        period: HOUR,
        burst: 50,
    },
};

static CONSENT: ConsentFlow = ConsentFlow {
    page: ConsentPage::Authorize,
    // instagram-platform/instagram-api-with-instagram-login/business-login
    consent: Consent {
        client_id: "client_id",
        scopes: &[
            "instagram_business_basic",
            "instagram_business_content_publish",
        ],
        scope_separator: ",",
        // The token of somebody who signs in by Facebook cannot be exchanged for a longer-lived one
        // (trypostit/trypost, InstagramProvider.php).
        parameters: &[("enable_fb_login", "false"), ("force_reauth", "true")],
        login_hint: None,
        pkce: false,
        refusals: &[],
    },
    // The same page, steps 2 and 3.
    exchange: CodeExchange {
        request: &code_exchange::REQUEST,
        tokens: first_of_data,
        lengthening: Some(&LENGTHENING),
        identity: &[(&WHO, |body| list_of(account(body, "user_id", "username")))],
        beside_tokens: nobody,
    },
};

/// instagram-platform/reference/refresh_access_token: the token alone, no client.
const EXTENSION: RequestShape = RequestShape {
    endpoint: Endpoint::Token,
    authentication: Authentication::None,
    parameters: Parameters::Query(&[
        ("grant_type", Literal("ig_refresh_token")),
        ("access_token", AccessToken),
    ]),
};

/// instagram-platform/reference/access_token: the token of a code lives an hour, this one 60 days.
/// Some clients send `client_id` too (gitroomhq/postiz-app, instagram.standalone.provider.ts);
/// the documentation does not have it.
static LENGTHENING: RequestShape = RequestShape {
    endpoint: Endpoint::BesideToken("access_token"),
    authentication: Authentication::None,
    parameters: Parameters::Query(&[
        ("grant_type", Literal("ig_exchange_token")),
        ("client_secret", ClientSecret),
        ("access_token", AccessToken),
    ]),
};

static WHO: RequestShape = RequestShape {
    endpoint: Endpoint::Api("me"),
    authentication: Authentication::None,
    parameters: Parameters::Query(&[
        ("fields", Literal("user_id,username")),
        ("access_token", AccessToken),
    ]),
};

static ME: RequestShape = RequestShape {
    endpoint: Endpoint::Api("me"),
    authentication: Authentication::None,
    parameters: Parameters::Query(&[
        ("fields", Literal("user_id")),
        ("access_token", AccessToken),
    ]),
};

/// Instagram documents a list of one, and has answered without it.
fn first_of_data(body: &Value) -> Option<&Value> {
    Some(body["data"].get(0).unwrap_or(body))
}
