//! The whole stack in one process: the template, running.

mod data_dir;
mod listeners;
mod options;
mod servers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use rand::RngExt;
use serde_json::Value;
use shared::{Clock, Platform};
use tokio::task::JoinSet;

use crate::addresses::Addresses;
use crate::aws::guard::{self, Calls};
use crate::aws::kms::{self, Kms};
use crate::aws::lambda::event_queue::EventQueue;
use crate::aws::lambda::invoke::{FunctionError, Functions, Handler, Invoker, Remote};
use crate::aws::lambda::service::Lambda;
use crate::aws::s3::S3;
use crate::aws::secrets::{self, Secrets};
use crate::aws::sns::Sns;
use crate::aws::sqs::{Message, Queues};
use crate::aws::{dynamodb, scheduler, tables};
use crate::environment::Environment;
use crate::functions;
use crate::gateway::Gateway;
use crate::openid::{self, Issuer};
use crate::platforms::Platforms;
use crate::uuid::random_uuid;
use data_dir::DataDir;
use listeners::Listeners;
pub use options::Options;
use servers::{Servers, bind};

/// How long pending events may take once the stack stops.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);

/// A running stack. Dropping it stops it without waiting for pending events.
pub struct Stack {
    addresses: Addresses,
    environment: Environment,
    events: EventQueue,
    queues: Queues,
    issuer: Issuer,
    platforms: Platforms,
    calls: Calls,
    schedules: JoinSet<()>,
    servers: Servers,
    // The last to go: it releases the directory.
    data_dir: Option<DataDir>,
}

