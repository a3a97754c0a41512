//! A quota store that is slow, throttles, fails or talks nonsense: never an
//! allowance, never more than two tries.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use chrono::TimeDelta;
use shared::quota::{Limiter, Policies, QuotaError, QuotaKey};
use shared::{Clock, IntegrationId, OrgId, Platform};

use crate::world::start;

#[derive(Clone, Copy)]
enum Fault {
    Hangs,
    Throttles,
    Fails,
    Babbles,
}

/// A server in DynamoDB's place; counts what it is asked.
async fn faulty(fault: Fault, clock: &Clock) -> (String, Arc<AtomicU32>) {
    let asked = Arc::new(AtomicU32::new(0));
    let (counter, clock) = (Arc::clone(&asked), clock.clone());
    let answer = move || {
        counter.fetch_add(1, Ordering::SeqCst);
        let clock = clock.clone();
        async move {
            let error = |kind: &str| {
                format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{kind}","message":"no"}}"#)
            };
            match fault {
                Fault::Hangs => {
                    // As long as a try may take.
                    clock.advance(TimeDelta::milliseconds(300));
                    std::future::pending().await
                }
                Fault::Throttles => {
                    let body = error("ProvisionedThroughputExceededException");
                    (StatusCode::BAD_REQUEST, body).into_response()
                }
                Fault::Fails => (
                    StatusCode::INTERNAL_SERVER_ERROR,
                    error("InternalServerError"),
                )
                    .into_response(),
                Fault::Babbles => (StatusCode::OK, "<html>").into_response(),
            }
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    (url, asked)
}

#[tokio::test]
async fn a_store_that_does_not_answer_right_is_never_an_allowance() {
    for fault in [Fault::Hangs, Fault::Throttles, Fault::Fails, Fault::Babbles] {
        let clock = Clock::frozen(start());
        let (url, asked) = faulty(fault, &clock).await;
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(aws_config::BehaviorVersion::v2026_01_12())
            .region(aws_config::Region::from_static("us-east-1"))
            .credentials_provider(aws_sdk_dynamodb::config::Credentials::new(
                "a", "b", None, None, "test",
            ))
            .endpoint_url(url)
            .build();
        let client = aws_sdk_dynamodb::Client::from_conf(config);
        let limiter = Limiter::new(client, "quotas", Policies::default(), clock);
        let key = QuotaKey::new(
            Platform::Meta,
            OrgId::new("acme").unwrap(),
            IntegrationId::new("i").unwrap(),
        );
        let error = limiter.attempt(&key).await.unwrap_err();
        assert!(matches!(error, QuotaError::Unavailable(_)), "{error}");
        assert_eq!(asked.load(Ordering::SeqCst), 2, "{error}");
    }
}
