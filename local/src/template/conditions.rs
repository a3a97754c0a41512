//! Evaluates the template's conditions.

use serde_json::Value;

use super::error::TemplateError;
use super::resolve::Resolver;
use super::value::{inside, text};

impl Resolver<'_> {
    pub(super) fn holds(&self, name: &str, place: &str) -> Result<bool, TemplateError> {
        self.holds_within(name, place, self.template.conditions.len())
    }

    /// Whether a condition holds. At most `depth` conditions may refer to each other in a row.
    fn holds_within(&self, name: &str, place: &str, depth: usize) -> Result<bool, TemplateError> {
        let condition = self.template.conditions.get(name).ok_or_else(|| {
            TemplateError::at(place, format!("refers to {name}, which is no condition"))
        })?;
        let depth = depth.checked_sub(1).ok_or_else(|| {
            TemplateError::at(place, "conditions refer to each other in a circle")
        })?;
        self.evaluate(condition, &inside("Conditions", name), depth)
    }

    /// Returns the value that an `Fn::If` chooses, or `None` for `AWS::NoValue`.
    pub(super) fn choose<'v>(
        &self,
        argument: &'v Value,
        place: &str,
    ) -> Result<Option<&'v Value>, TemplateError> {
        let Some([name, then, otherwise]) = argument.as_array().map(Vec::as_slice) else {
            let problem = "If needs a condition and two values";
            return Err(TemplateError::at(place, problem));
        };
        let chosen = if self.holds(&text(name), place)? {
            then
        } else {
            otherwise
        };
        Ok(Some(chosen).filter(|chosen| chosen["Ref"] != "AWS::NoValue"))
    }

    fn evaluate(
        &self,
        condition: &Value,
        place: &str,
        depth: usize,
    ) -> Result<bool, TemplateError> {
        let unsupported = || {
            let problem = "only Fn::Equals, Fn::Not and Condition are supported in conditions";
            TemplateError::at(place, problem)
        };
        let mut entries = condition.as_object().into_iter().flatten();
        let (Some((function, argument)), None) = (entries.next(), entries.next()) else {
            return Err(unsupported());
        };
        match (function.as_str(), argument.as_array().map(Vec::as_slice)) {
            ("Fn::Equals", Some([left, right])) => {
                Ok(self.operand(left, place)? == self.operand(right, place)?)
            }
            ("Fn::Not", Some([inner])) => self.evaluate(inner, place, depth).map(|holds| !holds),
            ("Condition", None) => self.holds_within(&text(argument), place, depth),
            _ => Err(unsupported()),
        }
    }

    /// Returns what a condition may compare: a parameter or a literal.
    fn operand(&self, value: &Value, place: &str) -> Result<String, TemplateError> {
        match value.as_object() {
            None => Ok(text(value)),
            Some(reference) => {
                let name = reference.get("Ref").map(text).unwrap_or_default();
                let parameter = self.parameters.get(&name).cloned();
                parameter.ok_or_else(|| {
                    TemplateError::at(place, "conditions compare parameters and literals")
                })
            }
        }
    }
}
