use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::DataKeySpec;
use aws_sdk_lambda::primitives::Blob as Payload;
use aws_sdk_lambda::types::InvocationType;
use aws_sdk_sns::types::MessageAttributeValue;
use serde_json::json;
use url::Url;

use super::*;
use crate::aws::lambda::invoke::handler;
use crate::stack::servers::bind;

type ProbeResult = std::sync::Arc<Mutex<Vec<Value>>>;

/// `notify` fails `failures` times and records its events; `check-tokens` echoes.
async fn stack(options: Options, failures: u32) -> (Stack, ProbeResult) {
    let seen = ProbeResult::default();
    let recorder = seen.clone();
    let left = std::sync::Arc::new(AtomicU32::new(failures));
    let notify = handler(move |event: Value, _| {
        let (seen, left) = (recorder.clone(), left.clone());
        async move {
            seen.lock().unwrap().push(event);
            let failing =
                left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
            match failing {
                Ok(_) => Err(FunctionError::new("NotifyError", "not now")),
                Err(_) => Ok(Value::Null),
            }
        }
    });
    let check = handler(async |event: Value, invocation| {
        assert_ne!(event["panic"], true, "told to");
        Ok(json!({"event": event, "arn": invocation.function_arn}))
    });
    let stack = Stack::start_with(options, async move |_, _| {
        let handlers = [("NotifyFunction", notify), ("CheckTokensFunction", check)];
        Ok(handlers
            .map(|(id, handler)| (id.to_owned(), handler))
            .into())
    });
    (stack.await.unwrap(), seen)
}

async fn publish(stack: &Stack) -> String {
    let environment = stack.environment();
    let variables = environment.variables("CheckTokensFunction");
    let attribute = MessageAttributeValue::builder()
        .data_type("String")
        .string_value("expired");
    let published = aws_sdk_sns::Client::new(&environment.sdk_config())
        .publish()
        .topic_arn(variables.required("ALERTS_TOPIC_ARN").unwrap())
        .message("{\"schema\":1,\"text\":\"<ä> & b\"}")
        .message_attributes("severity", attribute.build().unwrap())
        .send()
        .await
        .unwrap();
    published.message_id.unwrap()
}

#[tokio::test]
async fn an_alert_reaches_its_subscriber_as_lambda_gets_it() {
    let (stack, seen) = stack(Options::default(), 0).await;
    let message_id = publish(&stack).await;
    stack.settled().await;
    let seen = seen.lock().unwrap().clone();
    let [event] = &seen[..] else {
        panic!("{seen:?}")
    };
    let message = &event["Records"][0]["Sns"];
    assert_eq!(message["MessageId"], message_id);
    assert_eq!(message["Message"], "{\"schema\":1,\"text\":\"<ä> & b\"}");
    assert_eq!(
        message["MessageAttributes"]["severity"],
        json!({"Type": "String", "Value": "expired"})
    );
    serde_json::from_value::<aws_lambda_events::event::sns::SnsEvent>(event.clone()).unwrap();
    assert!(stack.queue("FailedAlertsQueue").is_empty());
    stack.stop().await;
}

#[tokio::test]
async fn an_alert_that_fails_twice_is_delivered_by_the_third_attempt() {
    let (stack, seen) = stack(Options::default(), 2).await;
    publish(&stack).await;
    stack.settled().await;
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|event| *event == seen[0]));
    assert!(stack.queue("FailedAlertsQueue").is_empty());
    stack.stop().await;
}

#[tokio::test]
async fn an_alert_that_keeps_failing_ends_in_the_dead_letters_and_can_be_read_there() {
    let (stack, seen) = stack(Options::default(), u32::MAX).await;
    publish(&stack).await;
    stack.settled().await;
    assert_eq!(seen.lock().unwrap().len(), 3, "one attempt and two more");
    let [dead] = &stack.queue("FailedAlertsQueue")[..] else {
        panic!()
    };
    let record: Value = serde_json::from_str(&dead.body).unwrap();
    assert_eq!(record["requestContext"]["condition"], "RetriesExhausted");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 3);
    assert_eq!(
        record["requestPayload"]["Records"][0]["EventSource"],
        "aws:sns"
    );
    assert_eq!(
        record["responsePayload"],
        json!({"errorType": "NotifyError", "errorMessage": "not now"})
    );

    let sqs = |target: &'static str, body: Value| {
        let request = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = request
            .post(&stack.addresses().sqs)
            .header("x-amz-target", format!("AmazonSQS.{target}"))
            .body(body.to_string());
        async move {
            let response = request.send().await.unwrap();
            response.json::<Value>().await.unwrap()
        }
    };
    let url = sqs("GetQueueUrl", json!({"QueueName": "warden-failed-alerts"})).await;
    let url = url["QueueUrl"].clone();
    let received = sqs("ReceiveMessage", json!({"QueueUrl": url})).await;
    let message = &received["Messages"][0];
    assert_eq!(message["Body"], dead.body);
    let again = sqs("ReceiveMessage", json!({"QueueUrl": url})).await;
    assert_eq!(again, json!({}), "it is invisible for a while");
    let receipt = &message["ReceiptHandle"];
    sqs(
        "DeleteMessage",
        json!({"QueueUrl": url, "ReceiptHandle": receipt}),
    )
    .await;
    assert!(stack.queue("FailedAlertsQueue").is_empty());
    let unknown = sqs("CreateQueue", json!({"QueueName": "warden-failed-alerts"})).await;
    assert_eq!(unknown["__type"], "UnknownOperationException");
    stack.stop().await;
}

