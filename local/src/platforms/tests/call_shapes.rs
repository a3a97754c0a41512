//! The shapes of the answers to calls of what is not there.

use super::api::call_at;
use super::*;

/// A path, and what the answer to a call of it has: a status, and a text or number where
/// the pointer points.
type Wrong = (Platform, &'static str, u16, &'static str, &'static str);

#[rustfmt::skip] // a path a line
const UNKNOWN: &[Wrong] = &[
    (Platform::Meta, "/meta/v26.0/nothing", 400, "/error/code", "2500"),
    (Platform::Instagram, "/instagram/me/x", 400, "/error/code", "2500"),
    (Platform::Threads, "/threads/v1.0/x", 400, "/error/code", "2500"),
    (Platform::TiktokBusiness, "/tiktok_business/x", 200, "/code", "40400"),
    (Platform::Linkedin, "/linkedin/x", 404, "/code", "RESOURCE_NOT_FOUND"),
    (Platform::Twitter, "/twitter/2/x", 404, "/type", "https://api.x.com/2/problems/resource-not-found"),
    (Platform::Snapchat, "/snapchat/v1/x", 404, "/error_code", "E3003"),
    // A slash is missing, and a list that is asked for by POST.
    (Platform::Tiktok, "/tiktok/v2/user/info", 404, "", "Unsupported path(Janus)"),
    (Platform::Tiktok, "/tiktok/v2/video/list/", 404, "", "Unsupported path(Janus)"),
    // A version that is no longer served.
    (Platform::Google, "/google/v18/customers:listAccessibleCustomers", 404, "", "<code>/v18/customers:"),
];

#[rustfmt::skip] // a path a line
const UNWRITABLE: &[Wrong] = &[
    (Platform::Meta, "/meta/1/likes", 400, "/error/type", "GraphMethodException"),
    (Platform::Instagram, "/instagram/1/likes", 400, "/error/type", "IGApiException"),
    (Platform::Threads, "/threads/1/likes", 500, "/error/type", "THApiException"),
    // Without the parameters that they need.
    (Platform::Meta, "/meta/1/feed", 400, "/error/message", "message is required"),
    (Platform::Threads, "/threads/1/threads", 500, "/error/message", "media_type"),
    (Platform::Tiktok, "/tiktok/v2/post/publish/video/init/", 400, "/error/code", "invalid_params"),
    (Platform::TiktokBusiness, "/tiktok_business/open_api/v1.3/campaign/create/", 200, "/message", "advertiser_id"),
    (Platform::Linkedin, "/linkedin/rest/posts", 422, "/message", "/author ::"),
    (Platform::Twitter, "/twitter/2/tweets", 400, "/errors/0/message", "`text`"),
    (Platform::Google, "/google/v26/customers/1/campaigns:mutate", 400, "/error/message", "operations"),
    (Platform::Snapchat, "/snapchat/v1/adaccounts/1/campaigns", 400, "/debug_message", "campaigns"),
];

#[tokio::test]
async fn what_is_not_there_is_refused_in_each_platforms_shape() {
    let world = World::new();
    let read = UNKNOWN.iter().map(|wrong| (wrong, None));
    let written = UNWRITABLE.iter().map(|wrong| (wrong, Some(json!({}))));
    for ((platform, path, status, pointer, part), body) in read.chain(written) {
        let answer = world.send(call_at(*platform, path, body, "t")).await;
        let body = &answer.body;
        assert_eq!(answer.status.as_u16(), *status, "{platform}: {body}");
        let told = body.pointer(pointer).unwrap().to_string();
        assert!(told.contains(part), "{platform}: {body}");
        assert_eq!(world.platforms.counts()[platform].writes, 0);
    }
}
