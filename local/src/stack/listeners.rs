//! A loopback port for everything that is served.

use std::collections::BTreeMap;

use tokio::net::TcpListener;

use crate::addresses::{Addresses, default_access_key};
use crate::stack::servers::bind;

/// A listener for every server. All are bound before any serves, so that each
/// knows the addresses of the others.
pub(crate) struct Listeners {
    pub(crate) gateway: TcpListener,
    pub(crate) dynamodb: TcpListener,
    pub(crate) sns: TcpListener,
    pub(crate) sqs: TcpListener,
    pub(crate) kms: TcpListener,
    pub(crate) s3: TcpListener,
    pub(crate) lambda: TcpListener,
    pub(crate) secretsmanager: TcpListener,
    pub(crate) issuer: TcpListener,
    pub(crate) platforms: TcpListener,
}

impl Listeners {
    pub(crate) async fn bind(port: u16, dynamodb_port: u16) -> anyhow::Result<(Self, Addresses)> {
        let free = || bind(0, "no option");
        let (gateway, gateway_url) = bind(port, "--port").await?;
        let (dynamodb, dynamodb_url) = bind(dynamodb_port, "--dynamodb-port").await?;
        let (sns, sns_url) = free().await?;
        let (sqs, sqs_url) = free().await?;
        let (kms, kms_url) = free().await?;
        let (s3, s3_url) = free().await?;
        let (lambda, lambda_url) = free().await?;
        let (secretsmanager, secretsmanager_url) = free().await?;
        let (issuer, issuer_url) = free().await?;
        let (platforms, platforms_url) = free().await?;
        let addresses = Addresses {
            gateway: gateway_url,
            dynamodb: dynamodb_url,
            sns: sns_url,
            sqs: sqs_url,
            kms: kms_url,
            s3: s3_url,
            lambda: lambda_url,
            secretsmanager: secretsmanager_url,
            issuer: issuer_url,
            platforms: platforms_url,
            access_key: default_access_key(),
            parameters: BTreeMap::new(),
        };
        let listeners = Self {
            gateway,
            dynamodb,
            sns,
            sqs,
            kms,
            s3,
            lambda,
            secretsmanager,
            issuer,
            platforms,
        };
        Ok((listeners, addresses))
    }
}
