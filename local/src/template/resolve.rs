//! Resolves references to their values on this machine.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use serde_json::{Map, Value};

use super::document::Template;
use super::error::TemplateError;
use super::resource::Resource;
use super::value::{inside, text};
use crate::uuid::format_uuid;

/// The region that everything claims to be in.
pub const REGION: &str = "us-east-1";
/// The account that owns everything.
pub const ACCOUNT: &str = "000000000000";
const STACK: &str = "warden";

/// What the template is resolved against.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// Values of parameters; the others take their defaults.
    pub parameters: BTreeMap<String, String>,
    /// The URL of SQS: queues are known by their URLs.
    pub sqs: String,
}

pub(super) struct Resolver<'a> {
    pub(super) template: &'a Template,
    pub(super) sqs: &'a str,
    pub(super) parameters: BTreeMap<String, String>,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(template: &'a Template, inputs: &'a Inputs) -> Result<Self, TemplateError> {
        let mut parameters: BTreeMap<_, _> = [
            ("AWS::Region", REGION),
            ("AWS::AccountId", ACCOUNT),
            ("AWS::Partition", "aws"),
            ("AWS::StackName", STACK),
            ("AWS::URLSuffix", "amazonaws.com"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        for (name, default) in &template.parameters {
            let value = inputs.parameters.get(name).or(default.as_ref());
            let value = value.ok_or_else(|| {
                TemplateError::at(format!("Parameters.{name}"), "no value and no default")
            })?;
            parameters.insert(name.clone(), value.clone());
        }
        Ok(Self {
            template,
            sqs: &inputs.sqs,
            parameters,
        })
    }

    /// Returns `value` with every intrinsic replaced by its value.
    pub(super) fn resolve(&self, value: &Value, place: &str) -> Result<Value, TemplateError> {
        Ok(self
            .resolve_unless_absent(value, place)?
            .unwrap_or_default())
    }

    /// Resolves a value; `None` where a condition chose `AWS::NoValue`.
    fn resolve_unless_absent(
        &self,
        value: &Value,
        place: &str,
    ) -> Result<Option<Value>, TemplateError> {
        let value = match value {
            Value::Object(map) if map.len() == 1 && map.contains_key("Fn::If") => {
                return match self.choose(&map["Fn::If"], place)? {
                    Some(chosen) => self.resolve_unless_absent(chosen, place),
                    None => Ok(None),
                };
            }
            Value::Object(map) if map.len() == 1 => self.resolve_single(map, place)?,
            Value::Object(map) => self.resolve_entries(map, place)?,
            Value::Array(items) => {
                let items = items.iter().enumerate().map(|(index, item)| {
                    self.resolve_unless_absent(item, &format!("{place}[{index}]"))
                });
                Value::Array(
                    items
                        .filter_map(Result::transpose)
                        .collect::<Result<_, _>>()?,
                )
            }
            scalar => scalar.clone(),
        };
        Ok(Some(value))
    }

    fn resolve_entries(
        &self,
        map: &Map<String, Value>,
        place: &str,
    ) -> Result<Value, TemplateError> {
        let mut resolved = Map::new();
        for (key, value) in map {
            if let Some(value) = self.resolve_unless_absent(value, &inside(place, key))? {
                resolved.insert(key.clone(), value);
            }
        }
        Ok(Value::Object(resolved))
    }

    /// Resolves a map of one key, which may be an intrinsic.
    fn resolve_single(
        &self,
        map: &Map<String, Value>,
        place: &str,
    ) -> Result<Value, TemplateError> {
        let Some((key, argument)) = map.iter().next() else {
            return Ok(Value::Object(Map::new()));
        };
        match key.as_str() {
            "Ref" => self.reference(&text(argument), place).map(Value::String),
            "Fn::GetAtt" => {
                let (Some(id), Some(attribute)) = (argument[0].as_str(), argument[1].as_str())
                else {
                    return Err(TemplateError::at(place, "GetAtt needs Resource.Attribute"));
                };
                self.attribute(id, attribute, place).map(Value::String)
            }
            "Fn::Sub" => self.substitute(argument, place).map(Value::String),
            "Fn::Join" => self.join(argument, place).map(Value::String),
            other if other.starts_with("Fn::") || other == "Condition" => {
                let problem = format!("the intrinsic {other} is not supported");
                Err(TemplateError::at(place, problem))
            }
            _ => self.resolve_entries(map, place),
        }
    }

    fn reference(&self, name: &str, place: &str) -> Result<String, TemplateError> {
        if let Some(value) = self.parameters.get(name) {
            return Ok(value.clone());
        }
        let attribute = match self.resource(name, place)?.kind.as_str() {
            "AWS::SNS::Topic" => "TopicArn",
            "AWS::SQS::Queue" => "QueueUrl",
            "AWS::KMS::Key" => "KeyId",
            "AWS::SecretsManager::Secret" => "Id",
            _ => "Name",
        };
        self.attribute(name, attribute, place)
    }

    fn resource(&self, id: &str, place: &str) -> Result<&Resource, TemplateError> {
        let resource = self.template.resources.get(id).ok_or_else(|| {
            let problem = format!(
                "refers to {id}, which is neither a parameter nor a resource that runs here"
            );
            TemplateError::at(place, problem)
        })?;
        if !self.exists(resource, place)? {
            let problem = format!("refers to {id}, which its condition leaves out");
            return Err(TemplateError::at(place, problem));
        }
        Ok(resource)
    }

    /// Whether the resource's condition, if it has one, holds.
    pub(super) fn exists(&self, resource: &Resource, place: &str) -> Result<bool, TemplateError> {
        let condition = resource.condition.as_ref();
        condition.map_or(Ok(true), |name| self.holds(name, place))
    }

    /// Returns an attribute of a resource, for `GetAtt`, `Ref` and the model.
    pub(super) fn attribute(
        &self,
        id: &str,
        attribute: &str,
        place: &str,
    ) -> Result<String, TemplateError> {
        let resource = self.resource(id, place)?;
        let name = |property: &str| match resource.properties.get(property) {
            None => Ok(format!("{STACK}-{id}")),
            Some(value) => {
                let place = format!("Resources.{id}.Properties.{property}");
                self.resolve(value, &place).map(|value| text(&value))
            }
        };
        let arn =
            |service: &str, rest: String| format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{rest}");
        Ok(match (resource.kind.as_str(), attribute) {
            ("AWS::DynamoDB::Table", "Name") => name("TableName")?,
            ("AWS::DynamoDB::Table", "Arn") => {
                arn("dynamodb", format!("table/{}", name("TableName")?))
            }
            ("AWS::Serverless::Function", "Name") => name("FunctionName")?,
            ("AWS::Serverless::Function", "Arn") => {
                arn("lambda", format!("function:{}", name("FunctionName")?))
            }
            ("AWS::SNS::Topic", "TopicName") => name("TopicName")?,
            ("AWS::SNS::Topic", "TopicArn") => arn("sns", name("TopicName")?),
            ("AWS::SQS::Queue", "QueueName") => name("QueueName")?,
            ("AWS::SQS::Queue", "Arn") => arn("sqs", name("QueueName")?),
            ("AWS::SQS::Queue", "QueueUrl") => {
                format!("{}/{ACCOUNT}/{}", self.sqs, name("QueueName")?)
            }
            // S3 takes no capitals.
            ("AWS::S3::Bucket", "Name") => name("BucketName")?.to_lowercase(),
            ("AWS::S3::Bucket", "Arn") => {
                format!("arn:aws:s3:::{}", name("BucketName")?.to_lowercase())
            }
            ("AWS::KMS::Key", "KeyId") => derived_uuid(id),
            ("AWS::KMS::Key", "Arn") => arn("kms", format!("key/{}", derived_uuid(id))),
            ("AWS::SecretsManager::Secret", "Name") => name("Name")?,
            ("AWS::SecretsManager::Secret", "Id") => {
                arn("secretsmanager", format!("secret:{}", name("Name")?))
            }
            ("AWS::IAM::Role", "Arn") => format!("arn:aws:iam::{ACCOUNT}:role/{id}"),
            ("AWS::Logs::LogGroup", "Arn") => {
                arn("logs", format!("log-group:{}:*", name("LogGroupName")?))
            }
            ("AWS::Serverless::Api", "Name") => derived_uuid(id)[..8].to_owned(),
            (kind, _) => {
                let problem = format!("{attribute} of {id} ({kind}) is not supported");
                return Err(TemplateError::at(place, problem));
            }
        })
    }

    /// Replaces `${Name}`, `${Resource.Attribute}` and `${!Literal}`.
    fn substitute(&self, argument: &Value, place: &str) -> Result<String, TemplateError> {
        let Some(template) = argument.as_str() else {
            return Err(TemplateError::at(
                place,
                "Sub with its own variables is not supported",
            ));
        };
        let mut result = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, after)) = after.split_once('}') else {
                return Err(TemplateError::at(place, "Sub: a ${ without its }"));
            };
            result.push_str(before);
            if let Some(literal) = name.strip_prefix('!') {
                result.push_str(&format!("${{{literal}}}"));
            } else if let Some((id, attribute)) = name.split_once('.') {
                result.push_str(&self.attribute(id, attribute, place)?);
            } else {
                result.push_str(&self.reference(name, place)?);
            }
            rest = after;
        }
        Ok(result + rest)
    }

    fn join(&self, argument: &Value, place: &str) -> Result<String, TemplateError> {
        let (Some(separator), Some(parts)) = (argument[0].as_str(), argument[1].as_array()) else {
            return Err(TemplateError::at(
                place,
                "Join needs a separator and a list",
            ));
        };
        let parts: Vec<_> = parts
            .iter()
            .map(|part| self.resolve(part, place).map(|part| text(&part)))
            .collect::<Result<_, _>>()?;
        Ok(parts.join(separator))
    }
}

/// Derives an id in UUID's form that is the same on every start.
fn derived_uuid(logical_id: &str) -> String {
    let hash = digest::digest(&digest::SHA256, logical_id.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_ref()[..16]);
    format_uuid(bytes)
}
