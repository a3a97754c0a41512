//! The page on which a person consents, and what comes of it (RFC 6749, 4.1.1 and 4.1.2).

use axum::extract::{RawForm, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{MethodRouter, get};
use shared::Platform;
use shared::platforms::consent::Consent;
use url::{Url, form_urlencoded};

use super::consent::{Allowed, OfferedAccount};
use super::parameters::{RequestParameters, required, text};
use super::refusal::Refusal;
use super::{Platforms, catalog};

const PAGE: &str = include_str!("consent_page.html");

/// Serves the page that a platform shows to whoever had a refresh token, or had none.
pub(super) fn route(platform: Platform, had_refresh_token: bool) -> MethodRouter<Platforms> {
    let consent = platform.consent(Some(had_refresh_token));
    let page = move |State(platforms): State<Platforms>, RawQuery(query): RawQuery| async move {
        let query = query.unwrap_or_default();
        match Request::parse(platform, consent, &query) {
            Ok(request) => page(&platforms, platform, &query, &request),
            Err(why) => (StatusCode::BAD_REQUEST, why).into_response(),
        }
    };
    let decide = move |State(platforms): State<Platforms>,
                       RawQuery(query): RawQuery,
                       RawForm(form): RawForm| async move {
        match Request::parse(platform, consent, &query.unwrap_or_default()) {
            Ok(request) => decide(&platforms, platform, request, &form),
            Err(why) => (StatusCode::BAD_REQUEST, why).into_response(),
        }
    };
    get(page).post(decide)
}

struct Request {
    back_to: Url,
    /// As it was given.
    redirect_uri: String,
    state: String,
    scopes: Vec<String>,
    challenge: Option<String>,
}

impl Request {
    /// Reads what the platform documents of the request; anything else is no page.
    fn parse(platform: Platform, consent: &Consent, query: &str) -> Result<Self, String> {
        let parameters: RequestParameters = form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        Self::read(consent, &parameters)
            .map_err(|refusal| format!("{platform} cannot show its consent page: {refusal:?}"))
    }

    fn read(consent: &Consent, parameters: &RequestParameters) -> Result<Self, Refusal<'static>> {
        required(parameters, consent.client_id)?;
        let scopes = match consent.scopes {
            [] => "",
            _ if required(parameters, "response_type")? != "code" => {
                return Err(Refusal::Missing("response_type=code"));
            }
            _ => required(parameters, "scope")?,
        };
        let challenge = text(parameters, "code_challenge").map(str::to_owned);
        let is_challenged = text(parameters, "code_challenge_method") == Some("S256")
            && challenge.as_ref().is_some_and(|text| text.len() == 43);
        if consent.pkce && !is_challenged {
            return Err(Refusal::Missing("code_challenge"));
        }
        for (name, value) in consent.parameters {
            if text(parameters, name) != Some(value) {
                return Err(Refusal::Missing(name));
            }
        }
        let scopes = scopes.split([' ', ',']).filter(|scope| !scope.is_empty());
        let redirect_uri = required(parameters, "redirect_uri")?;
        Ok(Self {
            back_to: Url::parse(redirect_uri).map_err(|_| Refusal::Missing("redirect_uri"))?,
            redirect_uri: redirect_uri.to_owned(),
            state: required(parameters, "state")?.to_owned(),
            scopes: scopes.map(str::to_owned).collect(),
            challenge,
        })
    }

    fn back(&self, pairs: &[(&str, &str)]) -> Response {
        let mut url = self.back_to.clone();
        url.query_pairs_mut()
            .extend_pairs(pairs)
            .append_pair("state", &self.state);
        Redirect::to(url.as_str()).into_response()
    }
}

fn page(platforms: &Platforms, platform: Platform, query: &str, request: &Request) -> Response {
    let offered = platforms
        .locked()
        .simulator(platform)
        .consents
        .offered
        .clone();
    let accounts: String = offered
        .iter()
        .map(|OfferedAccount { id, name }| {
            let (id, name) = (escaped(id), escaped(name));
            format!(
                "<label><input type=\"radio\" name=\"account\" value=\"{id}\" required> {name} \
                 ({id})</label>\n"
            )
        })
        .collect();
    let scopes: String = request
        .scopes
        .iter()
        .map(|scope| {
            let scope = escaped(scope);
            format!(
                "<label><input type=\"checkbox\" name=\"scope\" value=\"{scope}\" checked> \
                 {scope}</label>\n"
            )
        })
        .collect();
    let html = PAGE
        .replace("{platform}", platform.display_name())
        .replace("{action}", &escaped(query))
        .replace("{accounts}", &accounts)
        .replace("{scopes}", &scopes);
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, html).into_response()
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('"', "&quot;")
}

fn decide(platforms: &Platforms, platform: Platform, request: Request, form: &[u8]) -> Response {
    let fields: Vec<(String, String)> = form_urlencoded::parse(form).into_owned().collect();
    let field = |name: &str| {
        let mut fields = fields.iter();
        let found = fields.find(|(given, value)| given == name && !value.is_empty());
        found.map(|(_, value)| value.clone())
    };
    if field("decision").as_deref() != Some("allow") {
        return request.back(&[
            ("error", catalog::for_platform(platform).denial),
            ("error_description", "The person denied it."),
        ]);
    }
    let Some(account) = field("account").or_else(|| field("other")) else {
        let text = "choose an account, or name another one";
        return (StatusCode::BAD_REQUEST, text).into_response();
    };
    let chosen = fields.iter().filter(|(name, _)| name == "scope");
    let now = platforms.clock.now().timestamp();
    let mut state = platforms.locked();
    let consents = &mut state.simulator(platform).consents;
    let allowed = Allowed {
        account: consents.named(account),
        scopes: chosen.map(|(_, scope)| scope.clone()).collect(),
        redirect_uri: request.redirect_uri.clone(),
        challenge: request.challenge.clone(),
    };
    let code = consents.allow(platform, allowed, now);
    drop(state);
    // The page that asks for no permissions is TikTok's portal, which calls it so.
    let name = match request.scopes.is_empty() {
        true => "auth_code",
        false => "code",
    };
    request.back(&[(name, &code)])
}
