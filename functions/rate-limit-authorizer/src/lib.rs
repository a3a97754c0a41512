//! The authorizer in front of the API: who calls, what they are to the
//! organisation in the path, and whether the platform's quota admits the call.

mod claims;
mod error;
mod identity;
mod issuer_keys;
mod keys;
mod members;
mod meter;

use std::collections::BTreeMap;

use aws_lambda_events::apigw::{
    ApiGatewayCustomAuthorizerPolicy, ApiGatewayCustomAuthorizerRequestTypeRequest,
    ApiGatewayCustomAuthorizerResponse,
};
use aws_lambda_events::iam::{IamPolicyEffect, IamPolicyStatement};
use chrono::{DateTime, Utc};
use lambda_runtime::LambdaEvent;
use shared::aws::tables::OrganizationsTable;
use shared::domain::organization::Membership;
use shared::domain::quota::{Decision, Metering};
use shared::domain::route::{RouteParameters, is_metered};
use shared::runtime::metrics::{Metric, Metrics};
use shared::runtime::variables::InvalidVariable;
use shared::{Clock, UserId, Variables};

use claims::Audiences;
pub use error::{Error, Refusal};
use identity::Identity;
use members::Members;
use meter::Meter;

/// The event of a REQUEST authorizer.
pub type Request = ApiGatewayCustomAuthorizerRequestTypeRequest;

/// A policy, and the context that the API reads.
pub type Response = ApiGatewayCustomAuthorizerResponse<BTreeMap<String, String>>;

#[derive(Debug)]
pub struct Authorizer {
    identity: Identity,
    members: Members,
    meter: Meter,
    metrics: Metrics,
    clock: Clock,
}

impl Authorizer {
    /// Reads `ORGANIZATIONS_TABLE`, `QUOTAS_TABLE` and `AUTH_ISSUER`. These are optional:
    /// `AUTH_JWKS` (a key set in place of the issuer's own), `AUTH_USER_CLAIM` (default `sub`),
    /// `QUOTA_POLICIES` (JSON in place of default policies) and `QUOTA_ON_FAILURE` (`refuse`, the
    /// default, or `allow`: the treatment of metered calls when the quota store does not answer).
    /// Whom tokens must be for, each request says by its stage's variable `auth_audience`.
    ///
    /// # Errors
    /// [`InvalidVariable`] names the variable that is missing or unusable.
    pub fn from_environment(
        sdk: &aws_config::SdkConfig,
        variables: &Variables,
        clock: Clock,
    ) -> Result<Self, InvalidVariable> {
        let dynamodb = aws_sdk_dynamodb::Client::new(sdk);
        let table = variables.required("ORGANIZATIONS_TABLE")?;
        let organizations = OrganizationsTable::new(dynamodb.clone(), table);
        Ok(Self {
            identity: Identity::from_variables(variables, clock.clone())?,
            members: Members::new(organizations, clock.clone()),
            meter: Meter::from_variables(dynamodb, variables, clock.clone())?,
            metrics: Metrics::default(),
            clock,
        })
    }

