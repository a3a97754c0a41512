//! When the issuer's keys are fetched, and what happens when they can't be.

use super::*;

#[tokio::test]
async fn an_unknown_key_id_refetches_at_most_once_a_minute() {
    let issuer = Issuer::serve().await;
    let authorizer = authorizer_from(&variables(&issuer.url, &[]), &issuer.clock).unwrap();
    let next = Keypair::ec("next");
    let token = issuer.token(&next, json!({}));
    for _ in 0..5 {
        assert_eq!(refusal(&authorizer, &token).await, Refusal::UnknownKey);
    }
    assert_eq!(issuer.fetches(), 1);
    issuer.publish(&[&issuer.ec, &next]);
    issuer.clock.advance(TimeDelta::seconds(59));
    assert_eq!(refusal(&authorizer, &token).await, Refusal::UnknownKey);
    issuer.clock.advance(TimeDelta::seconds(1));
    assert!(authorize(&authorizer, &token).await.is_ok());
    assert!(
        authorize(&authorizer, &issuer.token(&issuer.ec, json!({})))
            .await
            .is_ok()
    );
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn callers_at_the_same_time_share_one_fetch() {
    let issuer = Issuer::serve().await;
    let authorizer = authorizer_from(&variables(&issuer.url, &[]), &issuer.clock).unwrap();
    let token = issuer.token(&issuer.ec, json!({}));
    let asked = (0..32).map(|_| authorize(&authorizer, &token));
    let answers = futures::future::join_all(asked).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn a_withdrawn_key_is_trusted_for_an_hour() {
    let issuer = Issuer::serve().await;
    let authorizer = authorizer_from(&variables(&issuer.url, &[]), &issuer.clock).unwrap();
    let token = issuer.token(&issuer.ec, json!({"exp": 4_000_000_000_i64}));
    assert!(authorize(&authorizer, &token).await.is_ok());
    issuer.publish(&[&issuer.rsa]);
    issuer.clock.advance(TimeDelta::minutes(59));
    assert!(authorize(&authorizer, &token).await.is_ok());
    issuer.clock.advance(TimeDelta::minutes(1));
    assert_eq!(refusal(&authorizer, &token).await, Refusal::UnknownKey);
}

#[tokio::test]
async fn an_issuer_that_fails_refuses_nobody() {
    let issuer = Issuer::serve().await;
    let authorizer = authorizer_from(&variables(&issuer.url, &[]), &issuer.clock).unwrap();
    let token = issuer.token(&issuer.ec, json!({}));
    for broken in [
        json!({"issuer": "https://other.example", "jwks_uri": format!("{}/jwks", issuer.url)}),
        json!({"issuer": issuer.url, "jwks_uri": "http://id.example/jwks"}),
        json!({"issuer": issuer.url, "jwks_uri": format!("{}/moved", issuer.url)}),
        json!({"issuer": issuer.url, "jwks_uri": format!("{}/endless", issuer.url)}),
        json!({"issuer": issuer.url, "jwks_uri": format!("{}/none", issuer.url)}),
        json!("nonsense"),
    ] {
        issuer.discover(broken.clone());
        issuer.clock.advance(TimeDelta::seconds(2));
        for _ in 0..2 {
            let message = authorize(&authorizer, &token).await.unwrap_err();
            assert_eq!(message, "the issuer's keys cannot be had", "{broken}");
        }
    }
    // Known keys outlive the failure.
    issuer.recover();
    issuer.clock.advance(TimeDelta::seconds(2));
    assert!(authorize(&authorizer, &token).await.is_ok());
    issuer.discover(json!("nonsense"));
    issuer.clock.advance(TimeDelta::minutes(2));
    let unknown = issuer.token(&Keypair::ec("next"), json!({}));
    assert_eq!(refusal(&authorizer, &unknown).await, Refusal::UnknownKey);
    assert!(authorize(&authorizer, &token).await.is_ok());
}

#[tokio::test]
async fn pinned_keys_ask_nobody() {
    let issuer = Issuer::serve().await;
    let jwks = issuer.key_set(&[&issuer.ec]);
    let pinned = variables(&issuer.url, &[("AUTH_JWKS", &jwks.to_string())]);
    let authorizer = authorizer_from(&pinned, &issuer.clock).unwrap();
    assert!(
        authorize(&authorizer, &issuer.token(&issuer.ec, json!({})))
            .await
            .is_ok()
    );
    let other = issuer.token(&issuer.rsa, json!({}));
    assert_eq!(refusal(&authorizer, &other).await, Refusal::UnknownKey);
    assert_eq!(issuer.fetches(), 0);
}
