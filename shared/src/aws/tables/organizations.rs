//! The organizations table: organisations and their members.

use aws_sdk_dynamodb::types::ReturnValue;
use serde::{Deserialize, Serialize};

use super::{TableError, parse, render};
use crate::aws::attributes::{Attributes, text};
use crate::aws::error::{AwsError, unless_refused};
use crate::domain::organization::{Member, Membership, Organization, Permission};
use crate::{OrgId, UserId};

#[derive(Debug, Clone)]
pub struct OrganizationsTable {
    client: aws_sdk_dynamodb::Client,
    table: String,
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
    #[serde(flatten)]
    organization: Organization,
}

#[derive(Serialize, Deserialize)]
struct MemberRow {
    member_id: String,
    #[serde(flatten)]
    member: Member,
}

const ORGANIZATION: &str = "org";

fn member_id(user: &UserId) -> String {
    format!("user#{user}")
}

impl OrganizationsTable {
    #[must_use]
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
        }
    }

    async fn get(&self, org: &OrgId, member_id: &str) -> Result<Option<Attributes>, AwsError> {
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
        let member_id = member_id(user);
        let (organization, member) = futures::try_join!(self.organization(org), async {
            Ok(self.get(org, &member_id).await?)
        })?;
        let Some(organization) = organization else {
            return Ok(None);
        };
        if organization.owner_id == *user {
            return Ok(Some(Membership::Owner));
        }
        member
            .map(|item| parse::<MemberRow>(format!("member {org}/{user}"), item))
            .transpose()
            .map(|row| row.map(|row| Membership::Member(row.member.permissions)))
    }

    /// Returns the members who manage integrations. The owner is not among them unless they
    /// have a row that says so.
    ///
    /// # Errors
    /// When DynamoDB does not answer, or a row is damaged.
    pub async fn managers(&self, org: &OrgId) -> Result<Vec<UserId>, TableError> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("org_id = :org AND begins_with(member_id, :user)")
            .expression_attribute_values(":org", text(org))
            .expression_attribute_values(":user", text("user#"))
            .into_paginator()
            .items()
            .send();
        let mut managers = Vec::new();
        while let Some(item) = pages.next().await {
            let item = item.map_err(|e| AwsError::new("dynamodb:Query", e))?;
            let MemberRow { member, .. } = parse(format!("a member of {org}"), item)?;
            if member.permissions.contains(&Permission::ManageIntegrations) {
                managers.push(member.user_id);
            }
        }
        Ok(managers)
    }

    /// Stores an organisation.
    ///
    /// # Errors
    /// When DynamoDB does not answer.
    pub async fn put_organization(&self, organization: &Organization) -> Result<Put, TableError> {
        let row = OrganizationRow {
            member_id: ORGANIZATION.to_owned(),
            organization: organization.clone(),
        };
        self.put(render("organisation", row)?, &["name", "owner_id"])
            .await
    }

    /// Stores a member.
    ///
    /// # Errors
    /// When DynamoDB does not answer.
    pub async fn put_member(&self, member: &Member) -> Result<Put, TableError> {
        let row = MemberRow {
            member_id: member_id(&member.user_id),
            member: member.clone(),
        };
        self.put(render("member", row)?, &["permissions"]).await
    }

    /// Writes `item` unless the row has the same `compared` attributes already, and returns
    /// what it did.
    async fn put(&self, item: Attributes, compared: &[&str]) -> Result<Put, TableError> {
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
