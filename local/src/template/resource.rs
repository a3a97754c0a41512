//! A resource of the template.

use serde_json::Value;

/// A resource that means something here, without the properties that do not.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub(crate) kind: String,
    /// Name of the condition without which it is not there.
    pub(crate) condition: Option<String>,
    pub(crate) properties: Value,
    pub(crate) metadata: Value,
}
