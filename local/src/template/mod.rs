//! Reads the SAM template and resolves it for one machine. Whatever it does not
//! understand is an error that names its place.

mod api;
mod conditions;
mod events;
mod model;
mod policies;
mod resolve;
mod supported;

pub use model::{Api, Authorizer, Function, Model, Route, Schedule, Table};
pub(crate) use model::{GatewayResponse, Queue, Secret, Topic};
pub use policies::{Call, Statement};
pub use resolve::{ACCOUNT, Inputs, REGION};

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use serde_yaml_ng::Value as Yaml;

/// The stack's own template.
pub const EMBEDDED: &str = include_str!("../../../infra/template.yaml");

/// Something in the template that cannot be run here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template: {place}: {problem}")]
pub struct TemplateError {
    /// Where, such as `Resources.AlertsTopic.Properties.Foo`.
    pub place: String,
    /// What is wrong there.
    pub problem: String,
}

impl TemplateError {
    pub(crate) fn at(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            problem: problem.into(),
        }
    }
}

/// A resource that means something here, without the properties that do not.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub(crate) kind: String,
    /// Name of the condition without which it is not there.
    pub(crate) condition: Option<String>,
    pub(crate) properties: Value,
    pub(crate) metadata: Value,
}

/// The template, checked but not yet resolved.
#[derive(Debug, Clone)]
pub struct Template {
    /// Parameter names and their defaults.
    parameters: BTreeMap<String, Option<String>>,
    /// Conditions by name.
    conditions: BTreeMap<String, Value>,
    pub(crate) resources: BTreeMap<String, Resource>,
}

impl Template {
    /// Checks that there is a parameter of this name.
    ///
    /// # Errors
    /// [`TemplateError`] if there is none.
    pub fn check_parameter(&self, name: &str) -> Result<(), TemplateError> {
        if self.parameters.contains_key(name) {
            return Ok(());
        }
        let known: Vec<_> = self.parameters.keys().map(String::as_str).collect();
        let problem = format!("no such parameter; there are {}", known.join(", "));
        Err(TemplateError::at(format!("Parameters.{name}"), problem))
    }

    /// Reads a template and checks that everything in it is known.
    ///
    /// # Errors
    /// [`TemplateError`] for an unknown section, type, property or intrinsic.
    pub fn parse(yaml: &str) -> Result<Self, TemplateError> {
        let document: Yaml = serde_yaml_ng::from_str(yaml)
            .map_err(|e| TemplateError::at("(document)", e.to_string()))?;
        let document = to_json(&document, "")?;
        for section in object(&document, "(document)")?.keys() {
            if !supported::SECTIONS.contains(&section.as_str()) {
                return Err(TemplateError::at(section, "this section is not supported"));
            }
        }
        let mut globals = Value::Null;
        for (kind, properties) in optional_object(&document, "Globals")? {
            let place = format!("Globals.{kind}");
            if kind != "Function" {
                return Err(TemplateError::at(place, "these globals are not supported"));
            }
            globals = supported::prune_globals(properties, &place)?;
        }
        let mut resources = BTreeMap::new();
        for (logical_id, resource) in optional_object(&document, "Resources")? {
            let place = format!("Resources.{logical_id}");
            let Some(mut resource) = supported::prune(resource, &place)? else {
                continue;
            };
            if resource.kind == "AWS::Serverless::Function" {
                resource.properties = merged(&globals, resource.properties);
            }
            resources.insert(logical_id.clone(), resource);
        }
        let parameters = optional_object(&document, "Parameters")?
            .into_iter()
            .map(|(name, parameter)| {
                supported::check_parameter(parameter, &format!("Parameters.{name}"))?;
                Ok((name.clone(), parameter.get("Default").map(text)))
            })
            .collect::<Result<_, TemplateError>>()?;
        let conditions = optional_object(&document, "Conditions")?
            .into_iter()
            .map(|(name, condition)| (name.clone(), condition.clone()))
            .collect();
        Ok(Self {
            parameters,
            conditions,
            resources,
        })
    }

