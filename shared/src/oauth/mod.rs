//! The OAuth client: one refresh exchange with any platform, in that
//! platform's own request and answer shape.

mod answer;
mod body;
mod config;
mod dialect;
mod google;
mod graph;
mod linkedin;
mod rfc6749;
mod rule;
mod snapchat;
#[cfg(test)]
mod tests;
mod tiktok;
mod tiktok_business;
mod twitter;
mod wait;

use std::time::Duration;

use reqwest::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

pub use answer::{Came, Unsuccessful};
pub use config::{ClientCredentials, Credentials, CredentialsError, Endpoints, PlatformEndpoints};
pub use reqwest::Error as HttpError;

use self::dialect::Ask;
use crate::domain::refresh::Lifetimes;
use crate::domain::refresh::attempt::EXCHANGE_TIMEOUT;
pub use crate::domain::refresh::{Ends, ProbeResult};
use crate::domain::verdict::{Transient, Verdict};
use crate::platforms::catalog::RefreshModel;
use crate::{Clock, Platform};

/// The longest a platform may take for an answer.
const TIMEOUT: Duration = Duration::from_secs(EXCHANGE_TIMEOUT.num_seconds().cast_unsigned());
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The most that is read of an answer: real ones are under 10 kB.
const MAX_BODY: usize = 256 * 1024;

/// Exchanges credentials with the platforms.
#[derive(Debug, Clone)]
pub struct OAuthClient {
    http: reqwest::Client,
    endpoints: Endpoints,
    clock: Clock,
}

/// A credential in the clear, for as long as it is being exchanged.
#[derive(Debug)]
pub struct Tokens {
    /// The access token.
    pub access_token: SecretString,
    /// The refresh token, where there is one.
    pub refresh_token: Option<SecretString>,
}

impl Tokens {
    /// Whether the refresh token is another than the one that was sent.
    #[must_use]
    pub fn rotate(&self, sent: &Self) -> bool {
        match (&self.refresh_token, &sent.refresh_token) {
            (Some(new), Some(old)) => new.expose_secret() != old.expose_secret(),
            (new, _) => new.is_some(),
        }
    }
}

/// A platform's answer to a refresh or a probe.
#[derive(Debug)]
pub struct Answer<T = Granted> {
    /// What came of it.
    pub result: Result<T, Unsuccessful>,
    /// The platform's own id of the request.
    pub request_id: Option<String>,
    /// What came, whatever it means; `None` if nothing did.
    pub came: Option<Came>,
}

/// New tokens. Never blank.
#[derive(Debug)]
pub struct Granted {
    /// The tokens; without a refresh token if the answer had none.
    pub tokens: Tokens,
    /// Their lives.
    pub lifetimes: Lifetimes,
}

/// Reads any bytes as an answer of `platform`: for `fuzz/`.
#[cfg(fuzzing)]
pub fn fuzz_answer(
    platform: Platform,
    status: u16,
    retry_after: &[u8],
    body: &[u8],
    now: chrono::DateTime<chrono::Utc>,
) {
    let head = || {
        use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
        let value = HeaderValue::from_bytes(retry_after).into_iter();
        let headers: HeaderMap = value.map(|value| (RETRY_AFTER, value)).collect();
        answer::Head { status, headers }
    };
    let dialect = dialect::of(platform);
    let Answer { result, .. } = answer::exchanged(dialect, &head(), body, now);
    if let Ok(Granted { tokens, .. }) = result {
        use secrecy::ExposeSecret;
        assert!(!tokens.access_token.expose_secret().trim().is_empty());
        assert!((200..300).contains(&status));
    }
    let _ = answer::probed(dialect, &head(), body, now);
}