impl Stack {
    /// Starts the stack with the product's own functions. When this returns,
    /// everything answers and, in the data directory, `local.json` and
    /// `functions.env` are written.
    ///
    /// # Errors
    /// If a port or the data directory is in use, or something cannot be made.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        Self::start_with(options, functions::handlers).await
    }

    /// Starts the stack with the functions that `make_handlers` returns. The services that
    /// they call answer before that. Nothing calls `make_handlers` if they run elsewhere.
    ///
    /// # Errors
    /// As for [`Stack::start`].
    pub async fn start_with<W>(options: Options, make_handlers: W) -> anyhow::Result<Self>
    where
        W: AsyncFnOnce(&Environment, &Clock) -> anyhow::Result<BTreeMap<String, Handler>>,
    {
        let clock = options.clock;
        let data_dir = match &options.data_dir {
            Some(path) => Some(DataDir::open(path).await?),
            None => None,
        };
        let (listeners, mut addresses) =
            Listeners::bind(options.port, options.dynamodb_port).await?;
        addresses.parameters = options.parameters;
        if let Some(elsewhere) = &options.dynamodb {
            elsewhere
                .as_str()
                .trim_end_matches('/')
                .clone_into(&mut addresses.dynamodb);
        }
        if let Some(access_key) = options.access_key {
            addresses.access_key = access_key;
        }
        let mut environment = Environment::new(&addresses)?;
        let model = Arc::clone(environment.model());
        let directory = data_dir.as_ref().map(DataDir::path);
        let database = match options.dynamodb {
            None => Some(dynamodb::open(directory, model.tables.clone()).await?),
            Some(_) => {
                let expiring = clock.is_running();
                tables::create_missing_at(&addresses, &model.tables, expiring).await?;
                None
            }
        };
        let queues = Queues::new(model.queues.clone(), clock.clone());
        let issuer = Issuer::open(directory, addresses.issuer.clone(), clock.clone())?;
        let platforms = Platforms::new(clock.clone());
        let credentials = platform_credentials(data_dir.as_ref(), &platforms)?;
        let kms = Kms::new(model.keys.clone(), &key_material(data_dir.as_ref())?)?;

        let objects = data_dir.as_ref().map(|directory| directory.file("s3"));
        let s3 = S3::open(model.buckets.clone(), objects)?;

        let mut servers = Servers::new();
        if let Some(database) = &database {
            servers.serve_database(listeners.dynamodb, database.clone());
        }
        servers.serve(listeners.sqs, queues.router());
        servers.serve(listeners.kms, kms.router());
        servers.serve(listeners.s3, s3.router());
        let secrets = Secrets::new(model.secrets.clone(), &credentials);
        servers.serve(listeners.secretsmanager, secrets.router());
        servers.serve(listeners.issuer, openid::router(&issuer));
        servers.serve(listeners.platforms, platforms.router());

        let calls = Calls::default();
        if options.guard {
            let (listener, url) = bind(0, "no option").await?;
            let guard = guard::router(&addresses, Arc::clone(&model), calls.clone())?;
            servers.serve(listener, guard);
            environment = environment.guarded(&url);
        }
        let functions = match options.functions {
            Some(base) => Functions::Remote(Remote::new(base)?),
            None => Functions::InProcess(make_handlers(&environment, &clock).await?),
        };
        let invoker = Invoker::new(model.functions.clone(), functions, clock.clone());
        let events = EventQueue::new(
            invoker.clone(),
            queues.clone(),
            clock.clone(),
            options.retry_delay,
        );
        let sns = Sns::new(model.topics.clone(), events.clone(), clock.clone());
        servers.serve(listeners.sns, sns.router());
        servers.serve(listeners.lambda, Lambda::new(events.clone()).router());
        let gateway = Gateway::new(model.api.clone(), invoker, clock.clone());
        servers.serve(listeners.gateway, gateway.router());

        let mut ticking = JoinSet::new();
        if let Some(database) = database.filter(|_| options.schedules) {
            ticking.spawn(dynamodb::expire(database));
        }
        for schedule in model.schedules.iter().filter(|_| options.schedules) {
            let (clock, events) = (clock.clone(), events.clone());
            ticking.spawn(scheduler::run(schedule.clone(), clock, events));
        }
        if let Some(data_dir) = &data_dir {
            data_dir.publish_addresses(&addresses, &environment.env_file()?)?;
        }
        Ok(Self {
            addresses,
            environment,
            events,
            queues,
            issuer,
            platforms,
            calls,
            schedules: ticking,
            servers,
            data_dir,
        })
    }

    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    #[must_use]
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    #[must_use]
    pub fn platforms(&self) -> &Platforms {
        &self.platforms
    }

    /// Returns what guarded functions called.
    #[must_use]
    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// Runs a function, by its logical id, and waits for its answer.
    ///
    /// # Errors
    /// Returns the function's own error.
    pub async fn invoke(&self, logical_id: &str, event: Value) -> Result<Value, FunctionError> {
        let invoker = self.events.invoker();
        invoker.invoke(logical_id, event, &random_uuid()).await
    }

    /// Returns when no asynchronous invocation or delivery is under way.
    pub async fn settled(&self) {
        self.events.settled().await;
    }

    #[must_use]
    pub fn queue(&self, logical_id: &str) -> Vec<Message> {
        self.queues.peek(logical_id)
    }

    /// Stops the schedules, waits for the events under way, then stops the servers.
    pub async fn stop(mut self) {
        self.schedules.shutdown().await;
        if let Some(data_dir) = &self.data_dir {
            data_dir.withdraw_addresses();
        }
        if tokio::time::timeout(SHUTDOWN_GRACE, self.events.settled())
            .await
            .is_err()
        {
            let abandoned = self.events.abandon();
            tracing::error!(abandoned, "events were still under way and are lost");
        }
        self.servers.stop().await;
    }
}

/// Returns the KMS key's material, kept in `kms.key`.
fn key_material(data_dir: Option<&DataDir>) -> anyhow::Result<[u8; kms::MATERIAL_LENGTH]> {
    let fresh = || {
        let mut material = [0; kms::MATERIAL_LENGTH];
        rand::rng().fill(&mut material[..]);
        material
    };
    let Some(data_dir) = data_dir else {
        return Ok(fresh());
    };
    let stored = data_dir.secret("kms.key", || fresh().to_vec())?;
    stored.try_into().map_err(|_| {
        let file = data_dir.file("kms.key");
        anyhow!(
            "{} is damaged: what it sealed cannot be read",
            file.display()
        )
    })
}

/// Returns the platforms' client ids and secrets, kept in `platforms.json`, and makes
/// the simulated platforms expect them.
fn platform_credentials(
    data_dir: Option<&DataDir>,
    platforms: &Platforms,
) -> anyhow::Result<String> {
    let fresh = || secrets::generated_credentials().to_string();
    let text = match data_dir {
        None => fresh(),
        Some(directory) => {
            String::from_utf8(directory.secret("platforms.json", || fresh().into_bytes())?)?
        }
    };
    let credentials: Value = serde_json::from_str(&text)?;
    for platform in Platform::ALL {
        let of = &credentials[platform.name()];
        if let (Some(id), Some(secret)) = (of["client_id"].as_str(), of["client_secret"].as_str()) {
            platforms.expect_client(platform, id, secret);
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
