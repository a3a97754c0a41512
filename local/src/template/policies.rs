//! Reads what the policies of the functions' roles allow.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::TemplateError;
use super::value::{inside, text, typed};

/// A call to AWS, as IAM sees it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AwsCall {
    /// Such as `dynamodb:GetItem`.
    pub action: String,
    /// The resource's ARN.
    pub resource: String,
    /// The partition key, if the call is about one item.
    pub leading_key: Option<String>,
    /// The service that makes the call for the caller, if there is one.
    pub via: Option<String>,
}

/// What one statement allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Actions, as they are written.
    pub actions: Vec<String>,
    /// Resources, as patterns.
    pub resources: Vec<String>,
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    LeadingKeys { like: Vec<String>, negated: bool },
    Via(Vec<String>),
}

impl Statement {
    /// Returns the statement, narrowed to one action on one resource.
    #[must_use]
    pub fn only(&self, action: &str, resource: &str) -> Self {
        Self {
            actions: vec![action.to_owned()],
            resources: vec![resource.to_owned()],
            conditions: self.conditions.clone(),
        }
    }

    #[must_use]
    pub fn allows(&self, call: &AwsCall) -> bool {
        let any = |patterns: &[String], text: &str| patterns.iter().any(|p| matches(p, text));
        any(&self.actions, &call.action)
            && any(&self.resources, &call.resource)
            && self.conditions.iter().all(|condition| match condition {
                // `ForAllValues` holds where there is no value.
                Condition::LeadingKeys { like, negated } => call
                    .leading_key
                    .as_ref()
                    .is_none_or(|key| any(like, key) != *negated),
                Condition::Via(services) => call.via.as_ref().is_some_and(|via| {
                    let begins = |service: &String| service.starts_with(&format!("{via}."));
                    services.iter().any(begins)
                }),
            })
    }
}

/// Matches IAM's patterns: `*` for any text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            let ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
            ends.into_iter().any(|at| matches(after, &rest[at..]))
        }),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Role {
    #[serde(default)]
    policies: Vec<Policy>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Policy {
    policy_document: Document,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    statement: Vec<Value>,
}

pub(super) fn parse_statements(role: &Value, place: &str) -> Result<Vec<Statement>, TemplateError> {
    let mut statements = Vec::new();
    let Role { policies } = typed(role.clone(), place)?;
    for (index, policy) in policies.into_iter().enumerate() {
        let place = format!("{place}.Policies[{index}].PolicyDocument");
        for (index, value) in policy.policy_document.statement.iter().enumerate() {
            statements.push(parse_statement(
                value,
                &format!("{place}.Statement[{index}]"),
            )?);
        }
    }
    Ok(statements)
}

fn parse_statement(statement: &Value, place: &str) -> Result<Statement, TemplateError> {
    if statement["Effect"] != "Allow" {
        return Err(TemplateError::at(
            inside(place, "Effect"),
            "only Allow is supported",
        ));
    }
    let mut conditions = Vec::new();
    for (operator, of) in statement["Condition"].as_object().into_iter().flatten() {
        for (key, values) in of.as_object().into_iter().flatten() {
            let values = texts(values);
            conditions.push(match (operator.as_str(), key.as_str()) {
                ("ForAllValues:StringLike", "dynamodb:LeadingKeys") => Condition::LeadingKeys {
                    like: values,
                    negated: false,
                },
                ("ForAllValues:StringNotLike", "dynamodb:LeadingKeys") => Condition::LeadingKeys {
                    like: values,
                    negated: true,
                },
                ("StringEquals", "kms:ViaService") => Condition::Via(values),
                _ => {
                    let place = format!("{place}.Condition.{operator}.{key}");
                    return Err(TemplateError::at(place, "this condition is not supported"));
                }
            });
        }
    }
    Ok(Statement {
        actions: texts(&statement["Action"]),
        resources: texts(&statement["Resource"]),
        conditions,
    })
}

/// Returns one text or several as a list.
fn texts(value: &Value) -> Vec<String> {
    let many = value.as_array().cloned();
    let many = many.unwrap_or_else(|| vec![value.clone()]);
    many.iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn call(action: &str, resource: &str) -> AwsCall {
        AwsCall {
            action: action.to_owned(),
            resource: resource.to_owned(),
            leading_key: None,
            via: None,
        }
    }

    #[test]
    fn a_statement_allows_what_it_names_and_nothing_else() {
        let statement = parse_statement(
            &json!({"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "arn:b/fallback/*"}),
            "here",
        )
        .unwrap();
        assert!(statement.allows(&call("s3:GetObject", "arn:b/fallback/a/b")));
        assert!(!statement.allows(&call("s3:PutObject", "arn:b/fallback/a/b")));
        assert!(!statement.allows(&call("s3:GetObject", "arn:b/other")));
    }

    #[test]
    fn conditions_narrow_it() {
        let statement = |condition: Value| {
            let statement = json!({"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "k",
                                   "Condition": condition});
            parse_statement(&statement, "here").unwrap()
        };
        let via = |via: &str| AwsCall {
            via: Some(via.to_owned()),
            ..call("kms:Decrypt", "k")
        };
        let sns =
            statement(json!({"StringEquals": {"kms:ViaService": "sns.us-east-1.amazonaws.com"}}));
        assert!(sns.allows(&via("sns")));
        assert!(!sns.allows(&via("s3")) && !sns.allows(&call("kms:Decrypt", "k")));
        let key = |key: &str| AwsCall {
            leading_key: Some(key.to_owned()),
            ..call("kms:Decrypt", "k")
        };
        let leading =
            |operator: &str| statement(json!({operator: {"dynamodb:LeadingKeys": ["platform#*"]}}));
        let (only, but) = (
            leading("ForAllValues:StringLike"),
            leading("ForAllValues:StringNotLike"),
        );
        assert!(only.allows(&key("platform#meta")) && !only.allows(&key("meta#acme#1")));
        assert!(!but.allows(&key("platform#meta")) && but.allows(&key("meta#acme#1")));
    }
}