#[tokio::test]
async fn an_unknown_topic_is_the_sdks_not_found() {
    let (stack, _) = stack(Options::default(), 0).await;
    let error = aws_sdk_sns::Client::new(&stack.environment().sdk_config())
        .publish()
        .topic_arn("arn:aws:sns:us-east-1:000000000000:other")
        .message("x")
        .send()
        .await
        .unwrap_err();
    assert!(error.into_service_error().is_not_found_exception());
    stack.stop().await;
}

#[tokio::test]
async fn functions_are_invoked_by_the_lambda_client() {
    let (stack, seen) = stack(Options::default(), 0).await;
    let environment = stack.environment();
    let name = environment.function_name("CheckTokensFunction");
    let client = aws_sdk_lambda::Client::new(&environment.sdk_config());
    let invoke = |payload: &str| client.invoke().payload(Payload::new(payload.as_bytes()));

    let answer = invoke("{\"days\":7}")
        .function_name(&name)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status_code, 200);
    let body: Value = serde_json::from_slice(answer.payload.unwrap().as_ref()).unwrap();
    assert_eq!(body["event"], json!({"days": 7}));
    let arn = body["arn"].as_str().unwrap();

    let failed = invoke("{\"panic\":true}")
        .function_name(arn)
        .send()
        .await
        .unwrap();
    assert_eq!(failed.function_error.as_deref(), Some("Unhandled"));
    let body: Value = serde_json::from_slice(failed.payload.unwrap().as_ref()).unwrap();
    assert_eq!(body["errorType"], "Runtime.Panic");

    let event = invoke("{\"Records\":[]}").invocation_type(InvocationType::Event);
    let notify = environment.function_name("NotifyFunction");
    assert_eq!(
        event
            .function_name(notify)
            .send()
            .await
            .unwrap()
            .status_code,
        202
    );
    stack.settled().await;
    assert_eq!(seen.lock().unwrap()[..], [json!({"Records": []})]);

    let dry = invoke("{}")
        .invocation_type(InvocationType::DryRun)
        .function_name(&name);
    assert_eq!(dry.send().await.unwrap().status_code, 204);
    let error = invoke("{}")
        .function_name("nobody")
        .send()
        .await
        .unwrap_err();
    assert!(error.into_service_error().is_resource_not_found_exception());
    let error = invoke("{").function_name(&name).send().await.unwrap_err();
    assert!(
        error
            .into_service_error()
            .is_invalid_request_content_exception()
    );
    stack.stop().await;
}

#[tokio::test]
async fn rows_keys_and_secrets_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options {
        data_dir: Some(directory.path().join("data")),
        ..Options::default()
    };
    let (stack, _) = stack(options.clone(), 0).await;
    let before = fill(&stack).await;
    stack.stop().await;

    let (stack, _) = self::stack(options, 0).await;
    let environment = stack.environment();
    let config = environment.sdk_config();
    let (blob, plaintext, secret) = before;
    let opened = aws_sdk_kms::Client::new(&config)
        .decrypt()
        .ciphertext_blob(blob)
        .encryption_context("org", "acme")
        .send()
        .await
        .unwrap();
    assert_eq!(opened.plaintext, Some(plaintext));
    assert_eq!(secret_of(&stack).await, secret);
    let row = aws_sdk_dynamodb::Client::new(&config)
        .get_item()
        .table_name("warden-organizations")
        .key("org_id", AttributeValue::S("acme".to_owned()))
        .key("member_id", AttributeValue::S("org".to_owned()))
        .send()
        .await
        .unwrap();
    assert!(row.item.is_some());
    stack.stop().await;
}

async fn secret_of(stack: &Stack) -> Value {
    let variables = stack.environment().variables("CheckTokensFunction");
    let secret = aws_sdk_secretsmanager::Client::new(&stack.environment().sdk_config())
        .get_secret_value()
        .secret_id(variables.required("PLATFORM_SECRET_ID").unwrap())
        .send()
        .await
        .unwrap();
    serde_json::from_str(&secret.secret_string.unwrap()).unwrap()
}

