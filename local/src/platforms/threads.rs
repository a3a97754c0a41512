//! Threads, by the Threads API.

use super::graph;
use super::rules::Rules;
use super::simulated::{ClientAuthentication, Encoding, RefreshEndpoint, Simulated};

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
    probes: &[graph::me("/threads/v1.0/me")],
    rules: |plain| Rules {
        access_lifetime: 5_183_944,
        ..plain
    },
    scope: "threads_basic,threads_content_publish",
    refuse: graph::refuse,
    throttle: graph::throttle,
    errors: graph::ERRORS,
};
