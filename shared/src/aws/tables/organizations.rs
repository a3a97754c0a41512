//! The organizations table: organisations and their members.

use aws_sdk_dynamodb::types::ReturnValue;
use serde::{Deserialize, Serialize};

use super::{TableError, parse, render};
use crate::aws::attributes::{Attributes, text};
use crate::aws::error::{AwsError, unless_refused};
use crate::domain::organization::{Membership, Organization};
use crate::{OrgId, UserId};

#[derive(Debug, Clone)]
pub struct OrganizationsTable {
    pub(super) client: aws_sdk_dynamodb::Client,
    pub(super) table: String,
}

/// What a write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The row is new.
    Created,
    /// The row had another content.
    Changed,
    /// The row was there already with the same content.
    Unchanged,
}

#[derive(Serialize, Deserialize)]
struct OrganizationRow {
    member_id: String,
    /// The owner, by whom the index `by_user` has the row.
    #[serde(default)]
    user_id: Option<UserId>,
    #[serde(flatten)]
    organization: Organization,
}

const ORGANIZATION: &str = "org";

impl OrganizationsTable {
    #[must_use]
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
        }
    }

    pub(super) async fn get(
        &self,
        org: &OrgId,
        member_id: &str,
    ) -> Result<Option<Attributes>, AwsError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("org_id", text(org))
            .key("member_id", text(member_id))
            .consistent_read(true)
            .send()
            .await
            .map_err(|e| AwsError::new("dynamodb:GetItem", e))?;
        Ok(answer.item)
    }

    /// Reads an organisation.
    ///
    /// # Errors
    /// When DynamoDB does not answer, or the row is damaged.
    pub async fn organization(&self, org: &OrgId) -> Result<Option<Organization>, TableError> {
        let item = self.get(org, ORGANIZATION).await?;
        item.map(|item| parse::<OrganizationRow>(format!("organisation {org}"), item))
            .transpose()
            .map(|row| row.map(|row| row.organization))
    }

    /// Returns what `user` is to `org`; `None` for a stranger, or an unknown organisation.
    ///
    /// # Errors
    /// When DynamoDB does not answer, or a row is damaged.
    pub async fn membership(
        &self,
        org: &OrgId,
        user: &UserId,
    ) -> Result<Option<Membership>, TableError> {
        let found = self.organization_of(org, user).await?;
        Ok(found.map(|(_, membership)| membership))
    }

    /// Returns an organisation and what `user` is to it; `None` as of [`Self::membership`].
    ///
    /// # Errors
    /// When DynamoDB does not answer, or a row is damaged.
    pub async fn organization_of(
        &self,
        org: &OrgId,
        user: &UserId,
    ) -> Result<Option<(Organization, Membership)>, TableError> {
        let (organization, member) =
            futures::try_join!(self.organization(org), self.member(org, user))?;
        let Some(organization) = organization else {
            return Ok(None);
        };
        let membership = match member {
            _ if organization.owner_id == *user => Membership::Owner,
            Some(member) => Membership::Member(member.permissions),
            None => return Ok(None),
        };
        Ok(Some((organization, membership)))
    }

    /// Stores an organisation.
    ///
    /// # Errors
    /// When DynamoDB does not answer.
    pub async fn put_organization(&self, organization: &Organization) -> Result<Put, TableError> {
        let row = OrganizationRow {
            member_id: ORGANIZATION.to_owned(),
            user_id: Some(organization.owner_id.clone()),
            organization: organization.clone(),
        };
        let compared = ["name", "owner_id", "user_id"];
        self.put(render("organisation", row)?, &compared).await
    }

    /// Writes `item` unless the row has the same `compared` attributes already, and returns
    /// what it did.
    pub(super) async fn put(&self, item: Attributes, compared: &[&str]) -> Result<Put, TableError> {
        let same: Vec<_> = compared
            .iter()
            .map(|name| format!("#{name} = :{name}"))
            .collect();
        let names = compared
            .iter()
            .map(|name| (format!("#{name}"), (*name).to_owned()))
            .collect();
        let values = compared
            .iter()
            .filter_map(|name| Some((format!(":{name}"), item.get(*name)?.clone())))
            .collect();
        let write = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression(format!("NOT ({})", same.join(" AND ")))
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values))
            .return_values(ReturnValue::AllOld);
        let written = unless_refused("dynamodb:PutItem", write.send().await)?;
        Ok(match written.map(|output| output.attributes) {
            Some(Some(_)) => Put::Changed,
            Some(None) => Put::Created,
            None => Put::Unchanged,
        })
    }
}
