//! What the template holds that cannot be run here.

/// Something in the template that cannot be run here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template: {place}: {problem}")]
pub struct TemplateError {
    /// A path such as `Resources.AlertsTopic.Properties.Foo`.
    pub place: String,
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
