//! Trouble between us and a platform: answers that are too long, cut off, redirected, or
//! missing.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::domain::verdict::{Transient, Verdict};
use crate::oauth::transport::TransportError;
use crate::oauth::{Endpoints, OAuthClient, PlatformClients, Response, Tokens, Unsuccessful};
use crate::platforms::catalog::RefreshModel;
use crate::{Clock, Platform, Variables};

/// A platform that sends everybody the same answer.
struct Server {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Server {
    /// Sends `answer`, then `bytes`, and closes the connection.
    async fn sends(answer: &str, bytes: Vec<u8>) -> Self {
        Self::start(answer.to_owned(), (bytes.leak(), 1)).await
    }

    /// Sends `answer`, then `more` as often as told, and closes the connection.
    async fn start(answer: String, more: (&'static [u8], usize)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(speak(stream, answer.clone(), more));
            }
        });
        Self { address, asked }
    }

    /// Starts a server that accepts connections and never answers.
    async fn silent() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.push(stream);
            }
        });
        address
    }

    async fn says(answer: &str) -> Self {
        Self::start(answer.to_owned(), (b"", 0)).await
    }
}

async fn speak(mut stream: TcpStream, answer: String, (chunk, times): (&'static [u8], usize)) {
    // The whole of these requests is a single small segment.
    let mut request = vec![0; 64 * 1024];
    let _ = stream.read(&mut request).await;
    let _ = stream.write_all(answer.as_bytes()).await;
    for _ in 0..times {
        if stream.write_all(chunk).await.is_err() {
            return; // the client has heard enough
        }
    }
    let _ = stream.shutdown().await;
}

async fn client(address: SocketAddr) -> (OAuthClient, PlatformClients, Tokens) {
    let platforms: serde_json::Map<_, _> = Platform::ALL
        .into_iter()
        .map(|platform| {
            let url = format!("http://{address}/{platform}");
            let urls = json!({"token": format!("{url}/token"), "api": url});
            (platform.name().to_owned(), urls)
        })
        .collect();
    let clients: serde_json::Map<_, _> = Platform::ALL
        .into_iter()
        .map(|platform| {
            let client = json!({"client_id": "id", "client_secret": "client-secret"});
            (platform.name().to_owned(), client)
        })
        .collect();
    let variables = Variables::from_iter([(
        "PLATFORM_ENDPOINTS".to_owned(),
        json!(platforms).to_string(),
    )]);
    let endpoints = Endpoints::from_variables(&variables).unwrap();
    let tokens = Tokens {
        access_token: SecretString::from("access-token"),
        refresh_token: Some(SecretString::from("refresh-token")),
    };
    (
        OAuthClient::new(endpoints, Clock::system()).unwrap(),
        PlatformClients::from_json(&json!(clients).to_string()).unwrap(),
        tokens,
    )
}

async fn refresh(address: SocketAddr) -> Response {
    let (client, clients, tokens) = client(address).await;
    client
        .refresh(Platform::Twitter, RefreshModel::Rotating, &clients, &tokens)
        .await
}

async fn refused(address: SocketAddr) -> Unsuccessful {
    refresh(address).await.result.unwrap_err()
}

async fn probe(platform: Platform, address: SocketAddr) -> Option<Verdict> {
    let (client, clients, tokens) = client(address).await;
    let probed = client.probe(platform, &clients, &tokens, &[]).await?;
    Some(probed.result.unwrap_err().verdict)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
}

#[tokio::test]
async fn a_long_answer_is_not_read_to_its_end() {
    static MEGABYTE: [u8; 1 << 20] = [b' '; 1 << 20];
    for head in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10485760\r\n\r\n",
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n",
    ] {
        let server = Server::start(head.to_owned(), (&MEGABYTE, 10)).await;
        let verdict = refused(server.address).await.verdict;
        assert_eq!(verdict, Verdict::Transient(Transient::Unintelligible));
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::says(&answer("200 OK", "", r#"{"access_token":"a"}"#)).await;
    for status in ["302 Found", "307 Temporary Redirect"] {
        let location = format!("location: http://{}/\r\n", elsewhere.address);
        let server = Server::says(&answer(status, &location, "")).await;
        let verdict = refused(server.address).await.verdict;
        assert_eq!(verdict, Verdict::Transient(Transient::Unintelligible));
        assert_eq!(server.asked.load(Ordering::SeqCst), 1);
    }
    assert_eq!(elsewhere.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_answer_cut_short_is_none() {
    for cut in [
        "",
        "HTTP/1.1 200 OK\r\ncontent-le",
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"access_token\":\"a\"",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"acc",
    ] {
        let server = Server::says(cut).await;
        let verdict = refused(server.address).await.verdict;
        assert_eq!(verdict, Verdict::Transient(Transient::NoAnswer), "{cut}");
        let probed = probe(Platform::Google, server.address).await;
        assert_eq!(probed, Some(Verdict::Transient(Transient::NoAnswer)));
    }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(text).unwrap();
    gzip.finish().unwrap()
}

/// On a platform with single-use refresh tokens, an answer that is not read loses a grant.
#[tokio::test]
async fn whatever_holds_whole_tokens_is_read() {
    let json = br#"{"access_token":"new-access","refresh_token":"new-refresh","expires_in":7200}"#;
    let form = b"access_token=new%2Daccess&refresh_token=new-refresh&expires_in=7200";
    let mark = [b"\xef\xbb\xbf".as_slice(), json].concat();
    let padded = [b"\r\n ".as_slice(), json, b"\r\n\0"].concat();
    let packed = gzip(json);
    let mut no_trailer = packed.clone();
    no_trailer.truncate(packed.len() - 8);
    let urlencoded = "content-type: application/x-www-form-urlencoded\r\n";
    for (name, headers, body, missing) in [
        ("plain", "", json.to_vec(), 0),
        ("byte order mark", "", mark.clone(), 0),
        ("white space and a zero", "", padded, 0),
        ("gzip", "content-encoding: gzip\r\n", packed.clone(), 0),
        ("gzip that nobody announced", "", packed.clone(), 0),
        (
            "gzip and a mark",
            "content-encoding: x-gzip\r\n",
            gzip(&mark),
            0,
        ),
        (
            "gzip without its end",
            "content-encoding: gzip\r\n",
            no_trailer,
            0,
        ),
        ("a longer content-length", "", json.to_vec(), 10),
        (
            "a longer content-length, gzip",
            "content-encoding: gzip\r\n",
            packed,
            1,
        ),
        ("form", urlencoded, form.to_vec(), 0),
        (
            "form as text",
            "content-type: text/plain\r\n",
            form.to_vec(),
            0,
        ),
        ("form, gzip", urlencoded, gzip(form), 0),
    ] {
        let length = body.len() + missing;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n{headers}\r\n");
        let server = Server::sends(&head, body).await;
        let answer = refresh(server.address).await;
        let granted = answer.result.unwrap_or_else(|e| panic!("{name}: {e:?}"));
        let refresh_token = granted.tokens.refresh_token.unwrap();
        assert_eq!(
            granted.tokens.access_token.expose_secret(),
            "new-access",
            "{name}"
        );
        assert_eq!(refresh_token.expose_secret(), "new-refresh", "{name}");
        assert_eq!(
            granted.lifetimes.access,
            Some(TimeDelta::hours(2)),
            "{name}"
        );
    }
    let chunked = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{}\r\n",
        json.len(),
        std::str::from_utf8(json).unwrap()
    );
    let server = Server::says(&chunked).await;
    assert!(
        refresh(server.address).await.result.is_ok(),
        "no last chunk"
    );
}

/// The end of a form's last value cannot be seen.
#[tokio::test]
async fn a_form_that_was_cut_off_is_not_read() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n";
    let form = b"access_token=new-access&refresh_token=new-re";
    let server = Server::sends(head, form.to_vec()).await;
    assert_eq!(
        refused(server.address).await.code.as_deref(),
        Some("cut_off")
    );
    let mut packed = gzip(form);
    packed.truncate(packed.len() - 9);
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
        packed.len()
    );
    let server = Server::sends(&head, packed).await;
    assert!(refresh(server.address).await.result.is_err());
}

#[tokio::test]
async fn a_small_body_cannot_unpack_to_a_large_one() {
    let packed = gzip(&vec![b' '; 64 << 20]);
    assert!(packed.len() < 100_000);
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
        packed.len()
    );
    let server = Server::sends(&head, packed).await;
    let verdict = refused(server.address).await.verdict;
    assert_eq!(verdict, Verdict::Transient(Transient::Unintelligible));
}

#[tokio::test]
async fn what_came_instead_of_tokens_is_kept() {
    let html = "content-type: text/html; charset=utf-8\r\n";
    for (status, headers, body, code) in [
        ("200 OK", html, "<!DOCTYPE html><p>Sorry", "http_200_html"),
        ("200 OK", "", "  <HTML>", "http_200_html"),
        ("200 OK", html, "Sorry", "http_200_html"),
        ("502 Bad Gateway", "", "", "http_502_empty"),
        ("200 OK", "", "{}", "http_200_json"),
        (
            "200 OK",
            "",
            r#"{"access_token":"a"#,
            "http_200_json_cut_off",
        ),
        ("200 OK", "", "soon", "http_200_text"),
        (
            "200 OK",
            "content-encoding: br\r\n",
            "b\u{7}",
            "http_200_compressed",
        ),
        ("200 OK", "", "<?xml version=\"1.0\"?>", "http_200_xml"),
        (
            "301 Moved",
            "location: https://example.com/\r\n",
            "",
            "redirected",
        ),
        (
            "400 Bad Request",
            "",
            r#"{"error":"of-No-known_Form1"}"#,
            "http_400_json",
        ),
        (
            "400 Bad Request",
            "",
            r#"{"error":"something_new"}"#,
            "something_new",
        ),
    ] {
        let server = Server::says(&answer(status, headers, body)).await;
        let answer = refresh(server.address).await;
        let summary = answer.summary.unwrap();
        assert_eq!(summary.status.to_string(), status[..3]);
        assert_eq!(summary.length, body.len());
        let html = headers
            .contains("text/html")
            .then(|| "text/html".to_owned());
        assert_eq!(summary.content_type, html);
        assert_eq!(answer.result.unwrap_err().code.as_deref(), Some(code));
    }
    for (says, code, has_summary) in [
        ("", "connection_closed", false),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{",
            "cut_off",
            true,
        ),
    ] {
        let server = Server::says(says).await;
        let answer = refresh(server.address).await;
        assert_eq!(answer.summary.is_some(), has_summary);
        assert_eq!(answer.result.unwrap_err().code.as_deref(), Some(code));
    }
    let impatient = reqwest::Client::builder()
        .timeout(Duration::from_millis(20))
        .build()
        .unwrap();
    let silence = impatient
        .get(format!("http://{}", Server::silent().await))
        .send();
    let error = TransportError::from(silence.await.unwrap_err());
    assert_eq!(error.defect.name(), "timed_out_after_10_s");
    assert_eq!(error.transient, Transient::NoAnswer);
}

#[tokio::test]
async fn only_what_can_be_read_is_asked_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let heard = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 64 * 1024];
        let length = stream.read(&mut request).await.unwrap();
        String::from_utf8_lossy(&request[..length]).to_ascii_lowercase()
    });
    let _ = refresh(address).await;
    let heard = heard.await.unwrap();
    for header in ["accept: application/json\r\n", "accept-encoding: gzip\r\n"] {
        assert!(heard.contains(header), "{heard}");
    }
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let unreachable = Verdict::Transient(Transient::Unreachable);
    assert_eq!(refused(address).await.verdict, unreachable);
    for platform in Platform::ALL {
        let expected = platform.has_free_probe().then(|| unreachable.clone());
        assert_eq!(probe(platform, address).await, expected, "{platform}");
    }
}

