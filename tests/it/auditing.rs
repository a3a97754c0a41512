//! One audit row for every attempt, even one that never asked the platform: an
//! integration's history shows why.

use axum::body::Bytes;
use axum::http::Method;
use axum::http::request::Parts;
use check_tokens::CheckTokens;
use chrono::TimeDelta;
use local::{Addresses, Environment};
use serde_json::{Value, json};
use shared::Platform;
use shared::domain::integration::Intent;

use crate::relay::{is_call, relay};
use crate::world::{World, acme, integration};

type Refuses = fn(&Parts, &[u8]) -> bool;

/// Serves what `service` answers, except to the calls that `refuses` picks.
async fn way_to(service: String, refuses: Refuses) -> String {
    let ask = move |head: &Parts, body: Bytes| (!refuses(head, &body)).then_some(body);
    relay(service, ask, |_, _| {}).await
}

#[tokio::test]
async fn an_attempt_that_asked_nobody_leaves_its_row_too() {
    let is_claim: Refuses = |head, body| {
        is_call(head, "PutItem") && {
            let call: Value = serde_json::from_slice(body).unwrap();
            !call["Item"]["lease"].is_null()
        }
    };
    let nothing: Refuses = |_, _| false;
    let cases: [(&str, Refuses, Refuses, Refuses); 5] = [
        (
            "decryption_failed",
            |head, _| is_call(head, "Decrypt"),
            nothing,
            nothing,
        ),
        (
            "no_key",
            |head, _| is_call(head, "GenerateDataKey"),
            nothing,
            nothing,
        ),
        ("claim_failed", nothing, is_claim, nothing),
        ("fallback_unknown", nothing, nothing, |head, _| {
            head.method == Method::GET
        }),
        ("renewed", nothing, nothing, nothing),
    ];
    for (result, kms, dynamodb, s3) in cases {
        let world = World::new().await;
        world.import(&acme()).await;
        let line = integration("x", "twitter", Some(TimeDelta::hours(1)), true);
        world.import(&[line]).await;
        let mut row = world.row("acme", "x").await;
        row.refresh.intent = Some(Intent {
            attempt: "died".to_owned(),
            at: world.now() - TimeDelta::minutes(5),
            generation: row.credential.generation,
            answered: false,
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
        let function = CheckTokens::from_environment(
            &environment.sdk_config(),
            &environment.variables("CheckTokensFunction"),
            world.clock.clone(),
        )
        .unwrap();
        let asked = world.stack.platforms().refreshes(Platform::Twitter);
        let request = check_tokens::Request::default();
        function.sweep(request, None, |_| {}).await.unwrap();
        let is_asked = world.stack.platforms().refreshes(Platform::Twitter) > asked;
        assert_eq!(is_asked, result == "renewed", "{result}");
        let rows = world.audit("integration#acme#x").await;
        let results: Vec<_> = rows.iter().map(|row| row["result"].clone()).collect();
        assert_eq!(results, [json!(result)]);
        assert!(
            rows[0]["attempt_id"]
                .as_str()
                .is_some_and(|id| id.len() == 16)
        );
    }
}
