//! What happens between us and a platform: answers too long, cut, elsewhere,
//! or none.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use secrecy::SecretString;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::oauth::{Answer, Credentials, Endpoints, OAuthClient, Tokens, Unsuccessful};
use crate::platform::RefreshModel;
use crate::verdict::{Transient, Verdict};
use crate::{Clock, Platform, Variables};

/// A platform that says the same to everybody.
struct Server {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Server {
    /// Says `answer`, then `more` as often as told, and hangs up.
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

async fn client(address: SocketAddr) -> (OAuthClient, Credentials, Tokens) {
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
        Credentials::from_json(&json!(clients).to_string()).unwrap(),
        tokens,
    )
}

async fn refresh(address: SocketAddr) -> Answer {
    let (client, credentials, tokens) = client(address).await;
    client
        .refresh(
            Platform::Twitter,
            RefreshModel::Rotating,
            &credentials,
            &tokens,
        )
        .await
}

async fn refused(address: SocketAddr) -> Unsuccessful {
    refresh(address).await.result.unwrap_err()
}

async fn probe(platform: Platform, address: SocketAddr) -> Option<Verdict> {
    let (client, credentials, tokens) = client(address).await;
    let probed = client.probe(platform, &credentials, &tokens).await?;
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

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let unreachable = Verdict::Transient(Transient::Unreachable);
    assert_eq!(refused(address).await.verdict, unreachable);
    for platform in Platform::ALL {
        let expected = (platform != Platform::Twitter).then(|| unreachable.clone());
        assert_eq!(probe(platform, address).await, expected, "{platform}");
    }
}

#[tokio::test]
async fn what_cannot_be_sent_was_not_sent() {
    let server = Server::says("").await;
    let (client, credentials, mut tokens) = client(server.address).await;
    tokens.access_token = SecretString::from("a\nb");
    let probed = client.probe(Platform::Google, &credentials, &tokens).await;
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
        let (client, credentials, tokens) = client(server.address).await;
        let probed = client.probe(Platform::Google, &credentials, &tokens).await;
        let id = probed.unwrap().request_id;
        assert_eq!(id.as_deref(), expected, "{headers} {body}");
    }
}
