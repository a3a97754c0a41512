//! Asks a REQUEST authorizer and judges its answer, as API Gateway does
//! (docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-output.html).

use serde_json::{Map, Value};

use super::events::ApiRequest;
use super::responses::ResponseType;
use crate::aws::lambda::invoke::Invoker;
use crate::template::Authorizer;
use crate::uuid::random_uuid;

/// Why a request does not reach its function.
#[derive(Debug, PartialEq)]
pub(super) struct AuthorizerRefusal {
    pub(super) kind: ResponseType,
    /// The authorizer's context, where it answered.
    pub(super) context: Option<Value>,
}

impl From<ResponseType> for AuthorizerRefusal {
    fn from(kind: ResponseType) -> Self {
        Self {
            kind,
            context: None,
        }
    }
}

/// Returns the authorizer's context, principal included, if it lets the call through.
pub(super) async fn authorize(
    invoker: &Invoker,
    authorizer: &Authorizer,
    request: &ApiRequest,
) -> Result<Value, AuthorizerRefusal> {
    let present = |name: &String| {
        request
            .headers
            .get(name.as_str())
            .is_some_and(|v| !v.is_empty())
    };
    if !authorizer.headers.iter().all(present) {
        return Err(ResponseType::Unauthorized.into());
    }
    let event = request.authorizer_event();
    match invoker
        .invoke(&authorizer.function, event, &random_uuid())
        .await
    {
        Ok(answer) => judge(&answer, &request.method_arn()),
        Err(error) if error.error_message == "Unauthorized" => {
            Err(ResponseType::Unauthorized.into())
        }
        Err(error) => {
            tracing::error!(
                request_id = request.request_id,
                error_type = error.error_type,
                "the authorizer failed"
            );
            Err(ResponseType::AuthorizerFailure.into())
        }
    }
}

/// Judges an authorizer's answer to a call of `method_arn`.
pub(super) fn judge(answer: &Value, method_arn: &str) -> Result<Value, AuthorizerRefusal> {
    let malformed = || {
        tracing::error!("the authorizer's answer is malformed");
        AuthorizerRefusal::from(ResponseType::AuthorizerConfigurationError)
    };
    let context = context_of(answer).ok_or_else(malformed)?;
    let effect = effect_of(&answer["policyDocument"], method_arn).ok_or_else(malformed)?;
    match effect {
        Effect::Allow => Ok(context),
        Effect::Deny => Err(AuthorizerRefusal {
            kind: ResponseType::AccessDenied,
            context: Some(context),
        }),
    }
}

/// Returns the context as a function sees it: every value as text, with the principal.
fn context_of(answer: &Value) -> Option<Value> {
    let mut context = Map::new();
    if let Some(given) = answer.get("context").filter(|context| !context.is_null()) {
        for (name, value) in given.as_object()? {
            let value = match value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                Value::Bool(flag) => flag.to_string(),
                Value::Null => continue,
                Value::Array(_) | Value::Object(_) => return None,
            };
            context.insert(name.clone(), Value::String(value));
        }
    }
    let principal = answer["principalId"].as_str()?;
    context.insert("principalId".to_owned(), principal.into());
    Some(Value::Object(context))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Allow,
    Deny,
}

/// Returns what a policy says about a method: denied unless a statement allows it.
/// Returns `None` if it is not a policy.
fn effect_of(policy: &Value, method_arn: &str) -> Option<Effect> {
    policy.get("Statement")?;
    let mut decided = Effect::Deny;
    for statement in one_or_many(&policy["Statement"]) {
        let effect = match statement["Effect"].as_str()? {
            "Allow" => Effect::Allow,
            "Deny" => Effect::Deny,
            _ => return None,
        };
        let any = |field: &str, of: &str| {
            let patterns = one_or_many(&statement[field]);
            let patterns: Option<Vec<&str>> = patterns.iter().map(Value::as_str).collect();
            let patterns = patterns.filter(|patterns| !patterns.is_empty())?;
            // "Output from a Lambda authorizer", API Gateway developer guide.
            if patterns.iter().any(|pattern| pattern.len() > 512) {
                return None;
            }
            Some(
                patterns
                    .into_iter()
                    .any(|pattern| matches(pattern.as_bytes(), of.as_bytes())),
            )
        };
        if any("Action", "execute-api:Invoke")? && any("Resource", method_arn)? {
            if effect == Effect::Deny {
                return Some(Effect::Deny);
            }
            decided = Effect::Allow;
        }
    }
    Some(decided)
}

fn one_or_many(value: &Value) -> &[Value] {
    match value {
        Value::Array(values) => values,
        Value::Null => &[],
        one => std::slice::from_ref(one),
    }
}

/// Matches IAM's wildcards: `*` for any text, `?` for one character. Linear in the
/// product of the lengths: on a mismatch only the last `*` takes one more character.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match &mut star {
                Some((at, taken)) => {
                    *taken += 1;
                    (p, t) = (*at + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ARN: &str = "arn:aws:execute-api:us-east-1:000000000000:api/v1/GET/api/x";

    fn outcome(effect: &str, resource: &str) -> Result<Value, ResponseType> {
        let answer = json!({
            "principalId": "ian",
            "policyDocument": {"Version": "2012-10-17", "Statement": [
                {"Effect": effect, "Action": "execute-api:Invoke", "Resource": resource}
            ]},
            "context": {"limit": 200, "member": true, "org": "acme"},
        });
        judge(&answer, ARN).map_err(|refusal| refusal.kind)
    }

    #[test]
    fn a_policy_is_judged_as_iam_does() {
        let allowed = outcome("Allow", ARN).unwrap();
        assert_eq!(
            allowed,
            json!({"principalId": "ian", "limit": "200", "member": "true", "org": "acme"})
        );
        assert!(outcome("Allow", "arn:aws:execute-api:*:*:api/v1/*/api/?").is_ok());
        assert_eq!(
            outcome("Allow", "arn:*/POST/*"),
            Err(ResponseType::AccessDenied)
        );
        assert_eq!(outcome("Deny", "*"), Err(ResponseType::AccessDenied));
        assert_eq!(
            outcome("Perhaps", "*"),
            Err(ResponseType::AuthorizerConfigurationError)
        );
    }

    #[test]
    fn a_denial_keeps_its_context_and_wins() {
        let answer = json!({
            "principalId": "ian",
            "policyDocument": {"Statement": [
                {"Effect": "Allow", "Action": "*", "Resource": "*"},
                {"Effect": "Deny", "Action": "execute-api:*", "Resource": ARN},
            ]},
            "context": {"retry_after": 30},
        });
        let refusal = judge(&answer, ARN).unwrap_err();
        assert_eq!(refusal.kind, ResponseType::AccessDenied);
        assert_eq!(refusal.context.unwrap()["retry_after"], "30");
    }

    #[test]
    fn a_malformed_answer_is_a_configuration_error() {
        let statement = json!([{"Effect": "Allow", "Action": "*", "Resource": "*"}]);
        for answer in [
            json!(null),
            json!({}),
            json!({"principalId": "ian"}),
            json!({"policyDocument": {"Statement": statement}}),
            json!({"principalId": "ian", "policyDocument": {"Statement": statement},
                   "context": {"nested": {}}}),
            json!({"principalId": "ian", "policyDocument": {"Statement": [{"Effect": "Allow"}]}}),
        ] {
            let refusal = judge(&answer, ARN).unwrap_err();
            assert_eq!(
                refusal.kind,
                ResponseType::AuthorizerConfigurationError,
                "{answer}"
            );
        }
    }
}
