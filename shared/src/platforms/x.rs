//! X, OAuth 2.0 with PKCE.

use chrono::TimeDelta;
use serde_json::Value;

use super::code_exchange::{CodeExchange, account, list_of, nobody};
use super::consent::{Consent, ConsentFlow, ConsentPage};
use super::definition::{
    Addresses, ApiCalls, DefaultQuota, Definition, DocumentedLifetimes, HOUR, RefreshModel,
    TokenHeader,
};
use super::json::{code, text};
use super::request::Parameter::{Code, CodeVerifier, Literal, RedirectUri, RefreshToken};
use super::request::{Authentication, Endpoint, Parameters, RequestShape};
use super::rule::{
    ANYWHERE, APP_MISCONFIGURED, APPLICATION_THROTTLED, ErrorBody, GRANT_REFUSED,
    INTEGRATION_THROTTLED, Rule, on, status,
};
use super::{rfc6749, usage};
use crate::domain::verdict::{PlatformAction, Verdict};

pub(super) static DEFINITION: Definition = Definition {
    name: "twitter",
    aliases: &["x"],
    display_name: "X",
    addresses: Addresses {
        version: "2",
        token: "https://api.x.com/{version}/oauth2/token",
        code: None,
        authorize: "https://x.com/i/oauth2/authorize",
        api: "https://api.x.com/{version}",
    },
    consent: |_| &CONSENT,
    refresh_model: RefreshModel::Rotating,
    refresh: REFRESH,
    tokens: rfc6749::tokens,
    lifetimes: DocumentedLifetimes {
        access: TimeDelta::hours(2),
        longest_access: TimeDelta::hours(2),
        access_may_never_end: false,
        access_is_always_named: true,
        refresh: None,
        idle: None,
        data_access: None,
        minimum_age: TimeDelta::zero(),
    },
    // `GET /2/users/me` is billed as a read (trypost).
    probe: None,
    api_headers: &[],
    error_body,
    rules: &[RULES, rfc6749::RULES, ANYWHERE],
    calls: ApiCalls {
        hosts: &[("api", "https://api.x.com")],
        token_header: TokenHeader::Bearer,
        usage: usage::x,
    },
    scope_spellings: &[],
    quota: DefaultQuota {
        limit: 300,
        period: HOUR / 4,
        burst: 100,
    },
};

static CONSENT: ConsentFlow = ConsentFlow {
    page: ConsentPage::Authorize,
    // docs.x.com/fundamentals/authentication/oauth-2-0/authorization-code: without
    // `offline.access` there is no refresh token.
    consent: Consent {
        client_id: "client_id",
        scopes: &["tweet.read", "tweet.write", "users.read", "offline.access"],
        scope_separator: " ",
        parameters: &[],
        login_hint: None,
        pkce: true,
        refusals: &[],
    },
    exchange: CodeExchange {
        request: &CODE,
        tokens: rfc6749::tokens,
        lengthening: None,
        identity: &[(&ME, |body| {
            list_of(account(&body["data"], "id", "username"))
        })],
        beside_tokens: nobody,
    },
};

const ENROL: Verdict = Verdict::PlatformActionNeeded(PlatformAction::Enrol);

#[rustfmt::skip] // a rule a line
static RULES: &[Rule] = &[
    // "Value passed for the token was invalid." (gptme-contrib#285)
    on(&["invalid_request"]).saying("token was invalid").means(GRANT_REFUSED),
    // The same of a code, which lives 30 seconds (plhery/node-twitter-api-v2#496).
    on(&["invalid_request"]).saying("authorization code was invalid").of_code().means(GRANT_REFUSED),
    // Billed to the person who signed in, who has no developer account
    // (cursor/plugins#270).
    on(&["client-forbidden"]).subcode("user-not-enrolled").means(ENROL),
    // docs.x.com, response-codes-and-errors: problems by the end of their `type`;
    // both come as 403 or 429, and only our account there can mend them.
    on(&["usage-capped", "client-forbidden"]).means(APP_MISCONFIGURED),
    // No credits left: with 402, and seen with 403.
    on(&["credits-depleted"]).means(APP_MISCONFIGURED),
    status(402).means(APP_MISCONFIGURED),
    // docs.x.com, rate-limits: of a call with a user's token they are that user's.
    on(&["88"]).in_call().means(INTEGRATION_THROTTLED),
    on(&["88"]).means(APPLICATION_THROTTLED),
    // "Unauthorized", of whatever is wrong with the access token.
    status(401).in_call().means(GRANT_REFUSED),
];

/// The code lives 30 seconds (docs.x.com, oauth-2-0/user-access-token).
static CODE: RequestShape = RequestShape {
    endpoint: Endpoint::Code,
    authentication: Authentication::Basic,
    parameters: Parameters::Form(&[
        ("code", Code),
        ("grant_type", Literal("authorization_code")),
        ("redirect_uri", RedirectUri),
        ("code_verifier", CodeVerifier),
    ]),
};

/// It is billed as a read.
static ME: RequestShape = RequestShape {
    endpoint: Endpoint::Api("users/me"),
    authentication: Authentication::Bearer,
    parameters: Parameters::Query(&[]),
};

/// xdevplatform/docs: HTTP Basic only; X rejects credentials in the body.
const REFRESH: RequestShape = RequestShape {
    endpoint: Endpoint::Token,
    authentication: Authentication::Basic,
    parameters: Parameters::Form(&[
        ("grant_type", Literal("refresh_token")),
        ("refresh_token", RefreshToken),
    ]),
};

fn error_body(body: &Value) -> ErrorBody<'_> {
    rfc6749::error_body(body).unwrap_or_else(|| {
        let problem = text(&body["type"]).rsplit_once("/problems/");
        let older = code(&body["errors"][0]["code"]);
        ErrorBody {
            codes: problem
                .map(|(_, kind)| kind.into())
                .into_iter()
                .chain(older)
                .collect(),
            subcode: code(&body["reason"]),
            message: text(&body["detail"]),
            ..ErrorBody::default()
        }
    })
}
