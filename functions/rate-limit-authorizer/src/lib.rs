//! The authorizer in front of the dashboard API: who calls, and what they are
//! to the organisation in the path.

mod claims;
mod discovery;
mod error;
mod identity;
mod issuer;
mod keys;

use std::collections::BTreeMap;

use aws_lambda_events::apigw::{
    ApiGatewayCustomAuthorizerPolicy, ApiGatewayCustomAuthorizerRequestTypeRequest,
    ApiGatewayCustomAuthorizerResponse,
};
use aws_lambda_events::iam::{IamPolicyEffect, IamPolicyStatement};
use lambda_runtime::LambdaEvent;
use shared::organization::Membership;
use shared::place::Place;
use shared::store::Organizations;
use shared::variables::InvalidVariable;
use shared::{Clock, UserId, Variables};

pub use error::{Error, Refusal};
use identity::Identity;

/// What API Gateway asks: the event of a REQUEST authorizer.
pub type Request = ApiGatewayCustomAuthorizerRequestTypeRequest;

/// What it is told: a policy, and the context for the function behind.
pub type Response = ApiGatewayCustomAuthorizerResponse<BTreeMap<String, String>>;

/// The function, wired.
#[derive(Debug)]
pub struct Authorizer {
    identity: Identity,
    organizations: Organizations,
}

impl Authorizer {
    /// Wires the function: `ORGANIZATIONS_TABLE`; `AUTH_ISSUER` and
    /// `AUTH_AUDIENCE`; optionally `AUTH_JWKS` (a key set that is used in place
    /// of the issuer's own) and `AUTH_USER_CLAIM` (default `sub`).
    ///
    /// # Errors
    /// Names the variable that is missing or unusable.
    pub fn wire(
        sdk: &aws_config::SdkConfig,
        variables: &Variables,
        clock: Clock,
    ) -> Result<Self, InvalidVariable> {
        Ok(Self {
            identity: Identity::wire(variables, clock)?,
            organizations: Organizations::new(
                aws_sdk_dynamodb::Client::new(sdk),
                variables.required("ORGANIZATIONS_TABLE")?,
            ),
        })
    }

    /// Judges one request. Everyone with an identity is let through; what they
    /// are to the organisation stands in the context, and the API behind
    /// answers 403 or 404.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] is the gateway's 401; any other is its 503.
    pub async fn handle(&self, event: LambdaEvent<Request>) -> Result<Response, Error> {
        let request = event.payload;
        let decided = self.decide(&request).await;
        if let Err(error) = &decided {
            error.log(request.request_context.request_id.as_deref());
        }
        decided
    }

    async fn decide(&self, request: &Request) -> Result<Response, Error> {
        let method_arn = request.method_arn.as_deref();
        let method_arn = method_arn.ok_or(Error::Event("no methodArn"))?;
        let user = self.identity.of(request).await?;
        let template = request.resource.as_deref().unwrap_or_default();
        let path = request.path.as_deref().unwrap_or_default();
        let Some(place) = Place::of(template, path) else {
            return Ok(allow(method_arn, &user, None));
        };
        let membership = self.organizations.membership(&place.org, &user).await?;
        Ok(allow(
            method_arn,
            &user,
            Some((&place, membership.as_ref())),
        ))
    }
}

/// Lets `user` through, with what is known of them. A place that
/// the path does not spell canonically is not in the context: the API answers 404.
fn allow(
    method_arn: &str,
    user: &UserId,
    place: Option<(&Place, Option<&Membership>)>,
) -> Response {
    let mut context = BTreeMap::new();
    let mut tell = |name: &str, value: &str| context.insert(name.to_owned(), value.to_owned());
    tell("user_id", user.as_str());
    let mut is_member = "false";
    if let Some((place, membership)) = place {
        for (name, value) in place.fields() {
            tell(name, value);
        }
        if let Some(membership) = membership {
            is_member = "true";
            tell("permissions", &membership.permissions());
        }
    }
    tell("member", is_member);

    let mut statement = IamPolicyStatement::default();
    statement.effect = IamPolicyEffect::Allow;
    statement.action = vec!["execute-api:Invoke".to_owned()];
    statement.resource = vec![every_method(method_arn)];
    let mut policy = ApiGatewayCustomAuthorizerPolicy::default();
    policy.version = Some("2012-10-17".to_owned());
    policy.statement = vec![statement];
    let mut response = Response::default();
    response.principal_id = Some(user.to_string());
    response.policy_document = policy;
    response.context = context;
    response
}

/// Every method of the stage that `method_arn` belongs to. Not the ARN itself:
/// its path is the caller's, who could write a policy's wildcards into it or
/// exceed what a policy may hold (512 characters). Nothing is cached, so this
/// allows no more than the one request.
fn every_method(method_arn: &str) -> String {
    let mut parts = method_arn.splitn(3, '/');
    let (api, stage) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    format!("{api}/{stage}/*")
}

#[cfg(test)]
mod tests;