    /// Writes metrics to `metrics`; otherwise they go nowhere.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.meter = self.meter.with_metrics(metrics.clone());
        self.metrics = metrics;
        self
    }

    /// Judges one request. Lets everyone with an identity through, unless the quota of a metered
    /// route is used up: a denial never means anything else. From the context, the function answers
    /// 403 or 404, or 503 if there was no decision. The proxy's also answers 429: the gateway's
    /// own is none that the platforms' client libraries understand.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] is the gateway's 401; any other is its 503.
    pub async fn handle(&self, event: LambdaEvent<Request>) -> Result<Response, Error> {
        let request = event.payload;
        let began = self.clock.precise();
        // Boxed: what it awaits is nested deeper than the compiler computes at one go.
        let decided = Box::pin(self.decide(&request)).await;
        if let Err(error) = &decided {
            error.log(request.request_context.request_id.as_deref());
            // Lambda counts a refused caller among the function's errors, and when
            // it began: with this the others can be told apart.
            let refused = matches!(error, Error::Unauthorized(_));
            let counts = [("CallersRefused", Metric::Count(refused.into()))];
            self.metrics.write(began, None, &counts);
        }
        decided
    }

    async fn decide(&self, request: &Request) -> Result<Response, Error> {
        let method_arn = request.method_arn.as_deref();
        let method_arn = method_arn.ok_or(Error::Event("no methodArn"))?;
        let audiences = Audiences::of_stage(&request.stage_variables).ok_or(Error::Audience)?;
        let user = self
            .identity
            .user(&request.headers, &request.multi_value_headers, audiences)
            .await?;
        let template = request.resource.as_deref().unwrap_or_default();
        let path = request.path.as_deref().unwrap_or_default();
        // What the path does not spell canonically is not in the context, and
        // counts nothing: the API answers 404.
        let Some(route) = RouteParameters::parse(template, path) else {
            return Ok(respond(method_arn, &user, None, None, self.clock.now()));
        };
        let membership = self.members.membership(&route.org, &user).await?;
        // Who may not use an integration spends nothing of its quota.
        let may_spend = membership.as_ref().is_some_and(Membership::may_use);
        let metering = match may_spend && is_metered(template) {
            true => {
                let request_id = request.request_context.request_id.as_deref();
                self.meter.take_permit(&route, request_id).await
            }
            false => None,
        };
        let route = Some((&route, membership.as_ref()));
        Ok(respond(
            method_arn,
            &user,
            route,
            metering,
            self.clock.now(),
        ))
    }
}

/// Says in the context what is known of `user`, and in the policy whether the call may pass.
fn respond(
    method_arn: &str,
    user: &UserId,
    route: Option<(&RouteParameters, Option<&Membership>)>,
    metering: Option<Metering>,
    now: DateTime<Utc>,
) -> Response {
    let mut context = BTreeMap::new();
    let mut put = |name: &str, value: &str| context.insert(name.to_owned(), value.to_owned());
    put("user_id", user.as_str());
    let mut is_member = "false";
    if let Some((route, membership)) = route {
        for (name, value) in route.fields() {
            put(name, value);
        }
        if let Some(membership) = membership {
            is_member = "true";
            put("permissions", &membership.permission_names());
        }
    }
    put("member", is_member);
    let is_proxied = route.is_some_and(|(route, _)| route.rest.is_some());
    let effect = match metering {
        Some(Metering::Decided(Decision::Denied(_))) if !is_proxied => IamPolicyEffect::Deny,
        _ => IamPolicyEffect::Allow,
    };
    // Only a route with a platform is metered.
    let platform = route.and_then(|(route, _)| route.platform);
    if let Some((metering, platform)) = metering.zip(platform) {
        for (name, value) in metering.fields(platform, now) {
            put(name, &value);
        }
    }

    let mut statement = IamPolicyStatement::default();
    statement.effect = effect;
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

/// Names every method of the stage that `method_arn` belongs to. The ARN itself has the caller's
/// path, which could hold a policy's wildcards or exceed what a policy may hold (512 characters).
/// Nothing is cached, so this allows or denies no more than the one request.
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

/// Parses `bytes` as a key set, as an `Authorization` header and as claims, for `fuzz/`. Asserts
/// that the header has no token that one of `keys` has signed.
#[cfg(fuzzing)]
pub fn fuzz_identity(
    variables: &Variables,
    keys: &[u8],
    bytes: &[u8],
    now: chrono::DateTime<chrono::Utc>,
) {
    let _ = keys::KeySet::parse(bytes);
    assert!(!identity::is_signed(bytes, keys));
    if let (Ok(expected), Some(audiences), Ok(claims)) = (
        claims::Expected::from_variables(variables),
        Audiences::parse("warden"),
        serde_json::from_slice::<claims::Claims>(bytes),
    ) {
        let _ = expected.user(&claims, audiences, now);
    }
}