#[tokio::test]
async fn what_cannot_be_sent_was_not_sent() {
    let server = Server::says("").await;
    let (client, clients, mut tokens) = client(server.address).await;
    tokens.access_token = SecretString::from("a\nb");
    let probed = client
        .probe(Platform::Snapchat, &clients, &tokens, &[])
        .await;
    assert_eq!(
        probed.unwrap().result.unwrap_err().verdict,
        Verdict::Transient(Transient::Unreachable)
    );
    assert_eq!(server.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_success_is_read_and_an_echo_is_not_kept() {
    let body = r#"{"access_token":"new","refresh_token":"newer","expires_in":7200}"#;
    let server = Server::says(&answer("200 OK", "", body)).await;
    let granted = refresh(server.address).await.result.unwrap();
    assert!(granted.tokens.refresh_token.is_some());

    for echo in [
        "refresh-token",
        "client-secret",
        "refresh",
        "x-access-token",
    ] {
        let body = json!({"error": echo, "log_id": echo}).to_string();
        let server = Server::says(&answer("400 Bad Request", "", &body)).await;
        let answer = refresh(server.address).await;
        assert_eq!(answer.request_id, None, "{echo}");
        let code = answer.result.unwrap_err().code;
        // A word as short as this tells nothing of a token.
        assert_eq!(code, (echo == "refresh").then(|| echo.to_owned()));
    }
}

#[tokio::test]
async fn the_platforms_id_of_a_request_is_read_from_wherever_it_stands() {
    let long = "a".repeat(65);
    for (headers, body, expected) in [
        ("x-li-uuid: AAYXm+/7Cg==\r\n", "{}", Some("AAYXm+/7Cg==")),
        ("request-id: Gx7_9\r\n", "{}", Some("Gx7_9")),
        (
            "x-fb-trace-id: head\r\n",
            r#"{"error":{"fbtrace_id":"body"}}"#,
            Some("body"),
        ),
        ("", r#"{"error":{"log_id":"2026"}}"#, Some("2026")),
        ("request-id: two words\r\n", "{}", None),
        (&format!("request-id: {long}\r\n"), "{}", None),
        ("request-id: access-token\r\n", "{}", None),
    ] {
        let server = Server::says(&answer("400 Bad Request", headers, body)).await;
        let id = refresh(server.address).await.request_id;
        assert_eq!(id.as_deref(), expected, "{headers} {body}");
        let (client, clients, tokens) = client(server.address).await;
        let probed = client.probe(Platform::Google, &clients, &tokens, &[]).await;
        let id = probed.unwrap().request_id;
        assert_eq!(id.as_deref(), expected, "{headers} {body}");
    }
}
