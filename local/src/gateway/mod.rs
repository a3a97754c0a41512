//! API Gateway's REST API, as the template describes it: routes, the authorizer
//! in front of them, the functions behind, and the gateway's own responses.

mod authorizer;
mod events;
mod responses;

pub(crate) use responses::literal;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::Value;
use shared::Clock;

use crate::aws::uuid;
use crate::invoke::Invoker;
use crate::template::{Api, Route};
use authorizer::Refusal;
use events::Call;
use responses::{Kind, proxy_response};

/// The largest request body.
const BODY_LIMIT: usize = 10 * 1024 * 1024;
/// How long the gateway waits for a function.
const INTEGRATION_TIMEOUT: Duration = Duration::from_secs(29);

#[derive(Clone)]
pub(crate) struct Gateway(Arc<Inner>);

struct Inner {
    api: Api,
    invoker: Invoker,
    clock: Clock,
}

impl Gateway {
    pub(crate) fn new(api: Api, invoker: Invoker, clock: Clock) -> Self {
        Self(Arc::new(Inner {
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
        let mut call = Call::new(api, parts, uuid(), self.0.clock.precise());
        // On the raw path: a spelling that the routes do not have is no route.
        let Some((route, parameters)) = find(&api.routes, &call.method, &call.path) else {
            return self.refuse(&call, Kind::MissingAuthenticationToken, None);
        };
        call.routed(route, parameters);
        let Ok(body) = axum::body::to_bytes(body, BODY_LIMIT).await else {
            return self.refuse(&call, Kind::RequestTooLarge, None);
        };
        let authorizer = route
            .authorizer
            .as_ref()
            .and_then(|name| api.authorizers.get(name));
        let mut authorized = None;
        if let Some(authorizer) = authorizer {
            match authorizer::ask(&self.0.invoker, authorizer, &call).await {
                Ok(context) => authorized = Some(context),
                Err(Refusal { kind, context }) => {
                    return self.refuse(&call, kind, context.as_ref());
                }
            }
        }
        let event = call.proxy_event(&body, authorized.as_ref());
        let result = self
            .0
            .invoker
            .invoke(&route.function, event, &call.request_id);
        let kind = match tokio::time::timeout(INTEGRATION_TIMEOUT, result).await {
            Ok(Ok(answer)) => match proxy_response(&answer, &call.request_id) {
                Some(response) => return response,
                None => Kind::MalformedProxyResponse,
            },
            Ok(Err(error)) => {
                tracing::error!(
                    function = route.function,
                    request_id = call.request_id,
                    error_type = error.error_type,
                    "a function failed behind the gateway"
                );
                Kind::MalformedProxyResponse
            }
            Err(_) => Kind::IntegrationTimeout,
        };
        self.refuse(&call, kind, authorized.as_ref())
    }

    fn refuse(&self, call: &Call, kind: Kind, authorizer: Option<&Value>) -> Response {
        let context = call.context(kind, authorizer);
        responses::render(&self.0.api.responses, kind, &context)
    }
}

async fn serve(State(gateway): State<Gateway>, request: Request<Body>) -> Response {
    gateway.answer(request).await
}

type Parameters = Vec<(String, String)>;

/// The methods that `ANY` stands for, as API Gateway knows them.
const METHODS: [&str; 7] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];

/// The route of a method and a raw path. The path is found first, where literal
/// segments win over parameters; then its route of this method, else of `ANY`
/// ("will catch any HTTP method that wasn't explicitly declared",
/// docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-swagger-extensions-any-method.html).
fn find<'a>(routes: &'a [Route], method: &str, path: &str) -> Option<(&'a Route, Parameters)> {
    let matching = routes
        .iter()
        .filter_map(|route| Some((route, parameters_of(&route.path, path)?)));
    let (found, parameters) = matching.min_by_key(|(_, parameters)| parameters.len())?;
    let of = |method: &str| {
        let mut same_path = routes.iter().filter(|route| route.path == found.path);
        same_path.find(|route| route.method == method)
    };
    let any = || of("ANY").filter(|_| METHODS.contains(&method));
    Some((of(method).or_else(any)?, parameters))
}

fn parameters_of(pattern: &str, path: &str) -> Option<Parameters> {
    let mut parameters = Parameters::new();
    let mut segments = path.split('/');
    for expected in pattern.split('/') {
        let segment = segments.next()?;
        match expected
            .strip_prefix('{')
            .and_then(|name| name.strip_suffix('}'))
        {
            Some(_) if segment.is_empty() => return None,
            Some(name) => parameters.push((name.to_owned(), segment.to_owned())),
            None if expected == segment => {}
            None => return None,
        }
    }
    segments.next().is_none().then_some(parameters)
}

#[cfg(test)]
mod tests;
