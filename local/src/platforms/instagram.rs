//! Instagram, by the Instagram API with Instagram Login.

use super::graph;
use super::rules::Rules;
use super::simulated::{ClientAuthentication, Encoding, RefreshEndpoint, Simulated};

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
    probes: &[graph::me("/instagram/me")],
    rules: |plain| Rules {
        access_lifetime: 5_183_944,
        ..plain
    },
    scope: "instagram_business_basic",
    refuse: graph::refuse,
    throttle: graph::throttle,
    errors: graph::ERRORS,
};
