//! A stack with a proxy in front of everything, and processes of the function
//! that know nothing but the proxy.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use check_tokens::CheckTokens;
use local::platforms;
use shared::Variables;
use shared::aws::tables::IntegrationsTable;
use shared::oauth::{Endpoints, OAuthClient, PlatformClients};
use shared::registration::import::Importer;
use tokio::sync::mpsc;

use super::proxy::{Call, Process, Proxy};
use super::request::Tables;
use crate::world::World;

const FUNCTION: &str = "CheckTokensFunction";

pub(super) struct Lab {
    pub(super) world: World,
    pub(super) proxy: Proxy,
    pub(super) calls: mpsc::UnboundedReceiver<Call>,
    /// This field and the next three bypass the proxy.
    pub(super) integrations: IntegrationsTable,
    pub(super) importer: Importer,
    pub(super) oauth: OAuthClient,
    pub(super) clients: PlatformClients,
    pub(super) dynamodb: aws_sdk_dynamodb::Client,
    sdk: SdkConfig,
    variables: Variables,
    processes: Process,
}

impl Lab {
    pub(super) async fn new() -> Self {
        let world = World::new().await;
        let environment = world.stack.environment();
        let (sdk, variables) = (environment.sdk_config(), environment.variables(FUNCTION));
        let tables = Tables {
            audit: world.variable(FUNCTION, "AUDIT_TABLE"),
            quotas: world.variable(FUNCTION, "QUOTAS_TABLE"),
        };
        let (sender, calls) = mpsc::unbounded_channel();
        let upstreams = world.stack.addresses().clone();
        let proxy = Proxy::start(upstreams, tables, world.clock.clone(), sender).await;
        let endpoints = Endpoints::from_variables(&variables).unwrap();
        let secrets = aws_sdk_secretsmanager::Client::new(&sdk);
        let secret = variables.required("PLATFORM_SECRET_ID").unwrap();
        Self {
            integrations: world.integrations(),
            importer: world.importer(),
            oauth: OAuthClient::new(endpoints, world.clock.clone()).unwrap(),
            clients: PlatformClients::fetch(&secrets, secret).await.unwrap(),
            dynamodb: world.dynamodb(),
            sdk,
            variables,
            processes: 0,
            world,
            proxy,
            calls,
        }
    }

    /// Starts a process that has nothing of an earlier one in its memory.
    pub(super) fn start(&mut self, variables: &[(&str, &str)]) -> (Process, CheckTokens) {
        self.processes += 1;
        let base = format!("{}/{}", self.proxy.url, self.processes);
        // The real retries, without the waiting.
        let retries = RetryConfig::standard().with_initial_backoff(Duration::from_millis(1));
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(self.sdk.region().cloned())
            .credentials_provider(self.sdk.credentials_provider().unwrap())
            // S3's client puts the bucket right behind it.
            .endpoint_url(format!("{base}/aws/"))
            .retry_config(retries)
            .build();
        let endpoints = platforms::endpoints(&format!("{base}/platform")).to_string();
        let others = self
            .variables
            .iter()
            .filter(|(name, _)| *name != "PLATFORM_ENDPOINTS");
        let variables = others
            .chain(variables.iter().copied())
            .chain([("PLATFORM_ENDPOINTS", endpoints.as_str())])
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let function = CheckTokens::from_environment(&sdk, &variables, self.world.clock.clone());
        (self.processes, function.unwrap())
    }
}
