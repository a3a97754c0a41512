//! Meta: Facebook, its pages and ads, by a long-lived user token of the Graph API.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::code_exchange::{CodeExchange, account, nobody, unnamed};
use super::consent::{Consent, ConsentFlow, ConsentPage};
use super::definition::{
    Addresses, ApiCalls, DefaultQuota, Definition, DocumentedLifetimes, HOUR, Probe, ProbeOutcome,
    RefreshModel, TokenHeader,
};
use super::request::Parameter::{
    AccessToken, AppAccessToken, ClientId, ClientSecret, Code, Literal, ProofOf, RedirectUri,
};
use super::request::{Authentication, Endpoint, Parameters, RequestShape};
use super::rule::{
    ANYWHERE, APP_MISCONFIGURED, GRANT_REFUSED, RequestKind, Rule, Unsuccessful, find, on,
};
use super::{graph, json, rfc6749, usage};
use crate::domain::account::Account;
use crate::domain::probe_result::ProbeResult;
use crate::domain::verdict::Verdict;

pub(super) static DEFINITION: Definition = Definition {
    name: "meta",
    aliases: &["facebook"],
    display_name: "Facebook",
    addresses: Addresses {
        // Since July 2026; each works for about two years.
        version: "v26.0",
        token: "https://graph.facebook.com/{version}/oauth/access_token",
        code: None,
        authorize: "https://www.facebook.com/{version}/dialog/oauth",
        api: "https://graph.facebook.com/{version}",
    },
    consent: |_| &CONSENT,
    // A Page's or a system user's token may never end.
    refresh_model: RefreshModel::Extend,
    refresh: EXCHANGE,
    tokens: rfc6749::tokens,
    lifetimes: DocumentedLifetimes {
        access: TimeDelta::days(60),
        longest_access: TimeDelta::days(60),
        access_may_never_end: true,
        // An extension may leave it out: `debug_token` has it.
        access_is_always_named: false,
        refresh: None,
        idle: None,
        // developers.facebook.com/docs/facebook-login/auth-vs-data
        data_access: Some(TimeDelta::days(90)),
        minimum_age: TimeDelta::zero(),
    },
    probe: Some(Probe {
        request: |_, _| &DEBUG_TOKEN,
        outcome: debugged,
    }),
    api_headers: &[],
    error_body: graph::error_body,
    rules: &[OUR_TOKEN, graph::RULES, ANYWHERE],
    calls: ApiCalls {
        hosts: &[
            ("graph", "https://graph.facebook.com"),
            ("graph-video", "https://graph-video.facebook.com"),
        ],
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
    // facebook-login/guides/advanced/manual-flow. `reauthorize` begins the 90 days of data access
    // anew (facebook-login/auth-vs-data), and shows the choice of pages again. `rerequest` would
    // only ask for what a person has declined before (.../permissions/request-revoke),
    // `reauthenticate` for their password (.../reauthentication).
    consent: Consent {
        client_id: "client_id",
        scopes: &[
            "pages_show_list",
            "pages_read_engagement",
            "pages_manage_posts",
            "ads_read",
        ],
        scope_separator: ",",
        parameters: &[("auth_type", "reauthorize")],
        login_hint: None,
        pkce: false,
        refusals: &[],
    },
    // facebook-login/guides/advanced/manual-flow, and the long-lived token after it. The pages
    // that a person manages are accounts as well (pages-api/manage-pages). Those of a business are
    // not listed unless the grant has `business_management` for it (graph-api/changelog/
    // version17.0), but `debug_token` names those that were chosen.
    exchange: CodeExchange {
        request: &CODE,
        tokens: rfc6749::tokens,
        lengthening: Some(&EXCHANGE),
        identity: &[(&ME, accounts), (&DEBUG_TOKEN, chosen_pages)],
        beside_tokens: nobody,
    },
};

/// `debug_token` is asked with our own token, `{app_id}|{app_secret}`. Faults of the other
/// token stand in `data`.
static OUR_TOKEN: &[Rule] = &[on(&["190", "102"]).in_probe().means(APP_MISCONFIGURED)];

/// facebook-login/guides/access-tokens/get-long-lived. A system user's token of 60 days is
/// extended by the same exchange with `set_token_expires_in_60_days`
/// (business-management-apis/system-users/install-apps-and-generate-tokens). Before a
/// probe we do not know whether a token is a system user's. The parameter does not change the
/// answer to a person's token: DayMoonDevelopment/post-for-me sends it with every account's. A
/// token that never ends is not exchanged at all.
const EXCHANGE: RequestShape = RequestShape {
    endpoint: Endpoint::Token,
    authentication: Authentication::None,
    parameters: Parameters::Query(&[
        ("grant_type", Literal("fb_exchange_token")),
        ("client_id", ClientId),
        ("client_secret", ClientSecret),
        ("set_token_expires_in_60_days", Literal("true")),
        ("fb_exchange_token", AccessToken),
        ("appsecret_proof", ProofOf(&AccessToken)),
    ]),
};

/// facebook-login/guides/advanced/manual-flow: "exchanging code for an access token".
static CODE: RequestShape = RequestShape {
    endpoint: Endpoint::Code,
    authentication: Authentication::None,
    parameters: Parameters::Query(&[
        ("client_id", ClientId),
        ("client_secret", ClientSecret),
        ("redirect_uri", RedirectUri),
        ("code", Code),
    ]),
};

static ME: RequestShape = RequestShape {
    endpoint: Endpoint::Api("me"),
    authentication: Authentication::None,
    parameters: Parameters::Query(&[
        ("fields", Literal("id,name,accounts.limit(100){id,name}")),
        ("access_token", AccessToken),
        ("appsecret_proof", ProofOf(&AccessToken)),
    ]),
};

/// The pages, and then the person.
fn accounts(body: &Value) -> Vec<Account> {
    let pages = body["accounts"]["data"].as_array().into_iter().flatten();
    let people = std::iter::once(body);
    pages
        .chain(people)
        .filter_map(|one| account(one, "id", "name"))
        .collect()
}

/// Reads the pages that a person chose (facebook-login/guides/access-tokens/debugging). Who allows
/// all pages chooses none; those are all listed.
fn chosen_pages(body: &Value) -> Vec<Account> {
    let scopes = body["data"]["granular_scopes"].as_array();
    let pages = scopes.into_iter().flatten();
    pages
        .filter(|of| of["scope"] == "pages_show_list")
        .filter_map(|of| of["target_ids"].as_array())
        .flatten()
        .filter_map(unnamed)
        .collect()
}

/// facebook-login/guides/access-tokens/debugging. The proof is of the token that asks,
/// not of the one that is asked about (facebookarchive/php-graph-sdk, `debugToken`).
static DEBUG_TOKEN: RequestShape = RequestShape {
    endpoint: Endpoint::Api("debug_token"),
    authentication: Authentication::None,
    parameters: Parameters::Query(&[
        ("input_token", AccessToken),
        ("access_token", AppAccessToken),
        ("appsecret_proof", ProofOf(&AppAccessToken)),
    ]),
};

fn debugged(body: &Value, _: DateTime<Utc>) -> Option<ProbeOutcome> {
    let data = &body["data"];
    if data["is_valid"].as_bool()? {
        return Some(Ok(ProbeResult {
            access: json::ends(&data["expires_at"]),
            data_access: json::ends(&data["data_access_expires_at"]),
            scopes: json::scopes(&data["scopes"]),
        }));
    }
    // The evidence is `is_valid`; beside it may stand why.
    let error = graph::error(&data["error"], "subcode");
    let verdict = match find(&[graph::RULES], RequestKind::Probe, 200, &error) {
        Some(rule) if is_about_the_grant(&rule.means) => rule.means.clone(),
        _ => GRANT_REFUSED,
    };
    Some(Err(Unsuccessful {
        verdict,
        code: error.code_to_keep(),
    }))
}

const fn is_about_the_grant(verdict: &Verdict) -> bool {
    matches!(
        verdict,
        Verdict::ReconnectNeeded(_) | Verdict::PlatformActionNeeded(_)
    )
}
