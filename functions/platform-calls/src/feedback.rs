//! What platforms answered to calls that applications made themselves.

use axum::Json;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use chrono::{DateTime, Utc};
use edge::json::parse_object;
use edge::problem::Problem;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::domain::call_reading::CallVerdict;
use shared::oauth::CallAnswer;
use shared::platform_calls::{FeedbackError, Learned, MAX_REPORTED_BODY};
use utoipa::ToSchema;
use utoipa::openapi::schema::SchemaType;
use utoipa::openapi::{ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema, Type};

use crate::app::App;
use crate::caller::Caller;
use crate::permits::must_be_of_platform;

/// The longest report, in bytes: a body, and as much of headers. JSON may escape each byte.
const MAX_REPORT: usize = 12 * MAX_REPORTED_BODY;

/// What was understood.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Understood {
    verdict: CallVerdict,
    /// Until when no permit is given; null if the answer closes nothing.
    until: Option<DateTime<Utc>>,
    advice: &'static str,
}

impl From<&Learned> for Understood {
    fn from(learned: &Learned) -> Self {
        Self {
            verdict: learned.reading.verdict,
            until: learned.closed_until,
            advice: learned.advice(),
        }
    }
}

/// Reports what a platform answered
///
/// To a call that the application made itself.
#[utoipa::path(
    post,
    path = "/api/platforms/{platform}/{orgId}/{integrationId}/feedback",
    operation_id = "reportAnswer",
    tag = "Calling platforms",
    security(("bearer" = ["use_integrations"])),
    request_body(content = Report, example = json!({
        "status": 400, "headers": {"x-app-usage": "{\"call_count\":97}"},
        "body": {"error": {"code": 4, "message": "Application request limit reached"}}, "generation": 7,
    })),
    responses(
        (status = 200, description = "What was understood.", body = Understood),
        (status = 409, description = "The integration is of another platform."),
        (status = 413, description = "The report, or the body in it, is too long."),
        (status = 503, description = "What was learned could not be stored, or the caller not be checked."),
    ),
)]
pub(crate) async fn take(
    caller: Caller,
    State(app): State<App>,
    request: Request,
) -> Result<Json<Understood>, Problem> {
    let too_large = |_| Problem::too_large(format!("A report may have {MAX_REPORT} bytes."));
    let report = to_bytes(request.into_body(), MAX_REPORT)
        .await
        .map_err(too_large)?;
    let (answer, generation) = parse(&report)?;
    must_be_of_platform(&app, &caller).await?;
    let (feedback, key) = (&app.calls.feedback, caller.quota_key());
    let learned = feedback.learn_reported(&key, &answer, generation).await;
    let learned = learned.map_err(not_learned)?;
    Ok(Json(Understood::from(&learned)))
}

fn not_learned(error: FeedbackError) -> Problem {
    match error {
        FeedbackError::Quota(error) => error.into(),
        FeedbackError::Table(error) => error.into(),
        FeedbackError::Check(error) => {
            Problem::unavailable("The integration could not be checked just now. Please try again.")
                .because(error)
        }
        FeedbackError::Http(error) => Problem::internal(error),
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AnswerReport)]
struct Report {
    #[schema(value_type = u16, minimum = 100, maximum = 599)]
    status: Value,
    #[serde(default)]
    #[schema(schema_with = headers_schema)]
    headers: serde_json::Map<String, Value>,
    /// A text, or the JSON itself; at most 16 KiB.
    #[serde(default)]
    body: Value,
    /// Of the access token of the call.
    #[serde(default)]
    #[schema(value_type = Option<u64>, format = "uint64")]
    generation: Option<Value>,
}

fn headers_schema() -> ObjectBuilder {
    let types = SchemaType::from_iter([Type::String, Type::Number]);
    let one = || {
        let text = ObjectBuilder::new().schema_type(types.clone());
        text.pattern(Some("^[^\\x00-\\x08\\x0A-\\x1F\\x7F]*$"))
    };
    let name = ObjectBuilder::new().schema_type(Type::String);
    let name = name.pattern(Some("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"));
    let values = OneOfBuilder::new()
        .item(one())
        .item(ArrayBuilder::new().items(one()));
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some("Each a text, a number, or a list of them."))
        .property_names(Some(name))
        .additional_properties(Some(Schema::from(values)))
}

