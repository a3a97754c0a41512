//! Fetches an issuer's keys by OpenID Connect Discovery 1.0.

use std::time::Duration;

use serde::Deserialize;
use url::{Host, Url};

use crate::keys::{InvalidKeySet, KeySet};

/// Two requests must fit well into the ten seconds of an authorizer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The most that is read of a document: real ones are under 20 kB.
const MAX_BODY_BYTES: usize = 256 * 1024;

#[derive(Debug)]
pub(crate) struct Discovery {
    http: reqwest::Client,
    issuer: String,
    document: Url,
}

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
    #[error("the issuer's jwks_uri {0:?} is not an https URL")]
    Address(String),
    #[error("the key set at {0} is of no use: {1}")]
    KeySet(Url, InvalidKeySet),
    #[error("the last attempt failed, and the next one is not due yet")]
    Pausing,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidIssuer {
    #[error("must be an https URL (http only on this machine), without query or fragment")]
    Url,
    #[error("no HTTP client can be made: {0}")]
    Client(#[from] reqwest::Error),
}

#[derive(Deserialize)]
struct DiscoveryDocument {
    issuer: String,
    jwks_uri: String,
}

impl Discovery {
    pub(crate) fn new(issuer: &str) -> Result<Self, InvalidIssuer> {
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
            // Keys come from where the issuer says, and nowhere else.
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

    /// Fetches the discovery document, and then the keys.
    pub(crate) async fn key_set(&self) -> Result<KeySet, FetchError> {
        let url = &self.document;
        let document: DiscoveryDocument = serde_json::from_slice(&self.get(url).await?)
            .map_err(|error| FetchError::Document(url.clone(), error))?;
        if document.issuer != self.issuer {
            return Err(FetchError::OtherIssuer {
                url: url.clone(),
                issuer: document.issuer.chars().take(200).collect(),
            });
        }
        // An issuer on this machine may keep its keys here too; no other may
        // send us to addresses that only we can reach.
        let keys = Url::parse(&document.jwks_uri)
            .ok()
            .filter(|keys| {
                keys.scheme() == "https" || (is_loopback_http(url) && is_loopback_http(keys))
            })
            .ok_or_else(|| FetchError::Address(document.jwks_uri.chars().take(200).collect()))?;
        let json = self.get(&keys).await?;
        KeySet::parse(&json).map_err(|error| FetchError::KeySet(keys, error))
    }

    async fn get(&self, url: &Url) -> Result<Vec<u8>, FetchError> {
        let unreachable = |error: reqwest::Error| FetchError::Unreachable {
            url: url.clone(),
            cause: chain(&error.without_url()),
        };
        let request = self.http.get(url.clone()).send();
        let mut response = request.await.map_err(unreachable)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(FetchError::Status {
                url: url.clone(),
                status: response.status().as_u16(),
            });
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MAX_BODY_BYTES {
                return Err(FetchError::TooLong(url.clone()));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
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
            assert!(Discovery::new(good).is_ok(), "{good}");
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
            assert!(Discovery::new(bad).is_err(), "{bad}");
        }
    }
}
