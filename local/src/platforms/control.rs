//! The control route, where an evaluator or a test changes what the platforms do.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use shared::Platform;

use super::script::platform_or_alias;
use super::{InvalidScript, Platforms, Rules, Script};

/// Holds only the fields of a platform's rules that change.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RulesChange {
    #[serde(deserialize_with = "platform_or_alias")]
    platform: Option<Platform>,
    rules: Map<String, Value>,
}

pub(super) async fn counts(State(platforms): State<Platforms>) -> Json<Value> {
    let counts = platforms
        .counts()
        .into_iter()
        .map(|(platform, counts)| (platform.name().to_owned(), json!(counts)));
    Json(Value::Object(counts.collect()))
}

pub(super) async fn script(State(platforms): State<Platforms>, body: Bytes) -> Response {
    let done = serde_json::from_slice(&body)
        .map_err(|error| InvalidScript::Shape(format!("not a JSON document: {error}")))
        .and_then(|command| platforms.control(command));
    match done {
        Ok(scripts) => Json(json!({ "scripts": scripts })).into_response(),
        Err(invalid) => {
            let body = json!({"error": invalid.to_string()});
            (StatusCode::BAD_REQUEST, Json(body)).into_response()
        }
    }
}

pub(super) async fn clear(State(platforms): State<Platforms>) -> Json<Value> {
    platforms.clear_scripts();
    Json(json!({"scripts": 0}))
}

impl Platforms {
    /// Handles `POST {base}/control`: follows a script, or changes rules
    /// (`{"platform": ..., "rules": {...}}`, see [`Rules`]). Returns how many scripts
    /// the platforms follow then.
    ///
    /// # Errors
    /// [`InvalidScript`] says what is wrong with the command.
    pub fn control(&self, command: Value) -> Result<usize, InvalidScript> {
        let shape = |error: serde_json::Error| InvalidScript::Shape(error.to_string());
        if command.get("rules").is_none() {
            return self.script(serde_json::from_value::<Script>(command).map_err(shape)?);
        }
        let change: RulesChange = serde_json::from_value(command).map_err(shape)?;
        let Some(platform) = change.platform else {
            let text = "platform: rules belong to one platform";
            return Err(InvalidScript::Shape(text.to_owned()));
        };
        let mut rules = serde_json::to_value(self.rules(platform)).map_err(shape)?;
        if let Value::Object(fields) = &mut rules {
            fields.extend(change.rules);
        }
        let rules: Rules = serde_json::from_value(rules).map_err(shape)?;
        self.set_rules(platform, rules);
        Ok(self.locked().scripts())
    }
}
