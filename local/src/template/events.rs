//! Reads the functions' events: routes, subscriptions, schedules.

use serde::Deserialize;
use serde_json::Value;

use super::error::TemplateError;
use super::model::Subscription;
use super::model::{Model, Route, Schedule};
use super::schedule_expression::ScheduleExpression;

#[derive(Deserialize, Clone)]
#[serde(tag = "Type", content = "Properties")]
pub(super) enum Event {
    #[serde(rename_all = "PascalCase")]
    Api {
        rest_api_id: String,
        method: String,
        path: String,
        #[serde(default)]
        auth: Value,
    },
    #[serde(rename_all = "PascalCase")]
    ScheduleV2 {
        schedule_expression: String,
        #[serde(default = "utc")]
        schedule_expression_timezone: String,
        input: String,
        #[serde(default = "enabled")]
        state: String,
    },
    #[serde(rename = "SNS", rename_all = "PascalCase")]
    Sns { topic: String },
}

fn utc() -> String {
    "UTC".to_owned()
}

fn enabled() -> String {
    "ENABLED".to_owned()
}

/// Adds a function's event to the part of the model that runs it.
pub(super) fn attach(
    model: &mut Model,
    default_authorizer: Option<&str>,
    (function, place, name): (String, &str, String),
    event: Event,
) -> Result<(), TemplateError> {
    let wrong = |property: &str, problem: &str| {
        TemplateError::at(format!("{place}.Properties.{property}"), problem)
    };
    match event {
        Event::Api { rest_api_id, .. } if rest_api_id != model.api.id => {
            return Err(wrong("RestApiId", "is not the template's API"));
        }
        Event::Api {
            method, path, auth, ..
        } => {
            if path.contains("+}") && !path.ends_with("/{path+}") {
                return Err(wrong(
                    "Path",
                    "only {path+} at the end takes several segments",
                ));
            }
            let authorizer = match auth["Authorizer"].as_str() {
                None => default_authorizer,
                Some("NONE") => None,
                Some(name) if model.api.authorizers.contains_key(name) => Some(name),
                Some(_) => return Err(wrong("Auth.Authorizer", "is not defined by the API")),
            };
            model.api.routes.push(Route {
                method: method.to_ascii_uppercase(),
                path,
                function,
                authorizer: authorizer.map(str::to_owned),
            });
        }
        Event::Sns { topic } => {
            let topic = model.topics.iter_mut().find(|known| known.arn == topic);
            let topic = topic.ok_or_else(|| wrong("Topic", "is not a topic of the template"))?;
            topic.subscriptions.push(Subscription {
                arn: format!("{}:{function}{name}", topic.arn),
                function,
            });
        }
        Event::ScheduleV2 {
            schedule_expression,
            schedule_expression_timezone,
            input,
            state,
        } if state == "ENABLED" => model.schedules.push(Schedule {
            expression: ScheduleExpression::parse(
                &schedule_expression,
                &schedule_expression_timezone,
            )
            .map_err(|e| wrong("ScheduleExpression", &e.to_string()))?,
            input: serde_json::from_str(&input)
                .map_err(|e| wrong("Input", &format!("not JSON: {e}")))?,
            function,
            name,
        }),
        Event::ScheduleV2 { state, .. } if state == "DISABLED" => {}
        Event::ScheduleV2 { .. } => return Err(wrong("State", "is neither ENABLED nor DISABLED")),
    }
    Ok(())
}
