//! Cross-origin resource sharing (the Fetch standard), for dashboards on other origins.

use std::time::Duration;

use http::header::{
    AUTHORIZATION, CONTENT_TYPE, ETAG, IF_NONE_MATCH, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderValue, Method, Uri};
use shared::Variables;
use shared::runtime::variables::InvalidVariable;
use tower_http::cors::CorsLayer;

/// For how long a browser remembers a preflight. None remembers it longer than Chromium.
const MAX_AGE: Duration = Duration::from_hours(2);

/// Reads `ALLOWED_ORIGINS`; without it no other origin's page reads any answer.
pub(crate) fn from_variables(variables: &Variables) -> Result<Option<CorsLayer>, InvalidVariable> {
    const NAME: &str = "ALLOWED_ORIGINS";
    let Some(origins) = variables.get(NAME) else {
        return Ok(None);
    };
    let origins = origins.split(',').map(|given| {
        parse(given).ok_or_else(|| {
            let problem = "must be origins like https://app.example.com, separated by commas";
            variables.invalid(NAME, format!("{problem}, not {given:?}"))
        })
    });
    let origins: Vec<_> = origins.collect::<Result<_, _>>()?;
    let layer = CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::DELETE,
        ])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE, IF_NONE_MATCH])
        .expose_headers([ETAG, RETRY_AFTER, WWW_AUTHENTICATE])
        .max_age(MAX_AGE);
    Ok(Some(layer))
}

/// Returns an origin as browsers spell it: a scheme, a host, a port if it is not the scheme's own.
fn parse(given: &str) -> Option<HeaderValue> {
    let origin: Uri = given.trim().parse().ok()?;
    let (scheme, authority) = (origin.scheme_str()?, origin.authority()?);
    let is_web = ["http", "https"].contains(&scheme);
    let is_default = matches!(
        (scheme, origin.port_u16()),
        ("https", Some(443)) | ("http", Some(80))
    );
    let spelled = format!("{scheme}://{authority}");
    let is_canonical = spelled == given.trim() && spelled == spelled.to_ascii_lowercase();
    if !is_web || is_default || !is_canonical || authority.as_str().contains('@') {
        return None;
    }
    HeaderValue::from_str(&spelled).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_a_browser_sends() {
        for good in [
            "https://app.example.com",
            "http://localhost:5173",
            "http://127.0.0.1:8080",
            "https://[::1]:8443",
        ] {
            assert_eq!(parse(good).unwrap(), good);
        }
        for bad in [
            "",
            "*",
            "null",
            "app.example.com",
            "https://app.example.com/",
            "https://app.example.com/x",
            "https://App.example.com",
            "https://app.example.com:443",
            "http://app.example.com:80",
            "https://me@app.example.com",
            "ftp://app.example.com",
            "https://",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        let read = |origins: &str| {
            let variables = [("ALLOWED_ORIGINS".to_owned(), origins.to_owned())];
            from_variables(&variables.into_iter().collect()).map(|layer| layer.is_some())
        };
        assert_eq!(read(""), Ok(false));
        assert_eq!(read("https://a.example,https://b.example"), Ok(true));
        let error = read("https://a.example, b.example")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("ALLOWED_ORIGINS") && error.contains("b.example"),
            "{error}"
        );
    }
}
