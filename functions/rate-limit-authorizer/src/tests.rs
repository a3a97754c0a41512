//! The whole check, with tokens of a real issuer served on this machine.

use aws_config::{BehaviorVersion, SdkConfig};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use chrono::TimeDelta;
use jsonwebtoken::{Algorithm, EncodingKey};
use lambda_runtime::{Context, Diagnostic};
use serde_json::{Value, json};

use super::*;

mod fetching;
mod issuer;
use issuer::{Issuer, Keypair};

fn variables(issuer: &str, more: &[(&str, &str)]) -> Variables {
    let base = [
        ("ORGANIZATIONS_TABLE", "organizations"),
        ("QUOTAS_TABLE", "quotas"),
        ("AUTH_ISSUER", issuer),
    ];
    let all = base.iter().chain(more);
    all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn authorizer_from(variables: &Variables, clock: &Clock) -> Result<Authorizer, InvalidVariable> {
    // No region, no credentials: whoever reaches for the table gets an error.
    let sdk = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .build();
    Authorizer::from_environment(&sdk, variables, clock.clone())
}

fn event(token: &str, path: &str) -> LambdaEvent<Request> {
    let bearer = format!("Bearer {token}");
    let request = serde_json::from_value(json!({
        "type": "REQUEST", "httpMethod": "GET", "path": path,
        "methodArn": "arn:aws:execute-api:eu-west-1:123456789012:abc/v1/GET/x",
        "resource": "/api/dashboard/{orgId}/notifications",
        "headers": {"authorization": bearer}, "multiValueHeaders": {"authorization": [bearer]},
        "pathParameters": {"orgId": "acme"}, "stageVariables": {"auth_audience": "warden"},
        "requestContext": {"requestId": "r", "stage": "v1"},
    }));
    LambdaEvent::new(request.unwrap(), Context::default())
}

/// Returns what the gateway sees of the answer for a path that costs no look-up.
async fn authorize(authorizer: &Authorizer, token: &str) -> Result<Value, String> {
    match authorizer
        .handle(event(token, "/api/dashboard/%61cme/notifications"))
        .await
    {
        Ok(response) => Ok(serde_json::to_value(response).unwrap()),
        Err(error) => Err(Diagnostic::from(error).error_message),
    }
}

async fn refusal(authorizer: &Authorizer, token: &str) -> Refusal {
    match authorizer.handle(event(token, "/")).await {
        Err(error @ Error::Unauthorized(refusal)) => {
            assert_eq!(Diagnostic::from(error).error_message, "Unauthorized");
            refusal
        }
        other => panic!("{other:?}"),
    }
}

fn unsigned(alg: &str) -> String {
    let head = json!({"alg": alg, "typ": "JWT", "kid": "ec"}).to_string();
    let body = json!({"sub": "ian"}).to_string();
    format!("{}.{}.", BASE64.encode(head), BASE64.encode(body))
}

#[tokio::test]
async fn a_valid_token_is_let_through_and_another_spelling_names_no_organisation() {
    let issuer = Issuer::serve().await;
    let authorizer = authorizer_from(&variables(&issuer.url, &[]), &issuer.clock).unwrap();
    for keypair in [&issuer.ec, &issuer.rsa] {
        let answer = authorize(&authorizer, &issuer.token(keypair, json!({})))
            .await
            .unwrap();
        assert_eq!(answer["principalId"], "ian");
        assert_eq!(
            answer["context"],
            json!({"user_id": "ian", "member": "false"})
        );
        let statement = &answer["policyDocument"]["Statement"][0];
        assert_eq!(statement["Effect"], "Allow");
        assert_eq!(
            statement["Resource"],
            json!(["arn:aws:execute-api:eu-west-1:123456789012:abc/v1/*"])
        );
    }
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn a_table_that_does_not_answer_is_no_refusal() {
    let issuer = Issuer::serve().await;
    let authorizer = authorizer_from(&variables(&issuer.url, &[]), &issuer.clock).unwrap();
    let event = event(
        &issuer.token(&issuer.ec, json!({})),
        "/api/dashboard/acme/notifications",
    );
    let error = authorizer.handle(event).await.unwrap_err();
    assert!(matches!(error, Error::Membership(_)), "{error:?}");
    assert_ne!(Diagnostic::from(error).error_message, "Unauthorized");
}

#[test]
fn the_context_says_what_the_caller_is() {
    let place = RouteParameters::parse("/api/{orgId}/{integrationId}", "/api/acme/7").unwrap();
    let user = UserId::new("ian").unwrap();
    let context = |membership| {
        let place = Some((&place, membership));
        respond("arn", &user, place, None, DateTime::UNIX_EPOCH).context
    };
    let stranger = json!({
        "user_id": "ian", "org_id": "acme", "integration_id": "7", "member": "false",
    });
    assert_eq!(json!(context(None)), stranger);
    let owner = json!({
        "user_id": "ian", "org_id": "acme", "integration_id": "7", "member": "true",
        "permissions": "manage_integrations,manage_members,use_integrations",
    });
    assert_eq!(json!(context(Some(&Membership::Owner))), owner);
}

#[tokio::test]
async fn claims_that_do_not_hold_are_unauthorized() {
    let issuer = Issuer::serve().await;
    let authorizer = authorizer_from(&variables(&issuer.url, &[]), &issuer.clock).unwrap();
    let now = issuer.clock.now().timestamp();
    for (changes, expected) in [
        (json!({"iss": "https://other.example"}), Refusal::Issuer),
        (json!({"exp": now}), Refusal::Expired),
        (json!({"exp": null}), Refusal::Expired),
        (json!({"nbf": now + 31}), Refusal::NotYet),
        (json!({"aud": "other"}), Refusal::Audience),
        (json!({"sub": "user#x"}), Refusal::User),
    ] {
        let token = issuer.token(&issuer.ec, changes.clone());
        assert_eq!(refusal(&authorizer, &token).await, expected, "{changes}");
    }
    // The time is the clock's, not the system's.
    let token = issuer.token(&issuer.ec, json!({}));
    issuer.clock.advance(TimeDelta::hours(2));
    assert_eq!(refusal(&authorizer, &token).await, Refusal::Expired);
}

#[tokio::test]
async fn another_algorithm_is_unauthorized_and_fetches_nothing() {
    let issuer = Issuer::serve().await;
    let authorizer = authorizer_from(&variables(&issuer.url, &[]), &issuer.clock).unwrap();
    for alg in ["none", "None", "", "ES256K", "RS1"] {
        assert_eq!(
            refusal(&authorizer, &unsigned(alg)).await,
            Refusal::Malformed,
            "{alg}"
        );
    }
    for alg in ["HS256", "RS512", "PS256", "ES384", "EdDSA"] {
        assert_eq!(
            refusal(&authorizer, &unsigned(alg)).await,
            Refusal::Algorithm,
            "{alg}"
        );
    }
    // Signed with what everybody knows: the public key as an HMAC secret.
    for keypair in [&issuer.ec, &issuer.rsa] {
        let secret = EncodingKey::from_secret(&keypair.public_bytes());
        let forged = issuer.sign(Algorithm::HS256, Some(&keypair.id), &secret, json!({}));
        assert_eq!(refusal(&authorizer, &forged).await, Refusal::Algorithm);
    }
    assert_eq!(issuer.fetches(), 0);
}

#[tokio::test]
async fn the_key_must_be_the_issuers_and_of_the_right_kind() {
    let issuer = Issuer::serve().await;
    let authorizer = authorizer_from(&variables(&issuer.url, &[]), &issuer.clock).unwrap();
    let nameless = issuer.sign(Algorithm::ES256, None, &issuer.ec.private, json!({}));
    assert_eq!(refusal(&authorizer, &nameless).await, Refusal::NoKeyId);
    let forged = issuer.token(&Keypair::ec("ec"), json!({}));
    assert_eq!(refusal(&authorizer, &forged).await, Refusal::Signature);
    let crossed = issuer.sign(Algorithm::ES256, Some("rsa"), &issuer.ec.private, json!({}));
    assert_eq!(refusal(&authorizer, &crossed).await, Refusal::Algorithm);
    // Olga's claims under Ian's signature.
    let (ians, olgas) = (issuer.token(&issuer.ec, json!({})), json!({"sub": "olga"}));
    let olgas = issuer.token(&issuer.ec, olgas);
    let (said, signed) = (
        olgas.rsplit_once('.').unwrap(),
        ians.rsplit_once('.').unwrap(),
    );
    let tampered = format!("{}.{}", said.0, signed.1);
    assert_eq!(refusal(&authorizer, &tampered).await, Refusal::Signature);
    // A key for encryption signs nothing, and a shared secret is no public key.
    for id in ["encryption", "secret"] {
        let token = issuer.sign(Algorithm::ES256, Some(id), &issuer.ec.private, json!({}));
        assert_eq!(
            refusal(&authorizer, &token).await,
            Refusal::UnknownKey,
            "{id}"
        );
    }
}

#[tokio::test]
async fn no_token_or_two_is_unauthorized() {
    let issuer = Issuer::serve().await;
    let authorizer = authorizer_from(&variables(&issuer.url, &[]), &issuer.clock).unwrap();
    let good = format!("Bearer {}", issuer.token(&issuer.ec, json!({})));
    for values in [
        vec![],
        vec![""],
        vec!["Bearer"],
        vec!["Basic aWFuOng="],
        vec![good.as_str(), good.as_str()],
    ] {
        let mut event = event("x", "/");
        event.payload.headers.clear();
        event.payload.multi_value_headers.clear();
        for value in &values {
            let value = http::HeaderValue::from_str(value).unwrap();
            let name = http::header::AUTHORIZATION;
            event.payload.multi_value_headers.append(name, value);
        }
        let error = authorizer.handle(event).await.unwrap_err();
        assert_eq!(error.to_string(), "Unauthorized", "{values:?}");
    }
    for token in ["", "x", "a.b", "a.b.c", "a.b.c.d", "ä.ä.ä"] {
        let answer = authorize(&authorizer, token).await;
        assert_eq!(answer, Err("Unauthorized".to_owned()), "{token}");
    }
}

#[tokio::test]
async fn a_stage_without_an_audience_lets_nobody_in_and_says_why() {
    let issuer = Issuer::serve().await;
    let authorizer = authorizer_from(&variables(&issuer.url, &[]), &issuer.clock).unwrap();
    for stage_variables in [json!(null), json!({}), json!({"auth_audience": ""})] {
        let mut event = serde_json::to_value(event("", "/").payload).unwrap();
        let bearer = format!("Bearer {}", issuer.token(&issuer.ec, json!({"aud": ""})));
        event["headers"] = json!({ "authorization": bearer });
        event["multiValueHeaders"] = json!({ "authorization": [bearer] });
        event["stageVariables"] = stage_variables;
        let event = serde_json::from_value(event).unwrap();
        let answer = authorizer.handle(LambdaEvent::new(event, Context::default()));
        let error = Diagnostic::from(answer.await.unwrap_err());
        assert_eq!(error.error_type, "InvalidStage");
        assert!(error.error_message.contains("variable auth_audience"));
    }
}

#[test]
fn what_is_configured_wrongly_is_named() {
    let clock = Clock::system();
    for (name, value) in [
        ("AUTH_ISSUER", "http://id.example"),
        ("ORGANIZATIONS_TABLE", ""),
        ("AUTH_JWKS", "{}"),
        (
            "AUTH_JWKS",
            r#"{"keys":[{"kty":"oct","kid":"a","k":"AAAA"}]}"#,
        ),
        ("AUTH_USER_CLAIM", "email"),
        ("QUOTAS_TABLE", ""),
        ("QUOTA_POLICIES", "{"),
        ("QUOTA_ON_FAILURE", "perhaps"),
    ] {
        let variables = variables("https://id.example", &[(name, value)]);
        let error = authorizer_from(&variables, &clock).unwrap_err().to_string();
        assert!(
            error.contains(&format!("environment variable {name}")),
            "{error}"
        );
    }
}