    /// Resolves every reference and reads the result.
    ///
    /// # Errors
    /// [`TemplateError`] for a parameter without a value, a reference to
    /// nothing, or a property of the wrong shape.
    pub fn resolve(&self, inputs: &Inputs) -> Result<Model, TemplateError> {
        model::read(&resolve::Resolver::new(self, inputs)?)
    }
}

/// The YAML as JSON, its short tags in their long form.
fn to_json(yaml: &Yaml, place: &str) -> Result<Value, TemplateError> {
    Ok(match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(flag) => json!(flag),
        Yaml::String(text) => json!(text),
        Yaml::Number(number) => serde_json::to_value(number)
            .map_err(|e| TemplateError::at(place, format!("not a JSON number: {e}")))?,
        Yaml::Sequence(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| to_json(item, &format!("{place}[{index}]")))
            .collect::<Result<_, _>>()?,
        Yaml::Mapping(entries) => {
            let mut map = Map::new();
            for (key, value) in entries {
                let Yaml::String(key) = key else {
                    return Err(TemplateError::at(place, "a key that is not a string"));
                };
                map.insert(key.clone(), to_json(value, &inside(place, key))?);
            }
            Value::Object(map)
        }
        Yaml::Tagged(tagged) => {
            let argument = to_json(&tagged.value, place)?;
            match tagged.tag.to_string().as_str() {
                "!Ref" => json!({"Ref": argument}),
                "!Sub" => json!({"Fn::Sub": argument}),
                "!Join" => json!({"Fn::Join": argument}),
                "!If" => json!({"Fn::If": argument}),
                "!Equals" => json!({"Fn::Equals": argument}),
                "!Not" => json!({"Fn::Not": argument}),
                "!Condition" => json!({"Condition": argument}),
                "!GetAtt" => match argument.as_str().and_then(|text| text.split_once('.')) {
                    Some((resource, attribute)) => json!({"Fn::GetAtt": [resource, attribute]}),
                    None => json!({"Fn::GetAtt": argument}),
                },
                other => {
                    let problem = format!("the intrinsic {other} is not supported");
                    return Err(TemplateError::at(place, problem));
                }
            }
        }
    })
}

/// SAM's rule for globals: maps are merged, lists joined, the rest overridden.
fn merged(global: &Value, own: Value) -> Value {
    match (global, own) {
        (Value::Object(global), Value::Object(mut own)) => {
            for (key, value) in global {
                let merged = merged(value, own.remove(key).unwrap_or(Value::Null));
                own.insert(key.clone(), merged);
            }
            Value::Object(own)
        }
        (Value::Array(global), Value::Array(own)) => global.iter().cloned().chain(own).collect(),
        (global, Value::Null) => global.clone(),
        (_, own) => own,
    }
}

pub(crate) fn inside(place: &str, key: &str) -> String {
    if place.is_empty() {
        key.to_owned()
    } else {
        format!("{place}.{key}")
    }
}

pub(crate) fn object<'a>(
    value: &'a Value,
    place: &str,
) -> Result<&'a Map<String, Value>, TemplateError> {
    value
        .as_object()
        .ok_or_else(|| TemplateError::at(place, "a map is expected here"))
}

fn optional_object<'a>(
    document: &'a Value,
    section: &str,
) -> Result<Vec<(&'a String, &'a Value)>, TemplateError> {
    document.get(section).map_or(Ok(Vec::new()), |value| {
        Ok(object(value, section)?.iter().collect())
    })
}

