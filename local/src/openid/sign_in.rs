//! Signing in and out: the authorization endpoint (OpenID Connect Core 1.0, 3.1) with its page,
//! and the end of a session (RP-Initiated Logout 1.0). Nobody proves who they are: only people of
//! this machine get here.

use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::{Form, FromRequestParts, Query, RawQuery, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{MethodRouter, get};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Deserializer, de};
use shared::UserId;
use url::{Url, form_urlencoded};

use super::codes::Authorization;
use super::issuer::{AUDIENCE, Issuer};
use super::loopback::is_of_this_machine;

const SESSION: &str = "warden_local_user";

pub(super) fn authorize_route() -> MethodRouter<Issuer> {
    get(authorize).post(sign_in)
}

/// The parameters of a request for a code.
#[derive(Debug, Deserialize)]
struct AuthorizationRequest {
    client_id: String,
    #[serde(deserialize_with = "url")]
    redirect_uri: Url,
    response_type: Option<String>,
    #[serde(default)]
    scope: String,
    state: Option<String>,
    nonce: Option<String>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
    #[serde(default)]
    prompt: String,
}

fn url<'de, D: Deserializer<'de>>(from: D) -> Result<Url, D::Error> {
    Url::parse(&String::deserialize(from)?).map_err(de::Error::custom)
}

impl<S: Send + Sync> FromRequestParts<S> for AuthorizationRequest {
    /// A page that says what is wrong, where the answer may not go where the request says; else
    /// the client's error.
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let refuse = |text: String| (StatusCode::BAD_REQUEST, text).into_response();
        let given = Query::<Self>::from_request_parts(parts, state).await;
        let Query(request) = given.map_err(|rejection| refuse(rejection.body_text()))?;
        if request.client_id != AUDIENCE {
            return Err(refuse(format!("client_id must be {AUDIENCE}")));
        }
        if !is_of_this_machine(&request.redirect_uri) {
            let text = "redirect_uri must be an http address of loopback";
            return Err(refuse(text.to_owned()));
        }
        match request.error() {
            Some(error) => Err(request.send_back("error", error)),
            None => Ok(request),
        }
    }
}

impl AuthorizationRequest {
    /// Returns the error code that goes back to the client, if there is one (RFC 6749, 4.1.2.1).
    fn error(&self) -> Option<&'static str> {
        let is_challenge = self.code_challenge_method.as_deref() == Some("S256")
            && self
                .code_challenge
                .as_ref()
                .is_some_and(|it| it.len() == 43);
        match self.response_type.as_deref() {
            Some("code") if !is_challenge => Some("invalid_request"),
            Some("code") => None,
            Some(_) => Some("unsupported_response_type"),
            None => Some("invalid_request"),
        }
    }

    fn prompts(&self, value: &str) -> bool {
        self.prompt.split(' ').any(|of| of == value)
    }

    fn send_back(&self, name: &str, value: &str) -> Response {
        let mut url = self.redirect_uri.clone();
        url.query_pairs_mut().append_pair(name, value);
        if let Some(state) = &self.state {
            url.query_pairs_mut().append_pair("state", state);
        }
        // By 303: the browser must not send the form on (RFC 9700, 4.12).
        Redirect::to(url.as_str()).into_response()
    }

    fn send_code(self, issuer: &Issuer, user: UserId) -> Response {
        let now = issuer.0.clock.now();
        let authorization = Authorization {
            user,
            redirect_uri: self.redirect_uri.clone(),
            code_challenge: self.code_challenge.clone().unwrap_or_default(),
            nonce: self.nonce.clone(),
            scope: self.scope.clone(),
        };
        let code = issuer.codes().add(authorization, now);
        self.send_back("code", &code)
    }
}

/// `GET /authorize`: the page, or at once a code for whoever is signed in.
async fn authorize(
    State(issuer): State<Issuer>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    request: AuthorizationRequest,
) -> Response {
    match signed_in(&headers) {
        Some(user) if !request.prompts("login") => request.send_code(&issuer, user),
        _ if request.prompts("none") => request.send_back("error", "login_required"),
        _ => page(&issuer, &query.unwrap_or_default(), &request),
    }
}

#[derive(Deserialize)]
struct SignIn {
    user: String,
}

/// `POST /authorize`: somebody has chosen who they are.
async fn sign_in(
    State(issuer): State<Issuer>,
    request: AuthorizationRequest,
    Form(SignIn { user }): Form<SignIn>,
) -> Response {
    let user = match UserId::new(user.trim()) {
        Ok(user) => user,
        Err(invalid) => return (StatusCode::BAD_REQUEST, invalid.to_string()).into_response(),
    };
    let cookie = format!("{SESSION}={user}; Path=/; HttpOnly; SameSite=Lax");
    let answer = request.send_code(&issuer, user);
    ([(header::SET_COOKIE, cookie)], answer).into_response()
}

fn signed_in(headers: &HeaderMap) -> Option<UserId> {
    let cookies = headers.get_all(header::COOKIE).iter();
    let cookies = cookies.filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split("; "));
    let user = pairs.find_map(|pair| pair.strip_prefix(SESSION)?.strip_prefix('='))?;
    UserId::new(user).ok()
}

#[derive(Deserialize)]
pub(super) struct SignOut {
    post_logout_redirect_uri: Option<String>,
    state: Option<String>,
}

/// `GET /logout`.
pub(super) async fn sign_out(Query(request): Query<SignOut>) -> Response {
    let cookie = format!("{SESSION}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    let forget = [(header::SET_COOKIE, cookie)];
    let Some(url) = request.post_logout_redirect_uri else {
        return (forget, "You are signed out.").into_response();
    };
    let url = Url::parse(&url).ok().filter(is_of_this_machine);
    let Some(mut url) = url else {
        let problem = "post_logout_redirect_uri must be an http address of loopback";
        return (StatusCode::BAD_REQUEST, problem).into_response();
    };
    if let Some(state) = request.state {
        url.query_pairs_mut().append_pair("state", &state);
    }
    (forget, Redirect::to(url.as_str())).into_response()
}

/// Names who may be signed in.
fn page(issuer: &Issuer, query: &str, request: &AuthorizationRequest) -> Response {
    // In this form it holds nothing that HTML reads, but for the ampersands.
    let pairs = form_urlencoded::parse(query.as_bytes());
    let mut action = form_urlencoded::Serializer::new(String::new());
    let action = action.extend_pairs(pairs).finish().replace('&', "&amp;");
    // An id's alphabet has none of HTML's characters.
    let users: String = issuer
        .offered()
        .iter()
        .map(|user| {
            let (id, who) = (&user.id, user.description);
            format!("<li><button name=\"user\" value=\"{id}\"><b>{id}</b> {who}</button></li>\n")
        })
        .collect();
    let html = PAGE.replace("{action}", &action).replace("{users}", &users);
    let style = PAGE
        .split(['<', '>'])
        .skip_while(|part| *part != "style")
        .nth(1);
    let style = BASE64.encode(digest(&SHA256, style.unwrap_or_default().as_bytes()));
    // A form's answer may lead only where the request says.
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self' {}; \
         frame-ancestors 'none'; base-uri 'none'",
        request.redirect_uri.origin().ascii_serialization()
    );
    let headers: [(HeaderName, &str); 3] = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, &policy),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, html).into_response()
}

const PAGE: &str = include_str!("sign_in.html");
