//! Where a proxied call goes: to a host of the platform's own, and nowhere else.

use edge::problem::Problem;
use edge::query::quoted;
use http::request::Parts;
use percent_encoding::percent_decode_str;
use shared::oauth::Endpoints;
use url::Url;

use super::credentials;
use crate::caller::Caller;

/// Chooses another host of the platform than the main one, by its name.
const HOST: &str = "warden-platform-host";

/// Returns the URL of a call.
pub(super) fn url(endpoints: &Endpoints, caller: &Caller, head: &Parts) -> Result<Url, Problem> {
    let name = match head.headers.get(HOST) {
        Some(name) => Some(name.to_str().map_err(|_| unknown_host(caller, "?"))?),
        None => None,
    };
    let host = endpoints.host(caller.platform, name);
    let host = host.ok_or_else(|| unknown_host(caller, name.unwrap_or_default()))?;
    let path = caller.rest.as_deref().unwrap_or_default();
    check(path).map_err(|problem| {
        Problem::bad_request(format!("The platform's path {}: {problem}.", quoted(path)))
    })?;
    // A platform decodes the path.
    if caller
        .platform
        .is_batch(&percent_decode_str(path).decode_utf8_lossy())
    {
        return Err(Problem::bad_request(
            "A batch is as many calls as it holds: send each of them by itself.",
        ));
    }
    let mut url = join(host, path).ok_or_else(|| {
        Problem::bad_request(format!("The platform's path {} is none.", quoted(path)))
    })?;
    url.set_query(head.uri.query().and_then(credentials::without).as_deref());
    Ok(url)
}

fn unknown_host(caller: &Caller, name: &str) -> Problem {
    let known: Vec<_> = caller.platform.hosts().collect();
    Problem::bad_request(format!(
        "{HOST}: {} has no host {}; it has {}.",
        caller.platform,
        quoted(name),
        known.join(", ")
    ))
}

/// Says what is wrong with a path as it was sent. Whoever decodes it, once or twice, must find
/// the same segments.
fn check(path: &str) -> Result<(), &'static str> {
    let pchar = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%/".contains(&b);
    if !path.bytes().all(pchar) {
        return Err("a character in it must be percent-encoded");
    }
    let segments: Vec<_> = path.split('/').collect();
    let last = segments.len() - 1;
    for (number, segment) in segments.iter().enumerate() {
        // TikTok's paths end with a slash.
        if segment.is_empty() && (number < last || number == 0) {
            return Err("it has an empty segment");
        }
        let decoded = decode(segment).ok_or("it has a percent sign that encodes nothing")?;
        let twice = decode(&decoded).unwrap_or_default();
        for text in [*segment, &decoded, &twice] {
            let plain = text.split(';').next().unwrap_or_default();
            if plain == "." || plain == ".." {
                return Err("it has a dot segment");
            }
            if text.contains(['/', '\\']) {
                return Err("it has an encoded slash");
            }
            if text.chars().any(char::is_control) {
                return Err("it has an encoded control character");
            }
        }
    }
    Ok(())
}

/// Decodes a segment, if each percent sign in it encodes a byte.
fn decode(segment: &str) -> Option<String> {
    let mut parts = segment.split('%');
    parts.next()?;
    let is_hex = |part: &str| {
        let digits = part.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    parts
        .all(is_hex)
        .then(|| percent_decode_str(segment).decode_utf8_lossy().into_owned())
}

/// Returns the path on this host, if the URL is that and nothing else.
fn join(host: &str, path: &str) -> Option<Url> {
    let base = Url::parse(host).ok()?;
    let expected = format!("{}/{path}", base.path().trim_end_matches('/'));
    let url = Url::parse(&format!("{}/{path}", host.trim_end_matches('/'))).ok()?;
    let is_same = url.scheme() == base.scheme()
        && url.host() == base.host()
        && url.port() == base.port()
        && url.username().is_empty()
        && url.path() == expected;
    is_same.then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_on_its_host() {
        for good in [
            "me",
            "v26.0/act_1/campaigns",
            "v2/user/info/",
            "rest/posts/urn%3Ali%3Ashare%3A1",
            "v26/customers/1/googleAds:search",
            "rest/x/(id:urn%3Ali%3Aperson%3A1,b:2)",
            "a%20b",
            "a...b/..c",
            "evil.example",
            "evil.example:80@graph.facebook.com",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
            for host in ["https://graph.facebook.com", "http://127.0.0.1:9/meta/"] {
                let url = join(host, good).unwrap();
                let host = host.trim_end_matches('/');
                assert_eq!(url.as_str(), format!("{host}/{good}"));
            }
        }
        for (bad, why) in [
            ("", "empty segment"),
            ("/evil.example/x", "empty segment"),
            ("a//b", "empty segment"),
            ("a/./b", "dot segment"),
            ("..", "dot segment"),
            ("a/../../b", "dot segment"),
            ("a/%2e%2E/b", "dot segment"),
            ("a/%252e%252e/b", "dot segment"),
            ("a/..;x/b", "dot segment"),
            ("a/..%3bx/b", "dot segment"),
            ("a%2Fb", "encoded slash"),
            ("a%252Fb", "encoded slash"),
            ("a%5cb", "encoded slash"),
            ("a%0d%0ab", "control character"),
            ("a%00", "control character"),
            ("a%zz", "encodes nothing"),
            ("a%", "encodes nothing"),
            ("a\\b", "percent-encoded"),
            ("a|b", "percent-encoded"),
            ("ä", "percent-encoded"),
            ("a b", "percent-encoded"),
        ] {
            let problem = check(bad).unwrap_err();
            assert!(problem.contains(why), "{bad}: {problem}");
        }
    }
}
