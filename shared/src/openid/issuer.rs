//! Asks an issuer what it serves, by OpenID Connect Discovery 1.0.

use std::time::Duration;

use serde::Deserialize;
use url::{Host, Url};

/// Two requests must fit well into the ten seconds of an authorizer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The most that is read of an answer: real ones are under 20 kB.
const MAX_BODY_BYTES: usize = 256 * 1024;

/// An issuer, and the client for it.
#[derive(Debug)]
pub struct Issuer {
    http: reqwest::Client,
    issuer: String,
    document: Url,
}

/// Why an issuer gave no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No answer came, or only a part.
    #[error("{url} does not answer: {cause}")]
    Unreachable {
        url: Url,
        /// The error and all its causes.
        cause: String,
    },
    /// The status is not 200.
    #[error("{url} answers {status}")]
    Status { url: Url, status: u16 },
    #[error("{0} answers more than {MAX_BODY_BYTES} bytes")]
    TooLong(Url),
    #[error("{0} is no discovery document: {1}")]
    Document(Url, serde_json::Error),
    #[error("{url} is the document of {issuer:?}, which is not AUTH_ISSUER")]
    OtherIssuer { url: Url, issuer: String },
    /// The document names no such address, or none that may be used.
    #[error("the issuer's {name} {address:?} is not an https URL")]
    Address { name: &'static str, address: String },
}

/// The URL of an issuer is not usable.
#[derive(Debug, thiserror::Error)]
pub enum InvalidIssuer {
    #[error("must be an https URL (http only on this machine), without query or fragment")]
    Url,
    #[error("no HTTP client can be made: {0}")]
    Client(#[from] reqwest::Error),
}

/// What an issuer says of itself (OpenID Connect Discovery 1.0, 3; RP-Initiated Logout 1.0, 2.1).
#[derive(Debug, Clone, Deserialize)]
pub struct Metadata {
    issuer: String,
    #[serde(default)]
    pub jwks_uri: String,
    #[serde(default)]
    pub authorization_endpoint: String,
    #[serde(default)]
    pub token_endpoint: String,
    /// Empty if the issuer ends no sessions.
    #[serde(default)]
    pub end_session_endpoint: String,
    #[serde(default)]
    pub scopes_supported: Vec<String>,
}

impl Issuer {
    /// Makes a client of the issuer at this URL.
    ///
    /// # Errors
    /// When the URL is not usable.
    pub fn new(issuer: &str) -> Result<Self, InvalidIssuer> {
        let document = format!(
            "{}/.well-known/openid-configuration",
            issuer.trim_end_matches('/')
        );
        let document = Url::parse(&document)
            .ok()
            .filter(|url| url.scheme() == "https" || is_loopback_http(url))
            .filter(|url| url.query().is_none() && url.fragment().is_none())
            .ok_or(InvalidIssuer::Url)?;
        let mut http = reqwest::Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            // What we trust comes from where the issuer says, and nowhere else.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("token-warden/", env!("CARGO_PKG_VERSION")));
        if is_loopback_http(&document) {
            http = http.no_proxy();
        }
        Ok(Self {
            http: http.build()?,
            issuer: issuer.to_owned(),
            document,
        })
    }

    /// Whether the issuer is a user pool of Amazon Cognito.
    #[must_use]
    pub fn is_cognito(&self) -> bool {
        let host = self.document.host_str().unwrap_or_default();
        let is_aws = host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn");
        host.starts_with("cognito-idp.") && is_aws
    }

    /// Fetches what the issuer says of itself.
    ///
    /// # Errors
    /// [`FetchError`] if nothing usable came, or it is another issuer's.
    pub async fn metadata(&self) -> Result<Metadata, FetchError> {
        let url = &self.document;
        let metadata: Metadata = serde_json::from_slice(&self.get(url).await?)
            .map_err(|error| FetchError::Document(url.clone(), error))?;
        if metadata.issuer != self.issuer {
            return Err(FetchError::OtherIssuer {
                url: url.clone(),
                issuer: metadata.issuer.chars().take(200).collect(),
            });
        }
        Ok(metadata)
    }

    /// Reads an address of the metadata, called `name` there. An issuer on this machine may have
    /// it here too; no other may send us to addresses that only we can reach.
    ///
    /// # Errors
    /// [`FetchError::Address`].
    pub fn address(&self, name: &'static str, address: &str) -> Result<Url, FetchError> {
        let is_local = is_loopback_http(&self.document);
        Url::parse(address)
            .ok()
            .filter(|url| url.scheme() == "https" || (is_local && is_loopback_http(url)))
            .ok_or_else(|| FetchError::Address {
                name,
                address: address.chars().take(200).collect(),
            })
    }

    /// Gets what is at an address of the issuer.
    ///
    /// # Errors
    /// [`FetchError`] if it does not answer 200.
    pub async fn get(&self, url: &Url) -> Result<Vec<u8>, FetchError> {
        let (status, body) = read(url, self.http.get(url.clone())).await?;
        match status {
            200 => Ok(body),
            status => Err(FetchError::Status {
                url: url.clone(),
                status,
            }),
        }
    }

    /// Posts a form to an address of the issuer. Returns status and body, whatever they are.
    ///
    /// # Errors
    /// [`FetchError`] if it does not answer.
    pub async fn post(
        &self,
        url: &Url,
        form: &[(&str, &str)],
    ) -> Result<(u16, Vec<u8>), FetchError> {
        read(url, self.http.post(url.clone()).form(form)).await
    }
}

async fn read(url: &Url, request: reqwest::RequestBuilder) -> Result<(u16, Vec<u8>), FetchError> {
    let unreachable = |error: reqwest::Error| FetchError::Unreachable {
        url: url.clone(),
        cause: chain(&error.without_url()),
    };
    let mut response = request.send().await.map_err(unreachable)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > MAX_BODY_BYTES {
            return Err(FetchError::TooLong(url.clone()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((response.status().as_u16(), body))
}

/// Whether the URL is plain HTTP to this machine, as in development.
fn is_loopback_http(url: &Url) -> bool {
    url.scheme() == "http"
        && match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        }
}

/// Formats an error and all its causes: `reqwest` prints only the outermost.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    causes.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_https_or_on_this_machine() {
        for good in [
            "https://id.example",
            "https://tenant.auth0.com/",
            "http://127.0.0.1:3001/issuer",
            "http://[::1]:80",
            "http://localhost:80",
        ] {
            assert!(Issuer::new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "id.example",
            "http://id.example",
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example",
            "ftp://127.0.0.1",
            "https://id.example?x=",
            "https://id.example#x",
        ] {
            assert!(Issuer::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_user_pool_is_known_by_its_host() {
        let is_cognito = |issuer| Issuer::new(issuer).unwrap().is_cognito();
        assert!(is_cognito(
            "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_a"
        ));
        assert!(is_cognito(
            "https://cognito-idp.cn-north-1.amazonaws.com.cn/cn-north-1_a"
        ));
        assert!(!is_cognito("https://cognito-idp.example"));
        assert!(!is_cognito(
            "https://id.example/cognito-idp.eu-west-1.amazonaws.com"
        ));
    }
}
