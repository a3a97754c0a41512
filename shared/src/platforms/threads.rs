//! Threads, by the Threads API.

use super::code_exchange::{CodeExchange, account, list_of, unnamed};
use super::consent::{Consent, ConsentFlow, ConsentPage};
use super::definition::{
    Addresses, ApiCalls, DefaultQuota, Definition, HOUR, Probe, RefreshModel, TokenHeader,
};
use super::request::Parameter::{AccessToken, ClientSecret, Literal};
use super::request::{Authentication, Endpoint, Parameters, RequestShape};
use super::rule::ANYWHERE;
use super::{code_exchange, graph, rfc6749, usage};

pub(super) static DEFINITION: Definition = Definition {
    name: "threads",
    aliases: &[],
    display_name: "Threads",
    addresses: Addresses {
        version: "v1.0",
        token: "https://graph.threads.net/refresh_access_token",
        code: Some("https://graph.threads.net/oauth/access_token"),
        authorize: "https://threads.com/oauth/authorize",
        api: "https://graph.threads.net/{version}",
    },
    consent: |_| &CONSENT,
    refresh_model: RefreshModel::Extend,
    refresh: EXTENSION,
    tokens: rfc6749::tokens,
    // docs/threads/get-started/long-lived-tokens
    lifetimes: graph::EXTENDED_BY_ITSELF,
    probe: Some(Probe {
        request: |_, _| &ME,
        outcome: graph::is_somebody,
    }),
    api_headers: &[],
    error_body: graph::error_body,
    rules: &[graph::RULES, ANYWHERE],
    calls: ApiCalls {
        hosts: &[("graph", "https://graph.threads.net")],
        token_header: TokenHeader::Bearer,
        usage: usage::graph,
    },
    scope_spellings: &[],
    // docs/threads/overview, rate limiting: 4,800 calls in 24 hours for each impression
    // of the account, ten of them at least. This is one impression's share.
    quota: DefaultQuota {
        limit: 200,
        period: HOUR,
        burst: 50,
    },
};

static CONSENT: ConsentFlow = ConsentFlow {
    page: ConsentPage::Authorize,
    // developers.facebook.com/documentation/threads/get-started/
    // get-access-tokens-and-permissions (August 2026; threads.net before that). Every
    // call takes `threads_basic`, a refresh too.
    consent: Consent {
        client_id: "client_id",
        scopes: &["threads_basic", "threads_content_publish"],
        scope_separator: ",",
        parameters: &[],
        login_hint: None,
        pkce: false,
        refusals: &[],
    },
    exchange: CodeExchange {
        request: &code_exchange::REQUEST,
        tokens: rfc6749::tokens,
        lengthening: Some(&LENGTHENING),
        identity: &[(&WHO, |body| list_of(account(body, "id", "username")))],
        beside_tokens: |body| list_of(unnamed(&body["user_id"])),
    },
};

/// docs/threads/get-started/long-lived-tokens: the token alone, no client. One that has
/// expired "can no longer be refreshed".
const EXTENSION: RequestShape = RequestShape {
    endpoint: Endpoint::Token,
    authentication: Authentication::None,
    parameters: Parameters::Query(&[
        ("grant_type", Literal("th_refresh_token")),
        ("access_token", AccessToken),
    ]),
};

/// docs/threads/threads-profiles
/// The token of a code lives an hour; this one 60 days.
static LENGTHENING: RequestShape = RequestShape {
    endpoint: Endpoint::BesideToken("access_token"),
    authentication: Authentication::None,
    parameters: Parameters::Query(&[
        ("grant_type", Literal("th_exchange_token")),
        ("client_secret", ClientSecret),
        ("access_token", AccessToken),
    ]),
};

static WHO: RequestShape = RequestShape {
    endpoint: Endpoint::Api("me"),
    authentication: Authentication::None,
    parameters: Parameters::Query(&[
        ("fields", Literal("id,username")),
        ("access_token", AccessToken),
    ]),
};

static ME: RequestShape = RequestShape {
    endpoint: Endpoint::Api("me"),
    authentication: Authentication::None,
    parameters: Parameters::Query(&[("fields", Literal("id")), ("access_token", AccessToken)]),
};
