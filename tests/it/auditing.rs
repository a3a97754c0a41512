//! One audit row for every attempt, also for one that never came to asking the
//! platform: whoever looks at a connection's history sees why.

use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use check_tokens::CheckTokens;
use chrono::TimeDelta;
use local::{Addresses, Environment};
use serde_json::{Value, json};
use shared::Platform;
use shared::integration::Intent;

use crate::world::{World, acme, connection};

/// Whether a call is refused, by its method, headers and body.
type Refuses = fn(&Method, &HeaderMap, &[u8]) -> bool;

/// The way to a service that refuses some calls.
async fn way_to(service: String, refuses: Refuses) -> String {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let pass = move |request: Request| {
        let (http, service) = (http.clone(), service.clone());
        async move {
            let (mut head, body) = request.into_parts();
            let body = to_bytes(body, usize::MAX).await.unwrap();
            if refuses(&head.method, &head.headers, &body) {
                return StatusCode::INTERNAL_SERVER_ERROR.into_response();
            }
            for name in [header::HOST, header::CONTENT_LENGTH] {
                head.headers.remove(name);
            }
            let to = format!("{service}{}", head.uri);
            let request = http.request(head.method, to).headers(head.headers);
            let answer = request.body(body).send().await.unwrap();
            let status = answer.status();
            let mut response: Response = answer.bytes().await.unwrap().into_response();
            *response.status_mut() = status;
            response
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(pass)).await });
    url
}

fn is_call(headers: &HeaderMap, of: &str) -> bool {
    let target = headers.get("x-amz-target");
    target.is_some_and(|target| target.as_bytes().ends_with(of.as_bytes()))
}

#[tokio::test]
async fn an_attempt_that_asked_nobody_leaves_its_row_too() {
    let is_claim: Refuses = |_, headers, body| {
        is_call(headers, ".PutItem") && {
            let call: Value = serde_json::from_slice(body).unwrap();
            !call["Item"]["lease"].is_null()
        }
    };
    let nothing: Refuses = |_, _, _| false;
    let cases: [(&str, Refuses, Refuses, Refuses); 5] = [
        (
            "unopenable",
            |_, headers, _| is_call(headers, ".Decrypt"),
            nothing,
            nothing,
        ),
        (
            "no_key",
            |_, headers, _| is_call(headers, ".GenerateDataKey"),
            nothing,
            nothing,
        ),
        ("unclaimed", nothing, is_claim, nothing),
        ("parking_unknown", nothing, nothing, |method, _, _| {
            *method == Method::GET
        }),
        ("renewed", nothing, nothing, nothing),
    ];
    for (verdict, kms, dynamodb, s3) in cases {
        let world = World::new().await;
        world.import(&acme()).await;
        let line = connection("x", "twitter", Some(TimeDelta::hours(1)), true);
        world.import(&[line]).await;
        let mut row = world.row("acme", "x").await;
        row.intent = Some(Intent {
            attempt: "died".to_owned(),
            at: world.now() - TimeDelta::minutes(5),
            generation: row.generation,
        });
        let row = world.integrations().replace(row, world.now()).await;
        assert!(row.unwrap().is_in_doubt());
        let of = world.stack.addresses().clone();
        let environment = Environment::new(&Addresses {
            kms: way_to(of.kms.clone(), kms).await,
            dynamodb: way_to(of.dynamodb.clone(), dynamodb).await,
            s3: way_to(of.s3.clone(), s3).await,
            ..of
        })
        .unwrap();
        let function = CheckTokens::wire(
            &environment.sdk_config(),
            &environment.variables("CheckTokensFunction"),
            world.clock.clone(),
        )
        .unwrap();
        let asked = world.stack.platforms().exchanges(Platform::Twitter);
        let request = check_tokens::Request::default();
        function.sweep(request, None, |_| {}).await.unwrap();
        let is_asked = world.stack.platforms().exchanges(Platform::Twitter) > asked;
        assert_eq!(is_asked, verdict == "renewed", "{verdict}");
        let rows = world.audit("integration#acme#x").await;
        let verdicts: Vec<_> = rows.iter().map(|row| row["verdict"].clone()).collect();
        assert_eq!(verdicts, [json!(verdict)]);
        assert!(
            rows[0]["attempt_id"]
                .as_str()
                .is_some_and(|id| id.len() == 16)
        );
    }
}
