//! The calls that the tests make of every platform's API, and how its lists go on.

use self::paths::*;
use super::*;

/// One call of each kind for each platform: a profile, a list, and something written.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Profile,
    List,
    Write,
}

/// Returns the path of a call. A list's path ends so that a parameter can follow.
pub(super) const fn path(platform: Platform, kind: Kind) -> &'static str {
    let [profile, list, write] = match platform {
        Platform::Meta => META,
        Platform::Instagram => INSTAGRAM,
        Platform::Threads => THREADS,
        Platform::Tiktok => TIKTOK,
        Platform::TiktokBusiness => TIKTOK_BUSINESS,
        Platform::Linkedin => LINKEDIN,
        Platform::Twitter => X,
        Platform::Google => GOOGLE,
        Platform::Snapchat => SNAPCHAT,
    };
    match kind {
        Kind::Profile => profile,
        Kind::List => list,
        Kind::Write => write,
    }
}

#[rustfmt::skip] // a platform a line
mod paths {
    type Paths = [&'static str; 3];
    pub(super) const META: Paths = ["/meta/v26.0/me", "/meta/v26.0/me/accounts?a=b", "/meta/v26.0/1/feed"];
    pub(super) const INSTAGRAM: Paths = ["/instagram/me", "/instagram/me/media?a=b", "/instagram/1/media"];
    pub(super) const THREADS: Paths = ["/threads/v1.0/me", "/threads/v1.0/me/threads?a=b", "/threads/v1.0/1/threads"];
    pub(super) const TIKTOK: Paths = ["/tiktok/v2/user/info/?fields=open_id", "/tiktok/v2/video/list/?fields=id", "/tiktok/v2/post/publish/video/init/"];
    pub(super) const TIKTOK_BUSINESS: Paths = ["/tiktok_business/open_api/v1.3/user/info/", "/tiktok_business/open_api/v1.3/campaign/get/?advertiser_id=7", "/tiktok_business/open_api/v1.3/campaign/create/"];
    pub(super) const LINKEDIN: Paths = ["/linkedin/v2/userinfo", "/linkedin/rest/posts?q=author&author=urn%3Ali%3Aperson%3A1", "/linkedin/rest/posts"];
    pub(super) const X: Paths = ["/twitter/2/users/me", "/twitter/2/users/1/tweets?a=b", "/twitter/2/tweets"];
    pub(super) const GOOGLE: Paths = ["/google/v26/customers:listAccessibleCustomers", "/google/v26/customers/1/googleAds:search?a=b", "/google/v26/customers/1/campaigns:mutate"];
    pub(super) const SNAPCHAT: Paths = ["/snapchat/v1/me", "/snapchat/v1/me/organizations?a=b", "/snapchat/v1/adaccounts/1/campaigns"];
}

/// Returns the body of a call by POST.
pub(super) fn body(platform: Platform, kind: Kind) -> Option<Value> {
    let written = match (platform, kind) {
        (Platform::Tiktok, Kind::List) => json!({}),
        (Platform::Google, Kind::List) => json!({"query": "SELECT campaign.id FROM campaign"}),
        (_, Kind::Profile | Kind::List) => return None,
        (Platform::Meta, _) => json!({"message": "Hello"}),
        (Platform::Instagram, _) => json!({"image_url": "https://example.com"}),
        (Platform::Threads, _) => json!({"media_type": "TEXT"}),
        (Platform::Tiktok, _) => json!({"source_info": {"source": "PULL_FROM_URL"}}),
        (Platform::TiktokBusiness, _) => {
            json!({"advertiser_id": "7", "campaign_name": "c", "objective_type": "REACH"})
        }
        (Platform::Linkedin, _) => json!({
            "author": "urn:li:person:1", "commentary": "Hello", "visibility": "PUBLIC",
            "distribution": {}, "lifecycleState": "PUBLISHED",
        }),
        (Platform::Twitter, _) => json!({"text": "Hello"}),
        (Platform::Google, _) => json!({"operations": [{}]}),
        (Platform::Snapchat, _) => json!({"campaigns": [{}]}),
    };
    Some(written)
}

pub(super) fn call(platform: Platform, kind: Kind, token: &str) -> Request<Body> {
    call_at(platform, path(platform, kind), body(platform, kind), token)
}

pub(super) fn call_at(
    platform: Platform,
    path: &str,
    body: Option<Value>,
    token: &str,
) -> Request<Body> {
    let (header, value) = match platform {
        Platform::TiktokBusiness => ("access-token", token.to_owned()),
        _ => ("authorization", format!("Bearer {token}")),
    };
    let request = match body {
        None => Request::get(path),
        Some(_) => Request::post(path).header("content-type", "application/json"),
    };
    let request = request
        .header(header, value)
        .header("linkedin-version", "202611");
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    request.body(Body::from(body)).unwrap()
}

/// Returns the pointers to a list's things and to the id within one.
pub(super) const fn things(platform: Platform) -> (&'static str, &'static str) {
    match platform {
        Platform::Meta | Platform::Instagram | Platform::Threads | Platform::Twitter => {
            ("/data", "/id")
        }
        Platform::Tiktok => ("/data/videos", "/id"),
        Platform::TiktokBusiness => ("/data/list", "/campaign_id"),
        Platform::Linkedin => ("/elements", "/id"),
        Platform::Google => ("/results", "/campaign/id"),
        Platform::Snapchat => ("/organizations", "/organization/id"),
    }
}

/// Returns the path of the page after this answer, if there is one.
pub(super) fn next(platform: Platform, path: &str, body: &Value) -> Option<String> {
    let text = |pointer: &str| Some(body.pointer(pointer)?.as_str()?.to_owned());
    let with = |name: &str, value: &str| {
        let encoded: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
        format!("{path}&{name}={encoded}")
    };
    match platform {
        Platform::Meta | Platform::Instagram | Platform::Threads => text("/paging/next"),
        Platform::Snapchat => text("/paging/next_link"),
        Platform::Linkedin => Some(format!("/linkedin{}", text("/paging/links/0/href")?)),
        Platform::Twitter => Some(with("pagination_token", &text("/meta/next_token")?)),
        Platform::Google => Some(with("pageToken", &text("/nextPageToken")?)),
        Platform::Tiktok => {
            let cursor = body["data"]["cursor"].as_u64()?.to_string();
            (body["data"]["has_more"] == true).then(|| with("cursor", &cursor))
        }
        Platform::TiktokBusiness => {
            let info = &body["data"]["page_info"];
            let (page, pages) = (info["page"].as_u64()?, info["total_page"].as_u64()?);
            (page < pages).then(|| with("page", &(page + 1).to_string()))
        }
    }
}
