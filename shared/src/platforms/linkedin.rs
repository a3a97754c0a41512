use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::code_exchange::{CodeExchange, nobody};
use super::consent::{Consent, ConsentFlow, ConsentPage};
use super::definition::{
    Addresses, ApiCalls, DefaultQuota, Definition, DocumentedLifetimes, HOUR, Probe, ProbeOutcome,
    RefreshModel, TokenHeader,
};
use super::request::Parameter::{AccessToken, ApiVersion, ClientId, ClientSecret, Literal};
use super::request::{Authentication, Endpoint, Parameters, RequestShape};
use super::rule::{
    ANYWHERE, APP_MISCONFIGURED, EXPIRED, ErrorBody, GRANT_REFUSED, PERMISSION_LOST, REVOKED, Rule,
    SERVER_ERROR, Unsuccessful, on, status,
};
use super::{code_exchange, json, rfc6749, usage};
use crate::domain::account::Account;
use crate::domain::consent_refusal::ConsentRefusal;
use crate::domain::probe_result::ProbeResult;

pub(super) static DEFINITION: Definition = Definition {
    name: "linkedin",
    aliases: &[],
    display_name: "LinkedIn",
    addresses: Addresses {
        // In a header, not in an address. One comes out every month and works for a year at
        // least (learn.microsoft.com, linkedin/marketing/versioning).
        version: "202609",
        token: "https://www.linkedin.com/oauth/v2/accessToken",
        code: None,
        authorize: "https://www.linkedin.com/oauth/v2/authorization",
        api: "https://api.linkedin.com",
    },
    consent: |_| &CONSENT,
    refresh_model: RefreshModel::Static,
    refresh: rfc6749::REFRESH, // learn.microsoft.com, programmatic-refresh-tokens
    tokens: rfc6749::tokens,
    // The same page. The refresh token's year begins with the consent and is not renewed.
    lifetimes: DocumentedLifetimes {
        access: TimeDelta::days(60),
        longest_access: TimeDelta::days(60),
        access_may_never_end: false,
        access_is_always_named: true,
        refresh: Some(TimeDelta::days(365)),
        idle: None,
        data_access: None,
        minimum_age: TimeDelta::zero(),
    },
    probe: Some(Probe {
        request: |_, _| &INTROSPECTION,
        outcome: introspected,
    }),
    api_headers: &[
        ("LinkedIn-Version", ApiVersion),
        // learn.microsoft.com, linkedin/shared/api-guide/concepts/protocol-version
        ("X-Restli-Protocol-Version", Literal("2.0.0")),
    ],
    error_body,
    rules: &[RULES, rfc6749::RULES, ANYWHERE],
    calls: ApiCalls {
        hosts: &[("api", "https://api.linkedin.com")],
        token_header: TokenHeader::Bearer,
        usage: usage::none,
    },
    scope_spellings: &[],
    quota: DefaultQuota {
        limit: 100,
        period: 24 * HOUR,
        burst: 20,
    },
};

static CONSENT: ConsentFlow = ConsentFlow {
    page: ConsentPage::Authorize,
    // learn.microsoft.com, linkedin/shared/authentication/authorization-code-flow
    consent: Consent {
        client_id: "client_id",
        scopes: &[
            "r_ads",
            "r_ads_reporting",
            "rw_organization_admin",
            "w_organization_social",
        ],
        scope_separator: " ",
        parameters: &[],
        login_hint: None,
        pkce: false,
        // The same page, step 2, and getting-access for the last.
        refusals: &[
            ("user_cancelled_login", ConsentRefusal::Denied),
            ("user_cancelled_authorize", ConsentRefusal::Denied),
            ("unauthorized_scope_error", ConsentRefusal::AppRefused),
        ],
    },
    exchange: CodeExchange {
        request: &code_exchange::REQUEST,
        tokens: rfc6749::tokens,
        lengthening: None,
        identity: &[(&ORGANIZATIONS, organizations)],
        beside_tokens: nobody,
    },
};

/// A new token takes some seconds to work, and until then is called revoked
/// (jclusso/omniauth-linkedin-openid#6, decioferreira/omniauth-linkedin-oauth2#17).
const ACTIVATION: TimeDelta = TimeDelta::seconds(60);

