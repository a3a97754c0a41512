//! Threads, by the Threads API.

use serde_json::{Value, json};

use super::api::{Api, Call, Host, list, probe, write};
use super::grant::Issued;
use super::graph;
use super::graph_api::{self, Dialect};
use super::paging::Page;
use super::probe::{Encoding, ProbeEndpoint};
use super::response::PlatformResponse;
use super::rfc6749::code_endpoint;
use super::rules::{DAY, HOUR, Rules};
use super::simulated::{ClientAuthentication, CodeEndpoint, Life, RefreshEndpoint, Simulated};

pub(super) static SIMULATED: Simulated = Simulated {
    token: "/threads/refresh_access_token",
    authorize: "/threads/oauth/authorize",
    api: "/threads/v1.0",
    refresh: RefreshEndpoint {
        encodings: &[Encoding::Query],
        authentication: ClientAuthentication::None,
        grant_type: "th_refresh_token",
        token: "access_token",
        extends: true,
        check: |_, _| Ok(()),
        body: graph::extended,
    },
    denial: "access_denied",
    code: CodeEndpoint {
        path: Some("/threads/oauth/access_token"),
        life: Life::Seconds(HOUR),
        refuse: graph::refuse_code,
        lengthening: Some(("/threads/access_token", "th_exchange_token")),
        ..code_endpoint(granted)
    },
    portal: None,
    probes: &[ME],
    calls: Api {
        hosts: &[Host {
            name: "graph",
            prefix: "/threads",
            any_version: true,
            endpoints: &[
                probe("/me", &ME),
                list("/me/threads", graph_api::list(posts)),
                list("/{id}/threads", graph_api::list(posts)),
                write("/{id}/threads", graph_api::made).needs(&["media_type"]),
                write("/{id}/threads_publish", graph_api::made).needs(&["creation_id"]),
            ],
        }],
        ..graph_api::api(
            |request, fault| graph_api::refuse(&DIALECT, request, fault),
            |answer, call, usage| graph_api::tell(&DIALECT, answer, call, usage),
        )
    },
    rules: |plain| Rules {
        access_lifetime: 5_183_944,
        // 4,800 for each time that someone saw the account's posts, and for 10 such times at
        // least (developers.facebook.com/documentation/threads/overview).
        calls_limit: Some(48_000),
        calls_window: DAY,
        ..plain
    },
    scope: "threads_basic,threads_content_publish",
    refuse: graph::refuse,
    throttle: graph::throttle,
    errors: graph::ERRORS,
};

const ME: ProbeEndpoint = graph::me("/threads/v1.0/me");

/// Threads answers HTTP 500 where its siblings answer 400, as callers published. Nobody
/// published what it calls its use case, or the code of too many calls.
const DIALECT: Dialect = Dialect {
    status: 500,
    exception: "THApiException",
    use_case: "threads",
    limit: (4, "(#4) Application request limit reached"),
};

fn posts(call: &Call<'_>, page: &Page) -> PlatformResponse {
    graph_api::page(
        call,
        page,
        |id| json!({"id": id, "media_type": "TEXT_POST", "text": "A post"}),
    )
}

/// Builds the answer to a code.
fn granted(_: &Rules, issued: &Issued) -> Value {
    json!({"access_token": issued.access_token, "user_id": issued.account()})
}
