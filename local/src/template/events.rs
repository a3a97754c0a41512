//! Reads the functions' events: subscriptions, schedules.

use serde::Deserialize;

use super::error::TemplateError;
use super::model::{Model, Schedule, Subscription};
use super::schedule_expression::ScheduleExpression;

#[derive(Deserialize, Clone)]
#[serde(tag = "Type", content = "Properties")]
pub(super) enum Event {
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
    (function, place, name): (String, &str, String),
    event: Event,
) -> Result<(), TemplateError> {
    let wrong = |property: &str, problem: &str| {
        TemplateError::at(format!("{place}.Properties.{property}"), problem)
    };
    match event {
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
