//! The OAuth client: sends a platform the request that its file describes, and reads
//! the answer.

mod body;
mod call;
mod client_credentials;
mod endpoints;
mod exchange;
mod request;
mod response;
#[cfg(test)]
mod tests;
mod tokens;
mod transport;
mod wait;

pub use call::{CallAnswer, read_call};
pub use client_credentials::{ClientCredentials, PlatformClients, PlatformSecretError};
pub use endpoints::{Endpoints, PlatformEndpoints};
pub use exchange::{Failure, Granted};
pub use reqwest::Error as HttpError;
pub use response::{Response, ResponseSummary};
pub use tokens::{ConsentCode, TokenResponse, Tokens};

use self::request::RequestContext;
use self::transport::TransportError;
use crate::domain::error_code::ResponseDefect;
use crate::domain::probe_result::ProbeResult;
use crate::domain::verdict::Verdict;
use crate::platforms::catalog::RefreshModel;
pub use crate::platforms::rule::Unsuccessful;
use crate::{Clock, Platform};

/// Refreshes and probes tokens at the platforms.
#[derive(Debug, Clone)]
pub struct OAuthClient {
    http: reqwest::Client,
    endpoints: Endpoints,
    clock: Clock,
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
    use secrecy::ExposeSecret;

    let head = || {
        use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
        let value = HeaderValue::from_bytes(retry_after).into_iter();
        let headers: HeaderMap = value.map(|value| (RETRY_AFTER, value)).collect();
        response::Head { status, headers }
    };
    let definition = platform.definition();
    let Response { result, .. } = response::read_refresh(definition, &head(), body, now);
    if let Ok(TokenResponse { tokens, .. }) = result {
        assert!(!tokens.access_token.expose_secret().trim().is_empty());
        assert!((200..300).contains(&status));
    }
    let _ = response::read_probe(definition, &head(), body, now);
}

impl OAuthClient {
    /// Creates a client that sends its requests to `endpoints`.
    ///
    /// # Errors
    /// When the HTTP client cannot be set up.
    pub fn new(endpoints: Endpoints, clock: Clock) -> Result<Self, HttpError> {
        Ok(Self {
            http: transport::client()?,
            endpoints,
            clock,
        })
    }

    /// Sends the refresh request that `model` takes, with our client credentials, and reads the
    /// answer.
    pub async fn refresh(
        &self,
        platform: Platform,
        model: RefreshModel,
        clients: &PlatformClients,
        tokens: &Tokens,
    ) -> Response {
        let context = self.context(platform, clients, tokens);
        let request = match model {
            RefreshModel::None => None,
            _ => context.render(&self.http, &platform.definition().refresh),
        };
        let Some(request) = request else {
            return Response::failed(
                Verdict::AppMisconfigured,
                ResponseDefect::NoClientCredentials,
            );
        };
        match transport::send(request).await {
            Ok((head, body)) => {
                let now = self.clock.now();
                response::read_refresh(platform.definition(), &head, &body, now)
                    .without_echoes(context)
            }
            Err(error) => error.into(),
        }
    }

    /// Asks the platform whether the access token works, where asking is free: for integrations
    /// in doubt, for a person's check, and once a day where nothing else shows it. `scopes` are
    /// what the grant allows, as far as known. Returns `None` if the platform has no free
    /// probe, or we lack what it takes.
    pub async fn probe(
        &self,
        platform: Platform,
        clients: &PlatformClients,
        tokens: &Tokens,
        scopes: &[String],
    ) -> Option<Response<ProbeResult>> {
        let context = self.context(platform, clients, tokens);
        let probe = platform.definition().probe.as_ref()?;
        let shape = (probe.request)(tokens.refresh_token.is_some(), scopes);
        let request = context.render(&self.http, shape)?;
        Some(match transport::send(request).await {
            Ok((head, body)) => {
                let now = self.clock.now();
                response::read_probe(platform.definition(), &head, &body, now)
                    .without_echoes(context)
            }
            Err(error) => error.into(),
        })
    }

    fn context<'a>(
        &'a self,
        platform: Platform,
        clients: &'a PlatformClients,
        tokens: &'a Tokens,
    ) -> RequestContext<'a> {
        RequestContext {
            definition: platform.definition(),
            endpoints: self.endpoints.get(platform),
            client: clients.get(platform),
            tokens: Some(tokens),
            code: None,
        }
    }
}

impl<T> From<TransportError> for Response<T> {
    fn from(error: TransportError) -> Self {
        Self {
            summary: error.summary,
            ..Self::failed(Verdict::Transient(error.transient), error.defect)
        }
    }
}

impl<T> Response<T> {
    fn failed(verdict: Verdict, defect: ResponseDefect) -> Self {
        Self {
            result: Err(Unsuccessful {
                verdict,
                code: Some(defect.name().to_owned()),
            }),
            request_id: None,
            summary: None,
        }
    }

    /// Removes a platform's echoes of what we sent. A code of eight letters is too long to be
    /// in a token by chance. A shorter one is too short to give a token away.
    fn without_echoes(mut self, context: RequestContext<'_>) -> Self {
        self.request_id = self.request_id.filter(|id| !context.is_echo(id));
        self.result = self.result.map_err(|Unsuccessful { mut verdict, code }| {
            if let Verdict::PermissionLost(named) = &mut verdict {
                named.retain(|word| !context.is_echo(word));
            }
            let code = code.filter(|code| code.len() < 8 || !context.is_echo(code));
            Unsuccessful { verdict, code }
        });
        self
    }
}