async fn fill(stack: &Stack) -> (Blob, Blob, Value) {
    let environment = stack.environment();
    let config = environment.sdk_config();
    aws_sdk_dynamodb::Client::new(&config)
        .put_item()
        .table_name("warden-organizations")
        .item("org_id", AttributeValue::S("acme".to_owned()))
        .item("member_id", AttributeValue::S("org".to_owned()))
        .send()
        .await
        .unwrap();
    let variables = environment.variables("CheckTokensFunction");
    let key = aws_sdk_kms::Client::new(&config)
        .generate_data_key()
        .key_id(variables.required("TOKEN_KEY_ID").unwrap())
        .key_spec(DataKeySpec::Aes256)
        .encryption_context("org", "acme")
        .send()
        .await
        .unwrap();
    let secret = secret_of(stack).await;
    for platform in Platform::ALL {
        assert!(secret[platform.name()]["client_id"].is_string());
    }
    (key.ciphertext_blob.unwrap(), key.plaintext.unwrap(), secret)
}

#[tokio::test]
async fn a_ciphertext_of_another_key_is_invalid_to_the_kms_client() {
    let (one, _) = stack(Options::default(), 0).await;
    let (other, _) = stack(Options::default(), 0).await;
    let (blob, ..) = fill(&one).await;
    let error = aws_sdk_kms::Client::new(&other.environment().sdk_config())
        .decrypt()
        .ciphertext_blob(blob)
        .encryption_context("org", "acme")
        .send()
        .await
        .unwrap_err();
    assert!(error.into_service_error().is_invalid_ciphertext_exception());
    one.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn a_directory_or_port_in_use_is_refused_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    std::fs::write(path.join("local.json"), "left behind by one that died").unwrap();
    assert!(
        Addresses::from_data_dir(&path)
            .unwrap_err()
            .to_string()
            .contains("no local stack")
    );
    let options = Options {
        data_dir: Some(path.clone()),
        ..Options::default()
    };
    let (stack, _) = stack(options.clone(), 0).await;
    assert_eq!(Addresses::from_data_dir(&path).unwrap(), *stack.addresses());

    let refused = Stack::start_with(options, async |_, _| Ok(BTreeMap::new())).await;
    let error = refused.err().unwrap().to_string();
    assert!(error.contains("in use by another running stack"), "{error}");
    let port = Url::parse(&stack.addresses().gateway)
        .unwrap()
        .port()
        .unwrap();
    let options = Options {
        port,
        ..Options::default()
    };
    let refused = Stack::start_with(options, async |_, _| Ok(BTreeMap::new())).await;
    let error = refused.err().unwrap().to_string();
    assert!(error.contains("choose another port with --port"), "{error}");

    stack.stop().await;
    assert!(!path.join("local.json").exists());
    assert!(Addresses::from_data_dir(&path).is_err());
    use std::os::unix::fs::PermissionsExt;
    for secret in ["kms.key", "platforms.json"] {
        let mode = std::fs::metadata(path.join(secret))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{secret}");
    }
}

#[tokio::test]
async fn a_function_elsewhere_is_invoked_by_its_binarys_name() {
    let router = axum::Router::new().route(
        "/2015-03-31/functions/{name}/invocations",
        axum::routing::post(
            async |axum::extract::Path(name): axum::extract::Path<String>| match name.as_str() {
                "check-tokens" => (http::StatusCode::OK, "{\"examined\":0}"),
                _ => (
                    http::StatusCode::INTERNAL_SERVER_ERROR,
                    "{\"errorType\":\"E\",\"errorMessage\":\"no\"}",
                ),
            },
        ),
    );
    let (listener, url) = bind(0, "").await.unwrap();
    let mut servers = Servers::new();
    servers.serve(listener, router);
    let options = Options {
        functions: Some(Url::parse(&url).unwrap()),
        ..Options::default()
    };
    let stack = Stack::start(options).await.unwrap();
    let answer = stack.invoke("CheckTokensFunction", json!({})).await;
    assert_eq!(answer, Ok(json!({"examined": 0})));
    let answer = stack.invoke("NotifyFunction", json!({})).await;
    assert_eq!(answer, Err(FunctionError::new("E", "no")));
    servers.stop().await;
    let gone = stack
        .invoke("CheckTokensFunction", json!({}))
        .await
        .unwrap_err();
    assert_eq!(gone.error_type, "Local.Unreachable");
    stack.stop().await;
}

