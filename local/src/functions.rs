//! The product's own functions as the Lambda runtime would run them: an event
//! as JSON in, an answer or an error as JSON out.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::App;
use aws_config::SdkConfig;
use check_tokens::CheckTokens;
use http::Response;
use http_body_util::{BodyExt, Full};
use lambda_http::{Adapter, Request};
use lambda_runtime::{Context, Diagnostic, LambdaEvent};
use notify::Notify;
use rate_limit_authorizer::Authorizer;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use shared::{Clock, Variables};
use tower::{ServiceExt, service_fn};

use crate::aws::lambda::invoke::{FunctionError, Handler, Invocation, handler};
use crate::environment::Environment;

/// Returns the handlers by their logical ids in the template, each wired from its own
/// environment variables.
///
/// # Errors
/// When a function cannot start, as it could not in AWS.
pub async fn handlers(
    environment: &Environment,
    clock: &Clock,
) -> anyhow::Result<BTreeMap<String, Handler>> {
    let of = |function: &str| {
        (
            environment.sdk_config_of(function),
            environment.variables(function),
        )
    };
    handlers_of(of, clock)
}

/// Returns the handlers, each wired from what `configuration` says for its logical id.
///
/// # Errors
/// When a function cannot start, as it could not in AWS.
pub fn handlers_of(
    configuration: impl Fn(&str) -> (SdkConfig, Variables),
    clock: &Clock,
) -> anyhow::Result<BTreeMap<String, Handler>> {
    let (sdk, variables) = configuration("CheckTokensFunction");
    let sweep = CheckTokens::from_environment(&sdk, &variables, clock.clone())?;
    let (sdk, variables) = configuration("NotifyFunction");
    let notify = Notify::from_environment(&sdk, &variables, clock.clone())?;
    let (sdk, variables) = configuration("RateLimitAuthorizerFunction");
    let authorizer = Arc::new(Authorizer::from_environment(
        &sdk,
        &variables,
        clock.clone(),
    )?);
    let (sdk, variables) = configuration("ApiFunction");
    let router = api::router(App::from_environment(&sdk, &variables, clock.clone())?);
    // `lambda_http` makes futures that cannot change threads out of axum's
    // streaming bodies; ours are small, so they are collected first.
    let collected = service_fn(move |request: Request| {
        let router = router.clone();
        async move {
            let (head, body) = router.oneshot(request).await?.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok::<_, lambda_http::Error>(Response::from_parts(head, Full::new(body)))
        }
    });
    let (sdk, variables) = configuration("PlatformCallsFunction");
    let calls = platform_calls::App::from_environment(&sdk, &variables, clock.clone())?;
    let calls = platform_calls::service(platform_calls::router(calls));
    Ok(BTreeMap::from([
        (
            "CheckTokensFunction".to_owned(),
            lambda(move |event| {
                let sweep = sweep.clone();
                async move { sweep.handle(event).await }
            }),
        ),
        (
            "NotifyFunction".to_owned(),
            lambda(move |event| {
                let notify = notify.clone();
                async move { notify.handle(event).await }
            }),
        ),
        (
            "RateLimitAuthorizerFunction".to_owned(),
            lambda(move |event| {
                let authorizer = Arc::clone(&authorizer);
                async move { authorizer.handle(event).await }
            }),
        ),
        (
            "ApiFunction".to_owned(),
            lambda(move |event| Adapter::from(collected.clone()).oneshot(event)),
        ),
        (
            "PlatformCallsFunction".to_owned(),
            lambda(move |event| {
                Adapter::from(calls.clone()).oneshot(platform_calls::with_every_header(event))
            }),
        ),
    ]))
}

/// Wraps a typed function in the JSON that Lambda exchanges with it.
fn lambda<E, A, X, F, R>(function: F) -> Handler
where
    E: DeserializeOwned + Send + 'static,
    A: Serialize,
    X: Into<Diagnostic>,
    F: Fn(LambdaEvent<E>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<A, X>> + Send + 'static,
{
    handler(move |event: Value, invocation: Invocation| {
        let answered = serde_json::from_value(event)
            .map_err(|e| FunctionError::new("DeserializeError", e.to_string()))
            .map(|payload| function(LambdaEvent::new(payload, context(&invocation))));
        async move {
            let answer = answered?.await.map_err(|error| {
                let Diagnostic {
                    error_type,
                    error_message,
                } = error.into();
                FunctionError::new(error_type, error_message)
            })?;
            serde_json::to_value(answer)
                .map_err(|e| FunctionError::new("SerializeError", e.to_string()))
        }
    })
}

fn context(invocation: &Invocation) -> Context {
    let mut context = Context::default();
    context.request_id.clone_from(&invocation.request_id);
    context
        .invoked_function_arn
        .clone_from(&invocation.function_arn);
    context.deadline = u64::try_from(invocation.deadline.timestamp_millis()).unwrap_or_default();
    context
}
