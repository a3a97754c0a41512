//! Environment variables, which a function reads once when it starts. They are a value, so that
//! one process can hold several functions, each with its own.

use std::collections::BTreeMap;
use std::str::FromStr;

#[derive(Debug, Clone, Default)]
pub struct Variables(BTreeMap<String, String>);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidVariable {
    /// Not set, or empty.
    #[error("environment variable {0} is not set")]
    Missing(String),
    #[error("environment variable {name}: {problem}")]
    Invalid { name: String, problem: String },
}

impl Variables {
    /// Returns the process's own environment.
    #[must_use]
    pub fn from_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// Iterates over all variables, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the value of `name`. An empty one counts as absent, because a CloudFormation
    /// parameter cannot be left unset.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Returns the value of `name`.
    ///
    /// # Errors
    /// [`InvalidVariable::Missing`] if it is not set, or empty.
    pub fn required(&self, name: &str) -> Result<&str, InvalidVariable> {
        self.get(name)
            .ok_or_else(|| InvalidVariable::Missing(name.to_owned()))
    }

    /// Parses the value of `name`; returns `default` where it is absent.
    ///
    /// # Errors
    /// [`InvalidVariable::Invalid`] if the value does not parse.
    pub fn parsed<T: FromStr<Err: std::fmt::Display>>(
        &self,
        name: &str,
        default: T,
    ) -> Result<T, InvalidVariable> {
        self.get(name).map_or(Ok(default), |value| {
            value.parse().map_err(|e: T::Err| self.invalid(name, e))
        })
    }

    pub fn invalid(&self, name: &str, problem: impl std::fmt::Display) -> InvalidVariable {
        InvalidVariable::Invalid {
            name: name.to_owned(),
            problem: problem.to_string(),
        }
    }
}

impl FromIterator<(String, String)> for Variables {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}
