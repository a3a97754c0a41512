//! What routes answer alike: of which routes, and with which headers and bodies.

use serde_json::{Map, Value, json};
use shared::domain::quota::HEADERS;
use shared::domain::route::is_metered;
use utoipa::ToSchema;

use crate::problem::ProblemDetails;

/// The scheme of bearer tokens, as the routes name it.
pub(super) const BEARER: &str = "bearer";

/// What decides which answers a route has in common with others.
pub(super) struct Route {
    is_get: bool,
    /// No caller is looked at.
    is_open: bool,
    takes_permission: bool,
    takes_query: bool,
    takes_body: bool,
    has_parameters: bool,
    is_of_org: bool,
    pub(super) is_metered: bool,
}

struct SharedAnswer {
    name: &'static str,
    status: u16,
    description: &'static str,
    is_of: fn(&Route) -> bool,
}

const SHARED: [SharedAnswer; 13] = [
    SharedAnswer {
        name: "NotModified",
        status: 304,
        description: "Nothing has changed.",
        is_of: |route| route.is_get && !route.is_open && !route.is_metered,
    },
    SharedAnswer {
        name: "BadRequest",
        status: 400,
        description: "A parameter or the body is wrong; `detail` says what is accepted.",
        is_of: |route| {
            !route.is_open && (route.takes_query || route.takes_body) || route.is_metered
        },
    },
    SharedAnswer {
        name: "Unauthorized",
        status: 401,
        description: "There is no valid bearer token.",
        is_of: |route| !route.is_open,
    },
    SharedAnswer {
        name: "NoMember",
        status: 403,
        description: "The caller is not a member of the organisation.",
        is_of: |route| route.is_of_org && !route.is_open && !route.takes_permission,
    },
    SharedAnswer {
        name: "NoPermission",
        status: 403,
        description: "The caller is not a member, or lacks the permission.",
        is_of: |route| route.takes_permission,
    },
    SharedAnswer {
        name: "NotFound",
        status: 404,
        description: "There is no such thing, or the path is not spelled canonically.",
        is_of: |route| route.has_parameters,
    },
    SharedAnswer {
        name: "TooLarge",
        status: 413,
        description: "The request is larger than the gateway takes.",
        is_of: |route| route.takes_body || route.is_metered,
    },
    SharedAnswer {
        name: "Throttled",
        status: 429,
        description: "The API is throttled.",
        is_of: |route| !route.is_metered,
    },
    SharedAnswer {
        name: DENIED,
        status: 429,
        description: "The quota is used up, the platform asks to wait, or the API is throttled.",
        is_of: |route| route.is_metered,
    },
    SharedAnswer {
        name: "Failed",
        status: 500,
        description: "Something failed on our side.",
        is_of: |_| true,
    },
    SharedAnswer {
        name: "GatewayFailed",
        status: 502,
        description: "The function could not be reached.",
        is_of: |_| true,
    },
    SharedAnswer {
        name: "Unavailable",
        status: 503,
        description: "The caller could not be checked.",
        is_of: |route| !route.is_open,
    },
    SharedAnswer {
        name: "TooLate",
        status: 504,
        description: "The answer took longer than the 29 seconds that the gateway waits.",
        is_of: |_| true,
    },
];

const DENIED: &str = "Denied";
/// Before the name of an answer that may be ours, or a platform's with the same status.
const PROXIED: &str = "Proxied";

impl Route {
    pub(super) fn of(path: &str, method: &str, operation: &Value) -> Self {
        let security = operation["security"][0][BEARER].as_array();
        Self {
            is_get: method == "get",
            is_open: security.is_none(),
            takes_permission: security.is_some_and(|names| !names.is_empty()),
            takes_query: operation["parameters"].is_array(),
            takes_body: operation["requestBody"].is_object(),
            has_parameters: path.contains('{'),
            is_of_org: path.contains("{orgId}"),
            is_metered: is_metered(&path.replace("{path}", "{path+}")),
        }
    }

    /// Returns the answers by their statuses. A route that passes on what a platform answers may
    /// have each of them from there, too.
    pub(super) fn shared_answers(&self, passes_on: bool) -> Map<String, Value> {
        let prefix = if passes_on { PROXIED } else { "" };
        let own = SHARED.into_iter().filter(|answer| (answer.is_of)(self));
        own.map(|SharedAnswer { name, status, .. }| {
            let answer = json!({"$ref": format!("#/components/responses/{prefix}{name}")});
            (status.to_string(), answer)
        })
        .collect()
    }
}

/// The body of the 429 of a quota, from the gateway.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "it is described here, and written by the template"
)]
pub(super) struct Denial {
    /// `Rate limit exceeded`; through the proxy, an object.
    error: Value,
    message: String,
    /// `quota_used_up` or `platform_asks_to_wait`.
    reason: String,
    /// In seconds.
    retry_after: u32,
    /// In UTC, such as `2025-11-18 10:00:00`.
    reset_at: String,
    limit: u32,
}

/// Returns all shared answers by their names.
pub(super) fn shared() -> impl Iterator<Item = (String, Value)> {
    SHARED.into_iter().flat_map(|shared| {
        let mut answer = json!({"description": shared.description});
        complete_answer(&shared.status.to_string(), &mut answer);
        if shared.name == DENIED {
            answer["content"]["application/json"] = json!({
                "schema": {"$ref": reference::<Denial>()},
                "example": {
                    "error": "Rate limit exceeded",
                    "message": "Too many requests to meta API. Please try again later.",
                    "reason": "quota_used_up", "retry_after": 3_600,
                    "reset_at": "2025-11-18 10:00:00", "limit": 200,
                },
            });
            add_quota_headers(&mut answer);
        }
        let mut proxied = answer.clone();
        allow_any_body(&mut proxied);
        [
            (shared.name.to_owned(), answer),
            (format!("{PROXIED}{}", shared.name), proxied),
        ]
    })
}

pub(super) fn allow_any_body(answer: &mut Value) {
    answer["content"]["*/*"] = json!({});
}

pub(super) fn add_quota_headers(answer: &mut Value) {
    for (name, _) in HEADERS {
        answer["headers"][name] = header("What is left of the quota (docs/quotas.md).");
    }
}

fn header(description: &str) -> Value {
    json!({"description": description, "schema": {"type": "string"}})
}

/// Adds the body and the headers that every answer of this status has.
pub(super) fn complete_answer(status: &str, answer: &mut Value) {
    let code: u16 = status.parse().unwrap_or_default();
    if code >= 400 && answer.get("content").is_none() {
        let title = http::StatusCode::from_u16(code).ok();
        let title = title.and_then(|status| status.canonical_reason());
        answer["content"] = json!({"application/problem+json": {
            "schema": {"$ref": reference::<ProblemDetails>()},
            "example": {
                "type": "about:blank", "title": title, "status": code,
                "detail": answer["description"],
                "instance": "f060576e-0fb8-e707-66c3-6c1b6ba66af9",
            },
        }});
    }
    match code {
        401 => answer["headers"]["WWW-Authenticate"] = header("`Bearer`"),
        429 | 503 => answer["headers"]["Retry-After"] = header("In seconds."),
        304 => answer["headers"]["ETag"] = header("As of the answer that is still true."),
        _ => {}
    }
}

pub(super) fn reference<T: ToSchema>() -> String {
    format!("#/components/schemas/{}", T::name())
}
