use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use chrono::TimeDelta;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use shared::runtime::random_id;
use shared::{Clock, UserId};
use tower::ServiceExt;
use url::Url;

use super::issuer::TOKEN_LIFETIME_SECONDS;
use super::*;

const URL: &str = "http://127.0.0.1:9/issuer";

struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let name = format!("warden-issuer-{}", random_id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn in_memory() -> Issuer {
    Issuer::open(None, format!("{URL}/"), Clock::system()).unwrap()
}

async fn call(issuer: &Issuer, request: Request<Body>) -> (StatusCode, Value) {
    let response = router(issuer).oneshot(request).await.unwrap();
    let status = response.status();
    let body = to_bytes(response.into_body(), 65_536).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

async fn get(issuer: &Issuer, path: &str) -> Value {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let (status, body) = call(issuer, request).await;
    assert_eq!(status, StatusCode::OK, "{path}");
    body
}

async fn ask_token(issuer: &Issuer, form: &'static str) -> (StatusCode, Value) {
    let request = Request::post("/token")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(form))
        .unwrap();
    call(issuer, request).await
}

fn verify(token: &str, keys: &JwkSet) -> Value {
    let key_id = jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
    let key = DecodingKey::from_jwk(keys.find(&key_id).unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_issuer(&[URL]);
    validation.set_audience(&[AUDIENCE]);
    validation.validate_nbf = true;
    jsonwebtoken::decode(token, &key, &validation)
        .unwrap()
        .claims
}

#[tokio::test]
async fn a_token_verifies_against_the_key_set_found_by_discovery() {
    let issuer = in_memory();
    let discovery = get(&issuer, "/.well-known/openid-configuration").await;
    assert_eq!(discovery["issuer"], URL);
    let path = discovery["jwks_uri"].as_str().unwrap();
    let keys = get(&issuer, path.strip_prefix(URL).unwrap()).await;
    assert_eq!(keys["keys"][0]["alg"], "ES256");
    assert!(keys["keys"][0].get("d").is_none());

    let (status, answer) = ask_token(&issuer, "user=auth0%7Cian").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["expires_in"], 43_200);
    assert_eq!(answer["token_type"], "Bearer");
    let keys = serde_json::from_value(keys).unwrap();
    let claims = verify(answer["access_token"].as_str().unwrap(), &keys);
    assert_eq!(claims["sub"], "auth0|ian");
    let life = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert_eq!(life, TOKEN_LIFETIME_SECONDS);
}

#[tokio::test]
async fn a_user_outside_the_alphabet_gets_no_token() {
    let issuer = in_memory();
    for form in ["user=a%23b", "user=", "name=ian", ""] {
        let (status, body) = ask_token(&issuer, form).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{form}");
        assert_eq!(body["error"], "invalid_request");
    }
    assert!(issuer.token("a b").is_err());
}

#[test]
fn the_key_survives_a_restart_and_is_private() {
    let scratch = Scratch::new();
    let open = || Issuer::open(Some(&scratch.0), URL.to_owned(), Clock::system()).unwrap();
    let first = open();
    let second = open();
    assert_eq!(first.0.jwk.common.key_id, second.0.jwk.common.key_id);
    let keys = JwkSet {
        keys: vec![second.0.jwk.clone()],
    };
    assert_eq!(verify(&first.token("ian").unwrap(), &keys)["sub"], "ian");

    let files: Vec<_> = fs::read_dir(&scratch.0).unwrap().collect();
    assert_eq!(files.len(), 1, "nothing but the key is left behind");
    let mode = fs::metadata(scratch.0.join("issuer.key"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_spoilt_key_file_is_named() {
    let scratch = Scratch::new();
    fs::create_dir_all(&scratch.0).unwrap();
    fs::write(scratch.0.join("issuer.key"), b"junk").unwrap();
    let opened = Issuer::open(Some(&scratch.0), URL.to_owned(), Clock::system());
    let error = opened.err().unwrap().to_string();
    assert!(error.contains("issuer.key is not a P-256 key"), "{error}");
}

const BACK: &str = "http://127.0.0.1:3000/";
/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A frozen issuer that offers olga.
fn frozen() -> (Issuer, Clock) {
    let clock = Clock::frozen(chrono::DateTime::UNIX_EPOCH + TimeDelta::days(20_000));
    let issuer = Issuer::open(None, URL.to_owned(), clock.clone()).unwrap();
    issuer.offer(vec![OfferedUser {
        id: UserId::new("olga").unwrap(),
        description: "owns it",
    }]);
    (issuer, clock)
}

/// Returns the path of a request for a code, with some parameters changed.
fn authorize(changes: &[(&str, &str)]) -> String {
    let mut parameters = vec![
        ("client_id", AUDIENCE),
        ("redirect_uri", BACK),
        ("response_type", "code"),
        ("scope", "openid offline_access"),
        ("state", "a \"state\""),
        ("nonce", "once"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    for (name, value) in changes {
        parameters.retain(|(known, _)| known != name);
        if !value.is_empty() {
            parameters.push((name, value));
        }
    }
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    format!("/authorize?{}", query.extend_pairs(parameters).finish())
}

/// What a browser gets.
struct Seen {
    status: StatusCode,
    headers: axum::http::HeaderMap,
    body: String,
}

impl Seen {
    /// Returns a parameter of the address to which the browser is sent.
    fn sent_back(&self, name: &str) -> Option<String> {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.body);
        let url = Url::parse(self.headers["location"].to_str().unwrap()).unwrap();
        assert!(url.as_str().starts_with(BACK), "{url}");
        let mut pairs = url.query_pairs();
        pairs.find_map(|(of, value)| (of == name).then(|| value.into_owned()))
    }
}

async fn browse(issuer: &Issuer, request: Request<Body>) -> Seen {
    let response = router(issuer).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, 65_536).await.unwrap();
    Seen {
        status: parts.status,
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

async fn open(issuer: &Issuer, path: &str, cookie: Option<&str>) -> Seen {
    let mut request = Request::get(path);
    if let Some(cookie) = cookie {
        request = request.header("cookie", cookie);
    }
    browse(issuer, request.body(Body::empty()).unwrap()).await
}

async fn choose(issuer: &Issuer, path: &str, user: &str) -> Seen {
    let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
    let form: String = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("user", user)
        .finish();
    browse(issuer, request.body(form.into()).unwrap()).await
}

async fn exchange(issuer: &Issuer, changes: &[(&str, &str)]) -> (StatusCode, Value) {
    let mut parameters = vec![
        ("grant_type", "authorization_code"),
        ("client_id", AUDIENCE),
        ("redirect_uri", BACK),
        ("code_verifier", VERIFIER),
    ];
    for (name, value) in changes {
        parameters.retain(|(known, _)| known != name);
        parameters.push((name, value));
    }
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    let form = form.extend_pairs(parameters).finish();
    let request =
        Request::post("/token").header("content-type", "application/x-www-form-urlencoded");
    call(issuer, request.body(form.into()).unwrap()).await
}

#[tokio::test]
async fn a_person_signs_in_by_the_page_and_gets_tokens_for_the_code() {
    let (issuer, _) = frozen();
    let page = open(&issuer, &authorize(&[]), None).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("<b>olga</b> owns it"), "{}", page.body);
    assert!(!page.body.contains("a \"state\""), "{}", page.body);
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.contains("form-action 'self' http://127.0.0.1:3000"),
        "{policy}"
    );

    let chosen = choose(&issuer, &authorize(&[]), "olga").await;
    assert_eq!(chosen.sent_back("state").unwrap(), "a \"state\"");
    let code = chosen.sent_back("code").unwrap();
    let (status, answer) = exchange(&issuer, &[("code", &code)]).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let keys = serde_json::from_value(get(&issuer, "/jwks.json").await).unwrap();
    let claims = |token: &Value| verify_at(token.as_str().unwrap(), &keys);
    assert_eq!(claims(&answer["access_token"])["sub"], "olga");
    assert_eq!(claims(&answer["id_token"])["nonce"], "once");
    // Once.
    assert_eq!(
        exchange(&issuer, &[("code", &code)]).await.1["error"],
        "invalid_grant"
    );

    let refresh = answer["refresh_token"].as_str().unwrap();
    let again = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    let (status, renewed) = exchange(&issuer, &again).await;
    assert_eq!(
        (status, &renewed["expires_in"]),
        (StatusCode::OK, &json!(43_200))
    );
    // An access token is no refresh token.
    let access = answer["access_token"].as_str().unwrap();
    let wrong = [("grant_type", "refresh_token"), ("refresh_token", access)];
    assert_eq!(exchange(&issuer, &wrong).await.1["error"], "invalid_grant");
}

/// As [`verify`], on the issuer's own clock.
fn verify_at(token: &str, keys: &JwkSet) -> Value {
    let key_id = jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
    let key = DecodingKey::from_jwk(keys.find(&key_id).unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_audience(&[AUDIENCE]);
    validation.validate_exp = false;
    jsonwebtoken::decode(token, &key, &validation)
        .unwrap()
        .claims
}

#[tokio::test]
async fn who_is_signed_in_is_not_asked_again_until_they_sign_out() {
    let (issuer, _) = frozen();
    let silent = authorize(&[("prompt", "none")]);
    let nobody = open(&issuer, &silent, None).await;
    assert_eq!(nobody.sent_back("error").unwrap(), "login_required");
    let chosen = choose(&issuer, &authorize(&[]), "auth0|7").await;
    let cookie = chosen.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("HttpOnly"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    let code = open(&issuer, &silent, Some(cookie)).await.sent_back("code");
    assert!(code.is_some());
    // Asked for, the page comes all the same.
    let login = authorize(&[("prompt", "login")]);
    assert_eq!(
        open(&issuer, &login, Some(cookie)).await.status,
        StatusCode::OK
    );
    let out = format!("/logout?state=s&post_logout_redirect_uri={BACK}signed-out");
    let out = open(&issuer, &out, Some(cookie)).await;
    assert_eq!(out.sent_back("state").unwrap(), "s");
    assert!(
        out.headers["set-cookie"]
            .to_str()
            .unwrap()
            .contains("Max-Age=0")
    );
}

#[tokio::test]
async fn what_is_not_as_it_should_be_gets_no_code() {
    let (issuer, clock) = frozen();
    for (name, value) in [
        ("client_id", "other"),
        ("redirect_uri", "https://evil.example/"),
        ("redirect_uri", "http://127.0.0.1.evil.example/"),
        ("redirect_uri", "javascript:alert(1)"),
        ("redirect_uri", "nonsense"),
        ("redirect_uri", ""),
    ] {
        for seen in [
            open(&issuer, &authorize(&[(name, value)]), None).await,
            choose(&issuer, &authorize(&[(name, value)]), "olga").await,
        ] {
            assert_eq!(seen.status, StatusCode::BAD_REQUEST, "{name} {value}");
            assert_eq!(seen.headers.get("location"), None);
        }
    }
    for (name, value, error) in [
        ("response_type", "token", "unsupported_response_type"),
        ("response_type", "", "invalid_request"),
        ("code_challenge", "", "invalid_request"),
        ("code_challenge", "short", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
    ] {
        let seen = open(&issuer, &authorize(&[(name, value)]), None).await;
        assert_eq!(seen.sent_back("error").unwrap(), error, "{name} {value}");
    }
    let bad_user = choose(&issuer, &authorize(&[]), "<b>").await;
    assert_eq!(bad_user.status, StatusCode::BAD_REQUEST);
    for (name, value) in [
        ("client_id", "other"),
        ("redirect_uri", "http://127.0.0.1:3000/other"),
        ("code_verifier", "another"),
    ] {
        let chosen = choose(&issuer, &authorize(&[]), "olga").await;
        let code = chosen.sent_back("code").unwrap();
        let (status, answer) = exchange(&issuer, &[("code", &code), (name, value)]).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{name}");
        assert_eq!(answer["error"], "invalid_grant");
    }
    let chosen = choose(&issuer, &authorize(&[]), "olga").await;
    let code = chosen.sent_back("code").unwrap();
    clock.advance(TimeDelta::seconds(60));
    assert_eq!(
        exchange(&issuer, &[("code", &code)]).await.0,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn only_pages_of_this_machine_read_tokens() {
    let issuer = in_memory();
    for (origin, reads) in [
        ("http://127.0.0.1:3000", true),
        ("http://localhost:5173", true),
        ("https://evil.example", false),
        ("http://127.0.0.1.evil.example", false),
        ("null", false),
    ] {
        let request = Request::post("/token").header("origin", origin);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let seen = browse(&issuer, request.body("user=ian".into()).unwrap()).await;
        let allowed = seen.headers.get("access-control-allow-origin");
        assert_eq!(
            allowed.is_some_and(|allowed| allowed == origin),
            reads,
            "{origin}"
        );
        assert_eq!(allowed.is_some(), reads, "{origin}");
    }
}
