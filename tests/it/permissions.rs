//! What each function may do in AWS is what it does: the guard in front of the
//! services refuses every call that a function's policies do not allow, in
//! every test of this suite, and nothing that they allow goes unused.

use std::collections::BTreeSet;
use std::process::Command;

use local::template::AwsCall;

use crate::world::{CALLS, World};

/// Together, these tests make every call that a function makes. Running the whole suite
/// once more beside itself would only be slow.
const CALLERS: [&str; 9] = [
    "checking::",
    "notifying::",
    "outages::a_corrupt_row",
    "consenting::whoever_may_not_manage",
    "fallback::",
    "members::",
    "platform_calls::",
    "quotas::an_organisations_rate_limits",
    "registering::",
];

/// Lambda itself makes these calls with a function's role; the function does not.
const BY_LAMBDA: [&str; 5] = [
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
    "sqs:SendMessage",
];

/// Returns what the functions call in a run of these tests, in a process of its own.
fn calls_made() -> BTreeSet<(String, AwsCall)> {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("calls");
    let mut tests = Command::new(std::env::current_exe().unwrap());
    let tests = tests.args(CALLERS).env(CALLS, &file).output().unwrap();
    let printed = String::from_utf8_lossy(&tests.stdout);
    assert!(tests.status.success(), "{printed}");
    let calls = std::fs::read_to_string(file).unwrap();
    calls
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn every_permission_is_used() {
    let calls = calls_made();
    let world = World::new().await;
    let mut unused = Vec::new();
    for (function, of) in &world.stack.environment().model().functions {
        let calls: Vec<_> = calls
            .iter()
            .filter_map(|(by, call)| (by == function).then_some(call))
            .collect();
        for statement in &of.statements {
            for action in &statement.actions {
                for resource in &statement.resources {
                    if BY_LAMBDA.contains(&action.as_str()) {
                        continue;
                    }
                    let one = statement.only(action, resource);
                    if !calls.iter().any(|call| one.allows(call)) {
                        unused.push(format!("{function} may {action} on {resource}"));
                    }
                }
            }
        }
    }
    assert!(
        unused.is_empty(),
        "never called by the tests in {CALLERS:?}:\n{}",
        unused.join("\n")
    );
}

/// Policies name what can be named, and let only the functions that send tokens open them.
#[tokio::test]
async fn permissions_are_narrow() {
    let world = World::new().await;
    let model = world.stack.environment().model();
    let token_key = world.variable("CheckTokensFunction", "TOKEN_KEY_ID");
    // Only API Gateway's role for logs has a policy of AWS's.
    let managed = local::template::EMBEDDED.matches("ManagedPolicyArns:");
    assert_eq!(managed.count(), 1);
    for (function, of) in &model.functions {
        // What Lambda does with it, and no more: into its own log, about its own
        // invocations, and into the queue of what failed for good.
        let group = match function.as_str() {
            "CheckTokensFunction" => "/warden/token-monitoring".to_owned(),
            _ => format!("/aws/lambda/{}", of.name),
        };
        for action in BY_LAMBDA {
            let resources = of
                .statements
                .iter()
                .filter(|one| one.actions.iter().any(|of| of == action))
                .flat_map(|one| one.resources.clone());
            let resources: Vec<_> = resources.collect();
            match (action.split_once(':').unwrap().0, &of.on_failure) {
                ("logs", _) => {
                    assert_eq!(resources.len(), 1, "{function} {action}");
                    let name = format!("log-group:{group}:*");
                    assert!(resources[0].ends_with(&name), "{resources:?}");
                }
                ("sqs", Some(queue)) => assert_eq!(resources, [queue.as_str()]),
                ("sqs", None) => assert!(resources.is_empty(), "{resources:?}"),
                _ => assert_eq!(resources, ["*"], "{function} {action}"),
            }
        }
        for statement in &of.statements {
            // X-Ray knows no resources.
            let is_nameable = !statement.actions.iter().all(|of| of.starts_with("xray:"));
            let wide = statement.actions.iter().any(|action| action.contains('*'))
                || is_nameable && statement.resources.iter().any(|of| of == "*");
            assert!(!wide, "{function}: {statement:?}");
        }
        let decrypt = AwsCall {
            action: "kms:Decrypt".to_owned(),
            resource: token_key.clone(),
            leading_key: None,
            via: None,
        };
        let opens = of
            .statements
            .iter()
            .any(|statement| statement.allows(&decrypt));
        let sends = ["CheckTokensFunction", "PlatformCallsFunction"];
        assert_eq!(opens, sends.contains(&function.as_str()), "{function}");
    }
}

#[tokio::test]
async fn a_call_that_no_policy_allows_is_refused() {
    let world = World::new().await;
    let sdk = world.stack.environment().sdk_config_of("ApiFunction");
    let kms = aws_sdk_kms::Client::new(&sdk);
    let key = world.variable("ApiFunction", "TOKEN_KEY_ID");
    let made = kms
        .generate_data_key()
        .key_id(&key)
        .number_of_bytes(32)
        .send();
    let blob = made.await.unwrap().ciphertext_blob.unwrap();
    let refused = kms
        .decrypt()
        .key_id(&key)
        .ciphertext_blob(blob)
        .send()
        .await;
    let refused = format!("{:?}", refused.unwrap_err());
    assert!(refused.contains("AccessDenied"), "{refused}");
}