/// A scalar as CloudFormation passes it on: text.
pub(crate) fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn inputs() -> Inputs {
        Inputs {
            parameters: [
                ("AuthIssuer", "http://127.0.0.1:1"),
                ("AuthAudience", "warden-local"),
                ("PlatformEndpoints", "{}"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
            sqs: "http://127.0.0.1:2".to_owned(),
        }
    }

    fn error_of(yaml: &str) -> String {
        match Template::parse(yaml).and_then(|template| template.resolve(&inputs())) {
            Ok(_) => panic!("accepted:\n{yaml}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_stacks_own_template_resolves() {
        let model = Template::parse(EMBEDDED)
            .unwrap()
            .resolve(&inputs())
            .unwrap();
        assert_eq!(model.tables.len(), 5);
        let check = &model.functions["CheckTokensFunction"];
        assert_eq!(check.binary, "check-tokens");
        assert_eq!(check.timeout.as_secs(), 300);
        assert_eq!(check.variables["RUST_LOG"], "info");
        assert_eq!(check.variables["INTEGRATIONS_TABLE"], "warden-integrations");
        assert_eq!(
            check.variables["ALERTS_TOPIC_ARN"],
            "arn:aws:sns:us-east-1:000000000000:warden-alerts"
        );
        assert_eq!(model.buckets, [check.variables["FALLBACK_BUCKET"].as_str()]);
        assert_eq!(model.topics[0].subscriptions[0].function, "NotifyFunction");
        assert_eq!(model.schedules.len(), 2);
        assert_eq!(model.api.routes.len(), 13 + 7 + 11);
        let health = model.api.routes.iter().find(|r| r.path == "/health");
        assert_eq!(health.unwrap().authorizer, None);
    }

    #[test]
    fn every_path_has_its_methods_head_where_get_is_and_a_way_for_all_others() {
        let model = Template::parse(EMBEDDED).unwrap().resolve(&inputs());
        let routes = model.unwrap().api.routes;
        for route in &routes {
            let of = |method: &str| {
                let mut same_path = routes.iter().filter(|other| other.path == route.path);
                same_path.find(|other| other.method == method)
            };
            // What is done there the authorizer judges; what is not, nobody.
            let open = route.path == "/health" || route.method == "ANY";
            assert_eq!(route.authorizer.is_none(), open, "{route:?}");
            assert!(of("ANY").is_some(), "{route:?}");
            let of_get = of("GET").map(|get| (&get.function, &get.authorizer));
            let of_head = of("HEAD").map(|head| (&head.function, &head.authorizer));
            assert_eq!(of_get, of_head, "{route:?}");
            let twins =
                |other: &&Route| (&other.path, &other.method) == (&route.path, &route.method);
            assert_eq!(routes.iter().filter(twins).count(), 1, "{route:?}");
        }
    }

    #[test]
    fn schedules_that_are_disabled_do_not_tick() {
        let template = Template::parse(EMBEDDED).unwrap();
        let schedules = |state: &str| {
            let mut inputs = inputs();
            let parameter = ("Schedules".to_owned(), state.to_owned());
            inputs.parameters.extend([parameter]);
            template.resolve(&inputs).map(|model| model.schedules.len())
        };
        assert_eq!(schedules("ENABLED").unwrap(), 2);
        assert_eq!(schedules("DISABLED").unwrap(), 0);
        assert!(schedules("Disabled").is_err());
    }

    #[test]
    fn what_is_unknown_is_named_by_its_place() {
        let cases = [
            (
                "Mappings: {}",
                "template: Mappings: this section is not supported",
            ),
            (
                "Resources: {Wall: {Type: 'AWS::WAFv2::WebACL'}}",
                "template: Resources.Wall.Type: AWS::WAFv2::WebACL is not supported",
            ),
            (
                "Resources: {AlertsTopic: {Type: 'AWS::SNS::Topic', Properties: {Foo: 1}}}",
                "template: Resources.AlertsTopic.Properties.Foo: this property is not supported",
            ),
            (
                "Resources: {T: {Type: 'AWS::DynamoDB::Table', Properties: {KeySchema: [{Kind: X}]}}}",
                "template: Resources.T.Properties.KeySchema[0].Kind: this property is not supported",
            ),
            (
                "Resources: {T: {Type: 'AWS::SNS::Topic', Properties: {TopicName: !Select [0, a]}}}",
                "template: Resources.T.Properties.TopicName: the intrinsic !Select is not supported",
            ),
            (
                "Resources: {T: {Type: 'AWS::SNS::Topic', Properties: {TopicName: {'Fn::Split': []}}}}",
                "template: Resources.T.Properties.TopicName: the intrinsic Fn::Split is not supported",
            ),
            (
                "Resources: {T: {Type: 'AWS::SNS::Topic', Properties: {TopicName: !Ref Nobody}}}",
                "template: Resources.T.Properties.TopicName: refers to Nobody, which is neither",
            ),
            (
                "Parameters: {Unset: {Type: String}}",
                "template: Parameters.Unset: no value and no default",
            ),
            (
                "Resources: {T: {Type: 'AWS::SNS::Topic', Condition: Nowhere}}",
                "template: Resources.T.Condition: refers to Nowhere, which is no condition",
            ),
            (
                "Conditions: {A: !Condition B, B: !Not [!Condition A]}\n\
                 Resources: {T: {Type: 'AWS::SNS::Topic', Condition: A}}",
                "template: Conditions.B: conditions refer to each other in a circle",
            ),
            (
                "Conditions: {A: !Equals [!GetAtt T.Arn, a]}\n\
                 Resources: {T: {Type: 'AWS::SNS::Topic', Condition: A}}",
                "template: Conditions.A: conditions compare parameters and literals",
            ),
            (
                "Conditions: {Never: !Equals [a, b]}\n\
                 Resources: {T: {Type: 'AWS::SNS::Topic', Condition: Never}, \
                 Q: {Type: 'AWS::SQS::Queue', Properties: {QueueName: !Ref T}}}",
                "template: Resources.Q.Properties.QueueName: refers to T, which its condition leaves out",
            ),
            (
                "Globals: {Function: {Foo: 1}}",
                "template: Globals.Function.Foo: this property is not supported",
            ),
        ];
        for (yaml, expected) in cases {
            let error = error_of(yaml);
            assert!(error.starts_with(expected), "{yaml}\n{error}");
        }
    }

    #[test]
    fn conditions_choose_resources_and_values() {
        let template = Template::parse(
            "Parameters: {Kind: {Type: String, Default: plain}}\n\
             Conditions:\n  Plain: !Equals [!Ref Kind, plain]\n  Other: !Not [!Condition Plain]\n\
             Resources:\n\
             \x20 A: {Type: 'AWS::SNS::Topic', Condition: Plain, Properties: \
             {TopicName: !If [Plain, !Sub '${Kind}-a', !Ref Nobody]}}\n\
             \x20 B: {Type: 'AWS::SNS::Topic', Condition: Other}\n\
             \x20 Q: {Type: 'AWS::SQS::Queue', Properties: {VisibilityTimeout: \
             !If [Other, 7, !Ref 'AWS::NoValue']}}\n",
        )
        .unwrap();
        let model = |kind: &str| {
            let inputs = Inputs {
                parameters: [("Kind".to_owned(), kind.to_owned())].into(),
                ..inputs()
            };
            template.resolve(&inputs).unwrap()
        };
        let (plain, other) = (model("plain"), model("other"));
        let arns = |model: &Model| -> Vec<_> {
            let names = model
                .topics
                .iter()
                .map(|topic| topic.arn.rsplit(':').next());
            names.map(|name| name.unwrap().to_owned()).collect()
        };
        assert_eq!(arns(&plain), ["plain-a"]);
        assert_eq!(arns(&other), ["warden-B"]);
        assert_eq!(plain.queues[0].visibility.as_secs(), 30);
        assert_eq!(other.queues[0].visibility.as_secs(), 7);
    }

    #[test]
    fn globals_are_merged_by_sams_rule() {
        let global = json!({"A": {"x": 1, "y": 2}, "L": [1], "S": "global", "T": "kept"});
        let own = json!({"A": {"y": 3}, "L": [2], "S": "own"});
        assert_eq!(
            merged(&global, own),
            json!({"A": {"x": 1, "y": 3}, "L": [1, 2], "S": "own", "T": "kept"})
        );
    }
}
