//! Organisations and who belongs to them.

use serde::{Deserialize, Serialize};

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
    /// Take permits and access tokens, and call platforms through us: what an application does.
    UseIntegrations,
    /// Another permission of the system that the members came from.
    Other(String),
}

const MANAGE: &str = "manage_integrations";
const USE: &str = "use_integrations";

impl From<String> for Permission {
    fn from(name: String) -> Self {
        match name.as_str() {
            MANAGE => Self::ManageIntegrations,
            USE => Self::UseIntegrations,
            _ => Self::Other(name),
        }
    }
}

impl From<Permission> for String {
    fn from(permission: Permission) -> Self {
        match permission {
            Permission::ManageIntegrations => MANAGE.to_owned(),
            Permission::UseIntegrations => USE.to_owned(),
            Permission::Other(name) => name,
        }
    }
}

/// What a caller is to an organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Membership {
    Owner,
    Member(Vec<Permission>),
}

impl Membership {
    /// Whether the caller may use integrations, which costs permits.
    #[must_use]
    pub fn may_use(&self) -> bool {
        match self {
            Self::Owner => true,
            Self::Member(permissions) => permissions.contains(&Permission::UseIntegrations),
        }
    }

    /// Returns the permissions comma-separated, as the authorizer hands them on.
    #[must_use]
    pub fn permissions(&self) -> String {
        match self {
            Self::Owner => format!("{MANAGE},{USE}"),
            Self::Member(permissions) => {
                let names = permissions.iter().cloned().map(String::from);
                // A name with a comma in it would read as two permissions.
                let names: Vec<String> = names.filter(|name| !name.contains(',')).collect();
                names.join(",")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permission_cannot_smuggle_another() {
        let names =
            ["billing", "billing,manage_integrations"].map(|n| Permission::from(n.to_owned()));
        assert_eq!(Membership::Member(names.to_vec()).permissions(), "billing");
        let all = "manage_integrations,use_integrations";
        assert_eq!(Membership::Owner.permissions(), all);
    }
}
