//! Organisations and who belongs to them.

use serde::{Deserialize, Serialize};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::{OrgId, UserId};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organization {
    pub org_id: OrgId,
    pub name: String,
    /// The owner is a member with every permission, with or without a row.
    pub owner_id: UserId,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub org_id: OrgId,
    pub user_id: UserId,
    pub permissions: Vec<Permission>,
}

/// Lets a member do something beyond looking. We keep the other permissions of the original
/// system, and give them no meaning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Permission {
    /// Register, reconnect, check and disconnect integrations, and get their alerts.
    ManageIntegrations,
    /// Add, change and remove members, and so give anybody any permission.
    ManageMembers,
    /// Take permits and access tokens, and call platforms through us: what an application does.
    UseIntegrations,
    /// Another permission of the system that the members came from.
    Other(String),
}

impl PartialSchema for Permission {
    fn schema() -> RefOr<Schema> {
        let known = Self::KNOWN.each_ref().map(Self::name);
        let text = ObjectBuilder::new().schema_type(Type::String);
        text.examples(known).into()
    }
}

impl ToSchema for Permission {}

impl Permission {
    /// Those that mean something here.
    pub const KNOWN: [Self; 3] = [
        Self::ManageIntegrations,
        Self::ManageMembers,
        Self::UseIntegrations,
    ];

    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::ManageIntegrations => MANAGE,
            Self::ManageMembers => MANAGE_MEMBERS,
            Self::UseIntegrations => USE,
            Self::Other(name) => name,
        }
    }
}

const MANAGE: &str = "manage_integrations";
const MANAGE_MEMBERS: &str = "manage_members";
const USE: &str = "use_integrations";

impl From<String> for Permission {
    fn from(name: String) -> Self {
        match name.as_str() {
            MANAGE => Self::ManageIntegrations,
            MANAGE_MEMBERS => Self::ManageMembers,
            USE => Self::UseIntegrations,
            _ => Self::Other(name),
        }
    }
}

impl From<Permission> for String {
    fn from(permission: Permission) -> Self {
        permission.name().to_owned()
    }
}

/// What a caller is to an organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Membership {
    Owner,
    Member(Vec<Permission>),
}

impl Membership {
    /// Whether the member may use integrations, which costs permits.
    #[must_use]
    pub fn may_use(&self) -> bool {
        match self {
            Self::Owner => true,
            Self::Member(permissions) => permissions.contains(&Permission::UseIntegrations),
        }
    }

    /// Whether the member may register, reconnect, check and disconnect integrations.
    #[must_use]
    pub fn may_manage(&self) -> bool {
        self.permissions().contains(&Permission::ManageIntegrations)
    }

    /// The owner has all that are known.
    #[must_use]
    pub fn permissions(&self) -> &[Permission] {
        match self {
            Self::Owner => &Permission::KNOWN,
            Self::Member(permissions) => permissions,
        }
    }

    /// Returns the permissions comma-separated, as the authorizer hands them on.
    #[must_use]
    pub fn permission_names(&self) -> String {
        let names = self.permissions().iter().map(Permission::name);
        // A name with a comma in it would read as two permissions.
        let names: Vec<_> = names.filter(|name| !name.contains(',')).collect();
        names.join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permission_cannot_smuggle_another() {
        let names =
            ["billing", "billing,manage_integrations"].map(|n| Permission::from(n.to_owned()));
        let member = Membership::Member(names.to_vec());
        assert_eq!(member.permission_names(), "billing");
        let all = "manage_integrations,manage_members,use_integrations";
        assert_eq!(Membership::Owner.permission_names(), all);
    }
}
