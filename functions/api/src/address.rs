//! Where the client finds us: the gateway says it of each request.

use http::request::Parts;
use lambda_http::RequestExt;
use lambda_http::request::RequestContext;

/// Returns scheme and host of our own address. On loopback there is no TLS.
pub(crate) fn origin(parts: &Parts) -> Option<String> {
    let host = match parts.extensions.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => context.domain_name.clone()?,
        _ => return None,
    };
    let name = host.rsplit_once(':').map_or(&*host, |(name, _)| name);
    let is_loopback = ["127.0.0.1", "localhost", "[::1]"].contains(&name);
    let scheme = if is_loopback { "http" } else { "https" };
    Some(format!("{scheme}://{host}"))
}

/// Returns the path below which the page lies: a stage's, a base path's, or none. It is what the
/// client's path has before the segments of the route.
pub(crate) fn base(parts: &Parts) -> String {
    let context = match parts.extensions.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => Some(context),
        _ => None,
    };
    let segments = |path: &str| path.split('/').filter(|part| !part.is_empty()).count();
    let whole = context.and_then(|context| context.path.as_deref());
    let route = context.and_then(|context| context.resource_path.as_deref());
    let (Some(whole), Some(route)) = (whole, route) else {
        return "/".to_owned();
    };
    let before = segments(whole).saturating_sub(segments(route));
    let before = whole
        .split('/')
        .filter(|part| !part.is_empty())
        .take(before);
    let mut base = "/".to_owned();
    for part in before {
        // In an attribute: nothing that HTML reads.
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        if !part.bytes().all(is_plain) {
            return "/".to_owned();
        }
        base += part;
        base.push('/');
    }
    base
}
