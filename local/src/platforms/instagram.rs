//! Instagram, by the Instagram API with Instagram Login.

use serde_json::json;

use super::api::{Api, Call, Host, list, probe, write};
use super::graph;
use super::graph_api::{self, Dialect};
use super::paging::Page;
use super::probe::{Encoding, ProbeEndpoint};
use super::response::PlatformResponse;
use super::rules::Rules;
use super::simulated::{ClientAuthentication, RefreshEndpoint, Simulated};

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
