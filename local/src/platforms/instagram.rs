//! Instagram, by the Instagram API with Instagram Login.

use serde_json::{Value, json};

use super::api::{Api, Call, Host, list, probe, write};
use super::grant::Issued;
use super::graph;
use super::graph_api::{self, Dialect};
use super::paging::Page;
use super::probe::{Encoding, ProbeEndpoint};
use super::response::PlatformResponse;
use super::rfc6749::code_endpoint;
use super::rules::{HOUR, Rules};
use super::simulated::{ClientAuthentication, CodeEndpoint, Life, RefreshEndpoint, Simulated};

pub(super) static SIMULATED: Simulated = Simulated {
    token: "/instagram/refresh_access_token",
    authorize: "/instagram/oauth/authorize",
    api: "/instagram",
    refresh: RefreshEndpoint {
        encodings: &[Encoding::Query],
        authentication: ClientAuthentication::None,
        grant_type: "ig_refresh_token",
        token: "access_token",
        extends: true,
        check: |_, _| Ok(()),
        body: graph::extended,
    },
    denial: "access_denied",
    code: CodeEndpoint {
        path: Some("/instagram/oauth/access_token"),
        life: Life::Seconds(HOUR),
        refuse: |_| {
            // espresso-dev/instagram-basic-display-php#14
            let text = "This authorization code has been used";
            let body = json!({"error_type": "OAuthException", "code": 400, "error_message": text});
            PlatformResponse::json(400, &body)
        },
        lengthening: Some(("/instagram/access_token", "ig_exchange_token")),
        ..code_endpoint(granted)
    },
    portal: None,
    probes: &[ME],
    calls: Api {
        hosts: &[Host {
            name: "graph",
            prefix: "/instagram",
            any_version: true,
            endpoints: &[
                probe("/me", &ME),
                list("/me/media", graph_api::list(posts)),
                list("/{id}/media", graph_api::list(posts)),
                write("/{id}/media", graph_api::made)
                    .needs(&["image_url|video_url|media_type|children"]),
                write("/{id}/media_publish", graph_api::made).needs(&["creation_id"]),
            ],
        }],
        ..graph_api::api(
            |request, fault| graph_api::refuse(&DIALECT, request, fault),
            |answer, call, usage| graph_api::tell(&DIALECT, answer, call, usage),
        )
    },
    rules: |plain| Rules {
        access_lifetime: 5_183_944,
        calls_limit: Some(200),
        ..plain
    },
    scope: "instagram_business_basic",
    refuse: graph::refuse,
    throttle: graph::throttle,
    errors: graph::ERRORS,
};

const ME: ProbeEndpoint = graph::me("/instagram/me");

const DIALECT: Dialect = Dialect {
    status: 400,
    exception: "IGApiException",
    use_case: "instagram",
    limit: (
        80002,
        "There have been too many calls to this Instagram account. Wait a bit and try again.",
    ),
};

fn posts(call: &Call<'_>, page: &Page) -> PlatformResponse {
    graph_api::page(
        call,
        page,
        |id| json!({"id": id, "caption": "A picture", "media_type": "IMAGE"}),
    )
}

/// Builds the answer to a code.
fn granted(rules: &Rules, issued: &Issued) -> Value {
    json!({"data": [{
        "access_token": issued.access_token,
        "user_id": issued.account(),
        "permissions": rules.scope,
    }]})
}