/// Returns the answer that a report is about, and the generation of its token, if it is known.
fn parse(report: &[u8]) -> Result<(CallAnswer, Option<u64>), Problem> {
    let bad = |problem: &str| Problem::bad_request(problem);
    let Report {
        status,
        headers,
        body,
        generation,
    } = parse_object(report)?;
    let status = whole(&status).filter(|status| (100..600).contains(status));
    let status = status.ok_or_else(|| bad("status must be a whole number from 100 to 599."))?;
    let generation = match generation {
        Some(given) => Some(whole(&given).ok_or_else(|| {
            bad("generation must be that of the access token of the call, a whole number.")
        })?),
        None => None,
    };
    let body = match body {
        Value::Null => Vec::new(),
        Value::String(text) => text.into_bytes(),
        json => json.to_string().into_bytes(),
    };
    if body.len() > MAX_REPORTED_BODY {
        return Err(Problem::too_large(format!(
            "The body of an answer may have {MAX_REPORTED_BODY} bytes; leave a longer one out."
        )));
    }
    let answer = CallAnswer {
        status,
        headers: parse_headers(headers)?,
        body,
    };
    Ok((answer, generation))
}

fn whole<T: TryFrom<u64>>(given: &Value) -> Option<T> {
    given.as_u64()?.try_into().ok()
}

/// Reads headers by name, each with one value or a list.
fn parse_headers(given: serde_json::Map<String, Value>) -> Result<HeaderMap, Problem> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let values = match value {
            Value::Array(values) => values,
            one => vec![one],
        };
        let parsed = name.parse::<HeaderName>().ok();
        for value in values {
            let text = match value {
                Value::String(text) => Some(text),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            };
            let value = text.and_then(|text| HeaderValue::from_str(&text).ok());
            let (Some(name), Some(value)) = (parsed.clone(), value) else {
                let problem =
                    "headers must be names, each with a text or a number, or a list of them.";
                return Err(Problem::bad_request(problem));
            };
            headers.append(name, value);
        }
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_strictly() {
        let report = br#"{"status":400,"headers":{"X-App-Usage":"{}","a":["b","c"],"n":7},"body":{"error":{"code":4}},"generation":3}"#;
        let (answer, generation) = parse(report).unwrap();
        assert_eq!((answer.status, generation), (400, Some(3)));
        assert_eq!(answer.headers.get_all("a").iter().count(), 2);
        assert_eq!(answer.headers["x-app-usage"], "{}");
        assert_eq!(answer.body, br#"{"error":{"code":4}}"#);
        let text = parse(br#"{"status":200,"body":"plain","generation":1}"#).unwrap();
        assert_eq!(text.0.body, b"plain");
        let long = format!(
            r#"{{"status":200,"generation":1,"body":"{}"}}"#,
            "x".repeat(MAX_REPORTED_BODY + 1)
        );
        for (bad, says) in [
            (r#"{"status":99,"generation":1}"#, "from 100 to 599"),
            (r#"{"status":"200","generation":1}"#, "a whole number"),
            (r#"{"status":200,"generation":-1}"#, "generation must be"),
            (r#"{"generation":1}"#, "missing field `status`"),
            (
                r#"{"status":200,"generation":1,"x":1}"#,
                "unknown field `x`",
            ),
            (
                r#"{"status":200,"generation":1,"headers":{"a b":"c"}}"#,
                "headers must be names",
            ),
            (
                r#"{"status":200,"generation":1,"headers":{"a":"b\nc"}}"#,
                "headers must be names",
            ),
            (
                r#"{"status":200,"generation":1,"headers":{"a":null}}"#,
                "headers must be names",
            ),
            (&long, "may have 16384 bytes"),
            ("", "The body is not as it should be"),
        ] {
            let problem = format!("{:?}", parse(bad.as_bytes()).unwrap_err());
            assert!(problem.contains(says), "{bad}: {problem}");
        }
    }
}
