use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::code_exchange::{CodeExchange, Identity};
use super::consent::Consent;
use super::definition::{
    Addresses, ApiCalls, DefaultQuota, Definition, DocumentedLifetimes, HOUR, Probe, ProbeOutcome,
    RefreshModel, TokenHeader,
};
use super::request::Parameter::{AccessToken, ClientId, ClientSecret, Literal};
use super::request::{Authentication, Endpoint, Parameters, RequestShape};
use super::rule::{
    ANYWHERE, APP_MISCONFIGURED, EXPIRED, ErrorBody, GRANT_REFUSED, PERMISSION_LOST, REVOKED, Rule,
    SERVER_ERROR, Unsuccessful, on, status,
};
use super::{code_exchange, json, rfc6749, usage};
use crate::domain::account::Account;
use crate::domain::probe_result::ProbeResult;

pub(super) static DEFINITION: Definition = Definition {
    name: "linkedin",
    aliases: &[],
    display_name: "LinkedIn",
    addresses: Addresses {
        // Of its API no address is asked that has one, and no header is sent.
        version: None,
        token: "https://www.linkedin.com/oauth/v2/accessToken",
        code: None,
        authorize: "https://www.linkedin.com/oauth/v2/authorization",
        api: "https://api.linkedin.com",
    },
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
        pkce: false,
    },
    exchange: CodeExchange {
        request: &code_exchange::REQUEST,
        tokens: rfc6749::tokens,
        lengthening: None,
        identity: Identity::Asked(&ORGANIZATIONS, organizations),
    },
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

/// A new token takes some seconds to work, and until then is called revoked
/// (jclusso/omniauth-linkedin-openid#6, decioferreira/omniauth-linkedin-oauth2#17).
const ACTIVATION: TimeDelta = TimeDelta::seconds(60);

#[rustfmt::skip] // a rule a line
static RULES: &[Rule] = &[
    // "The provided authorization grant or refresh token is invalid, expired or
    // revoked." (nango.dev/blog/linkedin-oauth-refresh-token-invalid-grant)
    on(&["invalid_request"]).saying("refresh token is invalid").means(GRANT_REFUSED),
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
/// the organisations in which the person has a role.
static ORGANIZATIONS: RequestShape = RequestShape {
    endpoint: Endpoint::Api("v2/organizationAcls"),
    authentication: Authentication::Bearer,
    parameters: Parameters::Query(&[("q", Literal("roleAssignee"))]),
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
