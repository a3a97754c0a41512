//! Exchanges the code of a person's consent for a grant, and finds out whose it is.

use std::convert::Infallible;

use serde_json::Value;

use super::body::Body;
use super::request::RequestContext;
use super::response;
use super::transport;
use super::{
    ConsentCode, OAuthClient, PlatformClients, Response, TokenResponse, Tokens, Unsuccessful,
};
use crate::Platform;
use crate::domain::account::Account;
use crate::domain::error_code::ResponseDefect;
use crate::domain::probe_result::ProbeResult;
use crate::domain::verdict::Verdict;
use crate::platforms::consent::{ConsentFlow, ConsentPage, Visit};
use crate::platforms::request::RequestShape;
use crate::platforms::rule::RequestKind;

/// A new grant.
#[derive(Debug)]
pub struct Granted {
    pub response: TokenResponse,
    /// What the platform says of the new token, where asking is free.
    pub probed: Option<ProbeResult>,
    /// The accounts that it is for, the likeliest first. Empty if the platform named none.
    pub accounts: Vec<Account>,
    /// What the platform answered instead, when it last did not name an account.
    pub unnamed: Option<Verdict>,
}

/// An answer without what we asked for.
pub type Failure = Response<Infallible>;

/// An answer with tokens, and its body: some name the account beside them.
struct Answered {
    response: Response,
    body: Value,
}

impl OAuthClient {
    /// Returns the address of the page on which a person consents, or `None` if we have no
    /// client credentials there.
    #[must_use]
    pub fn consent_url(
        &self,
        platform: Platform,
        had_refresh_token: Option<bool>,
        clients: &PlatformClients,
        visit: Visit<'_>,
    ) -> Option<String> {
        let client = clients.get(platform)?;
        let endpoints = self.endpoints.get(platform);
        let ConsentFlow { page, consent, .. } = platform.consent_flow(had_refresh_token);
        let page = match page {
            ConsentPage::Authorize => endpoints.authorize.clone(),
            ConsentPage::OfHost(path) => {
                let host = self.endpoints.host(platform, None)?;
                format!("{}/{path}", host.trim_end_matches('/'))
            }
        };
        Some(consent.authorization_url(&page, &client.client_id, visit))
    }

    /// Exchanges a code, lengthens the life of its token where that is a step of its own, and asks
    /// for which accounts the grant is. A code works once, whatever comes of it.
    ///
    /// # Errors
    /// The answer that was no success: nothing of the grant is known then.
    pub async fn exchange(
        &self,
        platform: Platform,
        had_refresh_token: Option<bool>,
        clients: &PlatformClients,
        code: &ConsentCode,
    ) -> Result<Granted, Failure> {
        let exchange = &platform.consent_flow(had_refresh_token).exchange;
        let context = RequestContext {
            definition: platform.definition(),
            endpoints: self.endpoints.get(platform),
            client: clients.get(platform),
            tokens: None,
            code: Some(code),
        };
        let find = exchange.tokens;
        let answered = self.ask(RequestKind::Code, context, exchange.request, find);
        let Answered { response, body } = answered.await;
        let mut granted = response.into_result()?;
        if let Some(request) = exchange.lengthening {
            let context = self.context(platform, clients, &granted.tokens);
            let find = platform.definition().tokens;
            let longer = self.ask(RequestKind::Refresh, context, request, find).await;
            let longer = longer.response.into_result()?;
            let code = std::mem::replace(&mut granted, longer);
            if !granted.names_scopes {
                granted.lifetimes.scopes = code.lifetimes.scopes;
                granted.names_scopes = code.names_scopes;
            }
        }
        let mut accounts = Vec::new();
        let mut unnamed = None;
        for (request, read) in exchange.identity {
            match self.who(platform, clients, &granted.tokens, request).await {
                Ok(body) => merge(&mut accounts, read(&body)),
                // The code is used up: the grant is kept for whoever knows whose it is.
                Err(failure) => {
                    let Err(Unsuccessful { verdict, code }) = failure.result;
                    let name = verdict.name();
                    tracing::warn!(%platform, verdict = name, code, "a platform did not say who it is");
                    unnamed = Some(verdict);
                }
            }
        }
        if accounts.is_empty() {
            accounts = (exchange.beside_tokens)(&body);
        }
        let scopes = &granted.lifetimes.scopes;
        let probe = self.probe(platform, clients, &granted.tokens, scopes).await;
        Ok(Granted {
            probed: probe.and_then(|probe| probe.result.ok()),
            response: granted,
            accounts,
            unnamed,
        })
    }

    async fn ask(
        &self,
        kind: RequestKind,
        context: RequestContext<'_>,
        request: &RequestShape,
        find: fn(&Value) -> Option<&Value>,
    ) -> Answered {
        let failed = |response: Response| Answered {
            response,
            body: Value::Null,
        };
        let Some(request) = context.render(&self.http, request) else {
            return failed(no_credentials());
        };
        match transport::send(request).await {
            Ok((head, bytes)) => {
                let now = self.clock.now();
                let definition = context.definition;
                let response = response::read_tokens(definition, kind, find, &head, &bytes, now);
                Answered {
                    response: response.without_echoes(context),
                    body: Body::parse(&head.headers, &bytes).json,
                }
            }
            Err(error) => failed(error.into()),
        }
    }

    /// Returns the body of the answer to a request with a new token.
    async fn who(
        &self,
        platform: Platform,
        clients: &PlatformClients,
        tokens: &Tokens,
        request: &RequestShape,
    ) -> Result<Value, Failure> {
        let context = self.context(platform, clients, tokens);
        let Some(request) = context.render(&self.http, request) else {
            return Err(no_credentials());
        };
        let (head, bytes) = transport::send(request).await.map_err(Failure::from)?;
        let now = self.clock.now();
        response::read_identity(platform.definition(), &head, &bytes, now)
            .without_echoes(context)
            .into_result()
    }
}

/// Adds the accounts that are not known yet.
fn merge(known: &mut Vec<Account>, more: Vec<Account>) {
    for account in more {
        if known.iter().all(|of| of.id != account.id) {
            known.push(account);
        }
    }
}

fn no_credentials<T>() -> Response<T> {
    Response::failed(
        Verdict::AppMisconfigured,
        ResponseDefect::NoClientCredentials,
    )
}

impl<T> Response<T> {
    /// Returns what we asked for, or the answer without it.
    fn into_result(self) -> Result<T, Failure> {
        let Self {
            result,
            request_id,
            summary,
        } = self;
        result.map_err(|unsuccessful| Response {
            result: Err(unsuccessful),
            request_id,
            summary,
        })
    }
}
