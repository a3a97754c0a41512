//! Configuration as it reaches a function: environment variables, read once
//! when it starts. A value, so that one process can hold several functions,
//! each with its own.

use std::collections::BTreeMap;
use std::str::FromStr;

/// A set of environment variables.
#[derive(Debug, Clone, Default)]
pub struct Variables(BTreeMap<String, String>);

/// A variable that is missing or holds nonsense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidVariable {
    /// Not set, or empty.
    #[error("environment variable {0} is not set")]
    Missing(String),
    /// Set to something unusable.
    #[error("environment variable {name}: {problem}")]
    Invalid {
        /// Which variable.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl Variables {
    /// The process's own environment.
    #[must_use]
    pub fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of `name`; an empty one counts as absent, because a
    /// CloudFormation parameter cannot be left unset.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// The value of `name`.
    ///
    /// # Errors
    /// [`InvalidVariable::Missing`].
    pub fn required(&self, name: &str) -> Result<&str, InvalidVariable> {
        self.get(name)
            .ok_or_else(|| InvalidVariable::Missing(name.to_owned()))
    }

    /// The value of `name` parsed, or `default` where it is absent.
    ///
    /// # Errors
    /// [`InvalidVariable::Invalid`].
    pub fn parsed<T: FromStr<Err: std::fmt::Display>>(
        &self,
        name: &str,
        default: T,
    ) -> Result<T, InvalidVariable> {
        self.get(name).map_or(Ok(default), |value| {
            value.parse().map_err(|e: T::Err| self.invalid(name, e))
        })
    }

    /// An error about the value of `name`.
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