#[test]
fn the_sample_events_are_what_the_functions_read() {
    use aws_lambda_events::event::apigw::{
        ApiGatewayCustomAuthorizerRequestTypeRequest, ApiGatewayProxyRequest,
    };
    use aws_lambda_events::event::sns::SnsEvent;
    let event = include_str!("../../../events/notify-sns.json");
    let event: SnsEvent = serde_json::from_str(event).unwrap();
    let message = &event.records[0].sns;
    let alert: shared::domain::alert::Alert = serde_json::from_str(&message.message).unwrap();
    assert_eq!(message.message_attributes["kind"].value, alert.kind.name());
    let event = include_str!("../../../events/api-expiring-tokens.json");
    serde_json::from_str::<ApiGatewayProxyRequest>(event).unwrap();
    let event = include_str!("../../../events/authorizer-request.json");
    serde_json::from_str::<ApiGatewayCustomAuthorizerRequestTypeRequest>(event).unwrap();
    for event in [
        include_str!("../../../events/check-tokens-daily.json"),
        include_str!("../../../events/check-tokens-due.json"),
    ] {
        assert!(serde_json::from_str::<Value>(event).unwrap().is_object());
    }
}

#[tokio::test]
async fn parked_credentials_are_found_by_their_key_also_after_a_restart() {
    use shared::aws::credential_fallback::{CredentialFallback, FallbackError};
    use shared::domain::refresh::{Lifetimes, Renewed};
    let directory = tempfile::tempdir().unwrap();
    let options = || Options {
        data_dir: Some(directory.path().to_owned()),
        ..Options::default()
    };
    let fallback = |stack: &Stack| {
        let variables = stack.environment().variables("CheckTokensFunction");
        let bucket = variables.required("FALLBACK_BUCKET").unwrap().to_owned();
        CredentialFallback::new(&stack.environment().sdk_config(), bucket)
    };
    let key = |org: &str, id: &str| shared::IntegrationKey {
        org_id: shared::OrgId::new(org).unwrap(),
        integration_id: shared::IntegrationId::new(id).unwrap(),
    };
    let renewed = |byte: u8| Renewed {
        rotated: true,
        access_token: shared::domain::integration::Sealed(vec![byte; 300]),
        refresh_token: Some(shared::domain::integration::Sealed(vec![byte])),
        lifetimes: Lifetimes {
            access: Some(chrono::TimeDelta::seconds(7_200)),
            ..Lifetimes::default()
        },
        sent_at: chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
    };
    let ids = [
        ("acme", "7"),
        ("..a", ".b"),
        ("a|b:c@d", "x.y_z-1"),
        (".a", "..b"),
    ];
    let stack = Stack::start(options()).await.unwrap();
    for (n, (org, id)) in (0..).zip(ids) {
        let fallback = fallback(&stack);
        assert_eq!(fallback.find(&key(org, id), 2).await.unwrap(), None);
        fallback.put(&key(org, id), 2, &renewed(n)).await.unwrap();
    }
    let elsewhere = CredentialFallback::new(&stack.environment().sdk_config(), "no-such-bucket");
    let error = elsewhere.find(&key("acme", "7"), 2).await.unwrap_err();
    assert!(matches!(error, FallbackError::Aws(_)), "{error}");
    assert!(error.to_string().contains("NoSuchBucket"), "{error}");
    stack.stop().await;

    let stack = Stack::start(options()).await.unwrap();
    for (n, (org, id)) in (0..).zip(ids) {
        let fallback = fallback(&stack);
        assert_eq!(
            fallback.find(&key(org, id), 2).await.unwrap(),
            Some(renewed(n))
        );
        assert_eq!(fallback.find(&key(org, id), 3).await.unwrap(), None);
        fallback.remove(&key(org, id), 2).await.unwrap();
        fallback.remove(&key(org, id), 2).await.unwrap();
        assert_eq!(fallback.find(&key(org, id), 2).await.unwrap(), None);
    }
    stack.stop().await;
}

#[tokio::test]
async fn a_in_the_fallback_object_that_is_not_ours_is_damaged_and_not_absent() {
    use shared::aws::credential_fallback::{CredentialFallback, FallbackError};
    let stack = Stack::start(Options::default()).await.unwrap();
    let variables = stack.environment().variables("CheckTokensFunction");
    let bucket = variables.required("FALLBACK_BUCKET").unwrap();
    let fallback = CredentialFallback::new(&stack.environment().sdk_config(), bucket);
    let key = shared::IntegrationKey {
        org_id: shared::OrgId::new("acme").unwrap(),
        integration_id: shared::IntegrationId::new("7").unwrap(),
    };
    let object = format!("{}/{bucket}/fallback/acme/7/2", stack.addresses().s3);
    for body in [String::new(), "{}".to_owned(), " ".repeat(65 * 1024)] {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let put = client.put(&object).body(body).send().await.unwrap();
        assert_eq!(put.status(), 200);
        let error = fallback.find(&key, 2).await.unwrap_err();
        assert!(matches!(error, FallbackError::Damaged(_)), "{error}");
    }
    fallback.remove(&key, 2).await.unwrap();
    assert_eq!(fallback.find(&key, 2).await.unwrap(), None);
    stack.stop().await;
}