#[rustfmt::skip] // a rule a line
static RULES: &[Rule] = &[
    // "The provided authorization grant or refresh token is invalid, expired or
    // revoked." (nango.dev/blog/linkedin-oauth-refresh-token-invalid-grant)
    on(&["invalid_request"]).saying("refresh token is invalid").means(GRANT_REFUSED),
    // "appid/redirect uri/code verifier does not match authorization code. Or authorization code
    // expired": of these only the last changes (nvh95/react-linkedin-login-oauth2#26,
    // d3xt3r2909/linkedin_login#75). And "authorization code not found"
    // (learn.microsoft.com, authorization-code-flow).
    on(&["invalid_request", "invalid_redirect_uri"]).saying("authorization code expired").of_code().means(GRANT_REFUSED),
    on(&["invalid_request"]).saying("authorization code not found").of_code().means(GRANT_REFUSED),
    // The API's. Expiry is the access token's alone.
    on(&["65602", "65604", "EXPIRED_ACCESS_TOKEN"]).of_access_token().means(EXPIRED),
    on(&["65600", "INVALID_ACCESS_TOKEN"]).of_access_token().means(GRANT_REFUSED),
    // Also said of a token that does not work yet, and these answers don't say
    // how old it is: so a refusal that is to be confirmed, not a revocation.
    on(&["65601", "REVOKED_ACCESS_TOKEN"]).of_access_token().means(GRANT_REFUSED),
    // "Not enough permissions to access: me.GET.NO_VERSION"
    // (linkedin-developers/linkedin-api-js-client#35).
    on(&["100", "ACCESS_DENIED"]).in_call().means(PERMISSION_LOST),
    // An API version past its end (learn.microsoft.com, marketing/versioning).
    status(426).means(APP_MISCONFIGURED),
];

/// Beside the token endpoint (learn.microsoft.com, token-introspection).
static INTROSPECTION: RequestShape = RequestShape {
    endpoint: Endpoint::BesideToken("introspectToken"),
    authentication: Authentication::None,
    parameters: Parameters::Form(&[
        ("client_id", ClientId),
        ("client_secret", ClientSecret),
        ("token", AccessToken),
    ]),
};

/// learn.microsoft.com, community-management/organizations/organization-access-control-by-role:
/// the organisations in which the person has a role. Without `state` it also lists roles that
/// were only asked for, and without `count` ten of them (api-guide/concepts/pagination).
static ORGANIZATIONS: RequestShape = RequestShape {
    endpoint: Endpoint::Api("rest/organizationAcls"),
    authentication: Authentication::Bearer,
    parameters: Parameters::Query(&[
        ("q", Literal("roleAssignee")),
        ("state", Literal("APPROVED")),
        ("count", Literal("100")),
    ]),
};

fn organizations(body: &Value) -> Vec<Account> {
    let elements = body["elements"].as_array().into_iter().flatten();
    let mut all: Vec<Account> = vec![];
    for element in elements {
        let urn = json::text(&element["organization"]);
        let id = urn.rsplit_once(':').map_or(urn, |(_, id)| id);
        if !id.is_empty() && all.iter().all(|known| known.id != id) {
            all.push(Account {
                id: id.to_owned(),
                username: String::new(),
            });
        }
    }
    all
}

fn introspected(body: &Value, now: DateTime<Utc>) -> Option<ProbeOutcome> {
    if body["active"].as_bool()? {
        return Some(Ok(ProbeResult {
            access: json::ends(&body["expires_at"]),
            scopes: json::scopes(&body["scope"]),
            ..ProbeResult::default()
        }));
    }
    let status = ErrorBody {
        codes: json::code(&body["status"]).into_iter().collect(),
        ..ErrorBody::default()
    };
    let is_new = || json::instant(&body["created_at"]).is_some_and(|made| now - made < ACTIVATION);
    let verdict = match json::text(&body["status"]) {
        "expired" => EXPIRED,
        "revoked" if is_new() => SERVER_ERROR,
        "revoked" => REVOKED,
        // Of a token that is none of theirs, or none of our application's.
        _ => GRANT_REFUSED,
    };
    Some(Err(Unsuccessful {
        verdict,
        code: status.code_to_keep(),
    }))
}

fn error_body(body: &Value) -> ErrorBody<'_> {
    rfc6749::error_body(body).unwrap_or_else(|| ErrorBody {
        codes: [&body["serviceErrorCode"], &body["code"]]
            .into_iter()
            .filter_map(json::code)
            .collect(),
        message: json::text(&body["message"]),
        ..ErrorBody::default()
    })
}
