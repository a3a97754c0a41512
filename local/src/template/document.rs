//! The SAM template as a checked document, not yet resolved.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use serde_yaml_ng::Value as Yaml;

use super::error::TemplateError;
use super::resource::Resource;
use super::value::{inside, object, optional_object, text};
use super::{prune, supported};

/// The stack's own template.
pub const EMBEDDED: &str = include_str!("../../../infra/template.yaml");

/// The template, checked but not yet resolved.
#[derive(Debug, Clone)]
pub struct Template {
    /// Parameter names and their defaults.
    pub(super) parameters: BTreeMap<String, Option<String>>,
    pub(super) conditions: BTreeMap<String, Value>,
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
            globals = prune::prune_globals(properties, &place)?;
        }
        let mut resources = BTreeMap::new();
        for (logical_id, resource) in optional_object(&document, "Resources")? {
            let place = format!("Resources.{logical_id}");
            let Some(mut resource) = prune::prune(resource, &place)? else {
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
                prune::check_parameter(parameter, &format!("Parameters.{name}"))?;
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
}

/// Converts YAML to JSON, its short tags to their long form.
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
                // Only in what is not run here.
                "!Select" => json!({"Fn::Select": argument}),
                "!Split" => json!({"Fn::Split": argument}),
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

/// Applies SAM's rule for globals: merges maps, joins lists, overrides the rest.
pub(super) fn merged(global: &Value, own: Value) -> Value {
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
