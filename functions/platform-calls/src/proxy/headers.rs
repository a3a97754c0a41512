//! Which headers pass the proxy.

use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, RANGE, SET_COOKIE, STRICT_TRANSPORT_SECURITY, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use shared::Platform;

/// Of one connection only (RFC 9110, 7.6.1), beside those that `Connection` names.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Of the caller and the gateway, not of the call.
const OF_CALLER: [HeaderName; 7] = [
    AUTHORIZATION,
    COOKIE,
    HOST,
    CONTENT_LENGTH,
    EXPECT,
    VIA,
    HeaderName::from_static("forwarded"),
];

/// What the gateway adds, and what is for us.
const PREFIXES: [&str; 4] = ["x-forwarded-", "x-amzn-", "cloudfront-", "warden-"];

/// What would speak for our origin, not for the platform's, beside the headers of CORS. The
/// gateway makes the length.
const OF_ORIGIN: [HeaderName; 8] = [
    SET_COOKIE,
    STRICT_TRANSPORT_SECURITY,
    CONTENT_LENGTH,
    HeaderName::from_static("set-cookie2"),
    HeaderName::from_static("clear-site-data"),
    HeaderName::from_static("alt-svc"),
    HeaderName::from_static("nel"),
    HeaderName::from_static("report-to"),
];

/// Returns the end-to-end headers of a caller, without any credential.
pub(super) fn to_platform(headers: &HeaderMap, platform: Platform) -> HeaderMap {
    let (token_header, _) = platform.token_header("");
    let mut passed = end_to_end(headers, |name| {
        !OF_CALLER.contains(name)
            && !name.as_str().eq_ignore_ascii_case(token_header)
            && !PREFIXES
                .iter()
                .any(|prefix| name.as_str().starts_with(prefix))
    });
    // Of what is packed otherwise, nobody here could tell whether the token is in it. Without
    // the header, a server may use any encoding (RFC 9110, 12.5.3).
    // A part of a packed body cannot be unpacked.
    let encoding = if takes_gzip(headers) && !headers.contains_key(RANGE) {
        "gzip"
    } else {
        "identity"
    };
    passed.insert(ACCEPT_ENCODING, HeaderValue::from_static(encoding));
    passed
}

/// Whether a caller lists gzip, and not to exclude it by a weight of zero.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let listed = headers.get_all(ACCEPT_ENCODING).into_iter();
    let mut listed = listed
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    listed.any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().trim_start_matches("q=").parse::<f32>();
        ["gzip", "x-gzip"]
            .iter()
            .any(|gzip| name.trim().eq_ignore_ascii_case(gzip))
            && weight.map_or(true, |weight| weight > 0.0)
    })
}

/// Returns the end-to-end headers of a platform that are about its answer.
pub(super) fn to_caller(headers: &HeaderMap) -> HeaderMap {
    end_to_end(headers, |name| {
        !OF_ORIGIN.contains(name)
            && !["access-control-", "warden-"]
                .iter()
                .any(|prefix| name.as_str().starts_with(prefix))
    })
}

fn end_to_end(headers: &HeaderMap, passes: impl Fn(&HeaderName) -> bool) -> HeaderMap {
    let named = headers.get_all(CONNECTION).into_iter();
    let named: Vec<String> = named
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let passed = headers.iter().filter(|(name, _)| {
        !HOP_BY_HOP.contains(name)
            && !named.iter().any(|other| other == name.as_str())
            && passes(name)
    });
    // Lambda's JSON holds no other values.
    let passed = passed.filter(|(_, value)| value.to_str().is_ok());
    let mut result = HeaderMap::new();
    for (name, value) in passed {
        result.append(name.clone(), value.clone());
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn no_credential_and_nothing_of_the_connection_reaches_the_platform() {
        let given = headers(&[
            ("authorization", "Bearer ours"),
            ("access-token", "x"),
            ("cookie", "session=1"),
            ("host", "api.example"),
            ("connection", "close, X-Own , keep-alive"),
            ("x-own", "1"),
            ("keep-alive", "5"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("content-length", "5"),
            ("proxy-authorization", "Basic x"),
            ("upgrade", "h2c"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-amzn-trace-id", "Root=1"),
            ("warden-platform-host", "graph-video"),
            ("via", "1.1 a"),
        ]);
        let passed = to_platform(&given, Platform::TiktokBusiness);
        assert_eq!(passed, headers(&[("accept-encoding", "identity")]));
        // Only the platform that takes its token there.
        let passed = to_platform(&given, Platform::Meta);
        assert_eq!(passed["access-token"], "x");
    }

    #[test]
    fn what_a_platform_needs_besides_passes() {
        let given = headers(&[
            ("linkedin-version", "202611"),
            ("x-restli-protocol-version", "2.0.0"),
            ("login-customer-id", "1"),
            ("content-type", "application/json"),
            ("accept-encoding", "gzip"),
            ("accept", "a/b"),
            ("accept", "c/d"),
            ("user-agent", "theirs"),
        ]);
        assert_eq!(to_platform(&given, Platform::Linkedin), given);
    }

    #[test]
    fn only_an_encoding_that_can_be_looked_into_is_asked_for() {
        for (given, passed) in [
            (&["br"][..], "identity"),
            (&["zstd, *"], "identity"),
            (&["gzip;q=0, br"], "identity"),
            (&["br, gzip;q=0.5"], "gzip"),
            (&["br", "X-GZip"], "gzip"),
            (&[], "identity"),
        ] {
            let given: Vec<_> = given.iter().map(|one| ("accept-encoding", *one)).collect();
            let sent = to_platform(&headers(&given), Platform::Meta);
            assert_eq!(sent, headers(&[("accept-encoding", passed)]), "{given:?}");
        }
    }

    #[test]
    fn nothing_of_an_answer_speaks_for_our_origin() {
        let given = headers(&[
            ("content-type", "application/json"),
            ("x-app-usage", "{}"),
            ("content-encoding", "gzip"),
            ("etag", "\"1\""),
            ("set-cookie", "a=b"),
            ("set-cookie", "c=d"),
            ("set-cookie2", "a=b"),
            ("strict-transport-security", "max-age=1"),
            ("clear-site-data", "\"*\""),
            ("alt-svc", "h3=\":443\""),
            ("access-control-allow-origin", "*"),
            ("report-to", "{}"),
            ("nel", "{}"),
            ("content-length", "5"),
            ("transfer-encoding", "chunked"),
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("warden-verdict", "accepted"),
        ]);
        let expected = headers(&[
            ("content-type", "application/json"),
            ("x-app-usage", "{}"),
            ("content-encoding", "gzip"),
            ("etag", "\"1\""),
        ]);
        assert_eq!(to_caller(&given), expected);
    }
}