impl OAuthClient {
    /// A client of these endpoints.
    ///
    /// # Errors
    /// When the HTTP client cannot be set up.
    pub fn new(endpoints: Endpoints, clock: Clock) -> Result<Self, HttpError> {
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .default_headers(HeaderMap::from_iter([
                (ACCEPT, HeaderValue::from_static("application/json")),
                // All that `body` unpacks. Without it a server may use any.
                (ACCEPT_ENCODING, HeaderValue::from_static("gzip")),
            ]))
            // A token must not follow a redirect to wherever it points.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("token-warden/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self {
            http,
            endpoints,
            clock,
        })
    }

    /// Sends the refresh that `model` asks for, as the client that
    /// `credentials` say we are, and reads the answer.
    pub async fn refresh(
        &self,
        platform: Platform,
        model: RefreshModel,
        credentials: &Credentials,
        tokens: &Tokens,
    ) -> Answer {
        let dialect = dialect::of(platform);
        let ask = self.ask(platform, credentials, tokens, &[]);
        let request = match model {
            RefreshModel::None => None,
            _ => (dialect.refresh)(&ask),
        };
        let Some(request) = request else {
            return Answer::failed(Verdict::AppMisconfigured, Some("no_client_credentials"));
        };
        match self.send(request).await {
            Ok((head, body)) => {
                answer::exchanged(dialect, &head, &body, self.clock.now()).without_echoes_of(&ask)
            }
            Err(failure) => failure.into(),
        }
    }

    /// What the platform says of the access token, where asking costs nothing: for
    /// integrations in doubt, when somebody asks, and once a day where nothing else shows it. `scopes`: what
    /// the grant allows, as far as known. `None` if it has no free way to ask, or we
    /// lack what it takes.
    pub async fn probe(
        &self,
        platform: Platform,
        credentials: &Credentials,
        tokens: &Tokens,
        scopes: &[String],
    ) -> Option<Answer<ProbeResult>> {
        let dialect = dialect::of(platform);
        let ask = self.ask(platform, credentials, tokens, scopes);
        let request = (dialect.probe)(&ask)?;
        Some(match self.send(request).await {
            Ok((head, body)) => {
                answer::probed(dialect, &head, &body, self.clock.now()).without_echoes_of(&ask)
            }
            Err(failure) => failure.into(),
        })
    }

    fn ask<'a>(
        &'a self,
        platform: Platform,
        credentials: &'a Credentials,
        tokens: &'a Tokens,
        scopes: &'a [String],
    ) -> Ask<'a> {
        Ask {
            http: &self.http,
            endpoints: self.endpoints.of(platform),
            client: credentials.of(platform),
            tokens,
            scopes,
        }
    }

    async fn send(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<(answer::Head, Vec<u8>), Failure> {
        let mut response = request.send().await.map_err(Failure::of)?;
        let head = answer::Head {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
        };
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > MAX_BODY => {
                    if body::Body::read(&head.headers, &body).is_whole() {
                        return Ok((head, body));
                    }
                    return Err(Failure {
                        transient: Transient::Unintelligible,
                        what: "longer_than_256_kib",
                        came: Some(head.came(body.len() + chunk.len())),
                    });
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return Ok((head, body)),
                // Less came than was announced. What came may be whole all the same.
                Err(_) if body::Body::read(&head.headers, &body).is_whole() => {
                    return Ok((head, body));
                }
                Err(error) => {
                    return Err(Failure {
                        what: match error.is_timeout() {
                            true => TIMED_OUT,
                            false => "cut_off",
                        },
                        transient: Transient::NoAnswer,
                        came: Some(head.came(body.len())),
                    });
                }
            }
        }
    }
}

const TIMED_OUT: &str = "timed_out_after_10_s";

/// No answer, or none that could be read to its end.
struct Failure {
    transient: Transient,
    /// What happened, as a code.
    what: &'static str,
    came: Option<Came>,
}

impl Failure {
    fn of(error: HttpError) -> Self {
        // Or it could not even be written down: nothing was sent.
        let (transient, what) = if error.is_builder() {
            (Transient::Unreachable, "not_sent")
        } else if error.is_connect() {
            (Transient::Unreachable, "no_connection")
        } else if error.is_timeout() {
            (Transient::NoAnswer, TIMED_OUT)
        } else {
            (Transient::NoAnswer, "connection_closed")
        };
        Self {
            transient,
            what,
            came: None,
        }
    }
}

impl<T> From<Failure> for Answer<T> {
    fn from(failure: Failure) -> Self {
        Self {
            came: failure.came,
            ..Self::failed(Verdict::Transient(failure.transient), Some(failure.what))
        }
    }
}

impl<T> Answer<T> {
    /// A text that is part of what we sent is a platform's echo of a token, and
    /// must not be kept.
    fn without_echoes_of(mut self, ask: &Ask<'_>) -> Self {
        self.request_id = self.request_id.filter(|id| !is_echo(id, ask));
        self.result = self
            .result
            .map_err(|refused| refused.without_echoes_of(ask));
        self
    }

    fn failed(verdict: Verdict, code: Option<&str>) -> Self {
        Self {
            result: Err(Unsuccessful {
                verdict,
                code: code.map(str::to_owned),
            }),
            request_id: None,
            came: None,
        }
    }
}

impl Unsuccessful {
    /// The same of its code and of what it names. Words of eight letters are long enough not to be in
    /// a token by chance, shorter ones too short to give one away.
    fn without_echoes_of(mut self, ask: &Ask<'_>) -> Self {
        self.code = self
            .code
            .filter(|code| code.len() < 8 || !is_echo(code, ask));
        if let Verdict::PermissionLost(named) = &mut self.verdict {
            named.retain(|word| !is_echo(word, ask));
        }
        self
    }
}

fn is_echo(text: &str, ask: &Ask<'_>) -> bool {
    ask.secrets()
        .any(|secret| !secret.is_empty() && (secret.contains(text) || text.contains(secret)))
}
