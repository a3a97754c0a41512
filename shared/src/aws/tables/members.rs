//! The organizations table: the members of organisations.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::organizations::{OrganizationsTable, Put};
use super::{TableError, parse, render};
use crate::aws::attributes::{Attributes, text};
use crate::aws::error::{AwsError, unless_refused};
use crate::domain::organization::{Member, Permission};
use crate::{OrgId, UserId};

/// Members in the order of their user ids.
#[derive(Debug)]
pub struct MemberPage {
    pub members: Vec<Member>,
    /// The member after whom the next page begins.
    pub next: Option<UserId>,
}

#[derive(Serialize, Deserialize)]
struct MemberRow {
    member_id: String,
    #[serde(flatten)]
    member: Member,
}

/// What an index entry says of its organisation.
#[derive(Deserialize)]
struct OrganizationOf {
    org_id: OrgId,
}

fn member_id(user: &UserId) -> String {
    format!("user#{user}")
}

fn key(org: &OrgId, user: &UserId) -> Attributes {
    Attributes::from([
        ("org_id".into(), text(org)),
        ("member_id".into(), text(member_id(user))),
    ])
}

impl OrganizationsTable {
    /// Reads a member's row. The owner need not have one.
    ///
    /// # Errors
    /// When DynamoDB does not answer, or the row is damaged.
    pub async fn member(&self, org: &OrgId, user: &UserId) -> Result<Option<Member>, TableError> {
        let item = self.get(org, &member_id(user)).await?;
        item.map(|item| parse::<MemberRow>(format!("member {org}/{user}"), item))
            .transpose()
            .map(|row| row.map(|row| row.member))
    }

    /// Reads at most `limit` members after `after`. The owner is not among them without a row.
    ///
    /// # Errors
    /// When DynamoDB does not answer, or a row is damaged.
    pub async fn members(
        &self,
        org: &OrgId,
        limit: usize,
        after: Option<&UserId>,
    ) -> Result<MemberPage, TableError> {
        let mut members: Vec<Member> = Vec::new();
        let mut start = after.map(|user| key(org, user));
        // One more than is asked for, to know whether there is another page.
        while members.len() <= limit {
            let wanted = limit + 1 - members.len();
            let answer = self
                .query_members(org)
                .set_exclusive_start_key(start)
                .limit(i32::try_from(wanted).unwrap_or(i32::MAX))
                .send()
                .await
                .map_err(|e| AwsError::new("dynamodb:Query", e))?;
            for item in answer.items.unwrap_or_default() {
                let MemberRow { member, .. } = parse(format!("a member of {org}"), item)?;
                members.push(member);
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        let more = members.len() > limit;
        members.truncate(limit);
        let next = members.last().filter(|_| more);
        let next = next.map(|member| member.user_id.clone());
        Ok(MemberPage { members, next })
    }

    /// Returns the members who manage integrations. The owner is not among them unless they
    /// have a row that says so.
    ///
    /// # Errors
    /// When DynamoDB does not answer, or a row is damaged.
    pub async fn managers(&self, org: &OrgId) -> Result<Vec<UserId>, TableError> {
        let mut pages = self.query_members(org).into_paginator().items().send();
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

    fn query_members(
        &self,
        org: &OrgId,
    ) -> aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.table)
            .key_condition_expression("org_id = :org AND begins_with(member_id, :user)")
            .expression_attribute_values(":org", text(org))
            .expression_attribute_values(":user", text("user#"))
    }

    /// Returns the organisations in which `user` has a row or which they own, as the index has
    /// them: it may be a moment behind.
    ///
    /// # Errors
    /// When DynamoDB does not answer, or a row is damaged.
    pub async fn organizations_of(&self, user: &UserId) -> Result<BTreeSet<OrgId>, TableError> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("by_user")
            .key_condition_expression("user_id = :user")
            .expression_attribute_values(":user", text(user))
            .into_paginator()
            .items()
            .send();
        let mut organizations = BTreeSet::new();
        while let Some(item) = pages.next().await {
            let item = item.map_err(|e| AwsError::new("dynamodb:Query", e))?;
            let of: OrganizationOf = parse(format!("an organisation of {user}"), item)?;
            organizations.insert(of.org_id);
        }
        Ok(organizations)
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

    /// Removes a member; returns `false` if there is none.
    ///
    /// # Errors
    /// When DynamoDB does not answer.
    pub async fn remove_member(&self, org: &OrgId, user: &UserId) -> Result<bool, TableError> {
        let removed = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key(org, user)))
            .condition_expression("attribute_exists(org_id)")
            .send()
            .await;
        Ok(unless_refused("dynamodb:DeleteItem", removed)?.is_some())
    }
}
