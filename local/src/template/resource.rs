use serde_json::Value;

/// A resource that means something here, without the properties that do not.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub(crate) kind: String,
    /// The resource exists only if the condition of this name holds.
    pub(crate) condition: Option<String>,
    pub(crate) properties: Value,
    pub(crate) metadata: Value,
}
