//! API Gateway's REST API, as the template describes it: routes, the authorizer
//! in front of them, the functions behind, and the gateway's own responses.

mod authorizer;
mod events;
mod responses;
mod routes;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::Value;
use shared::Clock;

use crate::aws::lambda::invoke::Invoker;
use crate::aws::lambda::service::MAX_REQUEST_BYTES;
use crate::template::Api;
use crate::uuid::random_uuid;
use authorizer::AuthorizerRefusal;
use events::ApiRequest;
use responses::{ResponseType, proxy_response};
use routes::find_route;

const MAX_BODY_BYTES: usize = 10 * 1024 * 1024;
/// Request line and header values together.
const MAX_HEAD_BYTES: usize = 10_240;
/// What a function returns at most
/// (docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html: "6 MB").
const MAX_ANSWER_BYTES: usize = 6 * 1024 * 1024 + 100;
/// How long the gateway waits for a function.
const INTEGRATION_TIMEOUT: Duration = Duration::from_secs(29);

#[derive(Clone)]
pub(crate) struct Gateway(Arc<GatewayState>);

struct GatewayState {
    api: Api,
    invoker: Invoker,
    clock: Clock,
}

impl Gateway {
    pub(crate) fn new(api: Api, invoker: Invoker, clock: Clock) -> Self {
        Self(Arc::new(GatewayState {
            api,
            invoker,
            clock,
        }))
    }

    pub(crate) fn router(self) -> Router {
        Router::new().fallback(serve).with_state(self)
    }

    async fn answer(&self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let api = &self.0.api;
        let mut call = ApiRequest::new(api, parts, random_uuid(), self.0.clock.precise());
        // On the raw path: a spelling that the routes do not have is no route.
        let Some((route, parameters)) = find_route(&api.routes, &call.method, &call.path) else {
            return self.refuse(&call, ResponseType::MissingAuthenticationToken, None);
        };
        call.routed(route, parameters);
        if call.head_bytes > MAX_HEAD_BYTES {
            return self.refuse(&call, ResponseType::RequestTooLarge, None);
        }
        let Ok(body) = axum::body::to_bytes(body, MAX_BODY_BYTES).await else {
            return self.refuse(&call, ResponseType::RequestTooLarge, None);
        };
        let authorizer = route
            .authorizer
            .as_ref()
            .and_then(|name| api.authorizers.get(name));
        let mut authorized = None;
        if let Some(authorizer) = authorizer {
            match authorizer::authorize(&self.0.invoker, authorizer, &call).await {
                Ok(context) => authorized = Some(context),
                Err(AuthorizerRefusal { kind, context }) => {
                    return self.refuse(&call, kind, context.as_ref());
                }
            }
        }
        let event = call.proxy_event(&body, authorized.as_ref());
        if json_bytes(&event) > MAX_REQUEST_BYTES {
            return self.refuse(&call, ResponseType::RequestTooLarge, authorized.as_ref());
        }
        let result = self
            .0
            .invoker
            .invoke(&route.function, event, &call.request_id);
        let kind = match tokio::time::timeout(INTEGRATION_TIMEOUT, result).await {
            Ok(Ok(answer)) if json_bytes(&answer) > MAX_ANSWER_BYTES => {
                tracing::error!(function = route.function, "an answer is too large");
                ResponseType::MalformedProxyResponse
            }
            Ok(Ok(answer)) => match proxy_response(&answer, &call.request_id) {
                Some(response) => return response,
                None => ResponseType::MalformedProxyResponse,
            },
            Ok(Err(error)) => {
                tracing::error!(
                    function = route.function,
                    request_id = call.request_id,
                    error_type = error.error_type,
                    "a function failed behind the gateway"
                );
                ResponseType::MalformedProxyResponse
            }
            Err(_) => ResponseType::IntegrationTimeout,
        };
        self.refuse(&call, kind, authorized.as_ref())
    }

    fn refuse(
        &self,
        call: &ApiRequest,
        kind: ResponseType,
        authorizer: Option<&Value>,
    ) -> Response {
        let context = call.context(kind, authorizer);
        responses::render(&self.0.api.responses, kind, &context)
    }
}

fn json_bytes(value: &Value) -> usize {
    serde_json::to_vec(value).map_or(usize::MAX, |json| json.len())
}

async fn serve(State(gateway): State<Gateway>, request: Request<Body>) -> Response {
    gateway.answer(request).await
}

#[cfg(test)]
mod tests;
