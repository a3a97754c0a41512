//! One cell of the benchmark for our limiter, in a process of its own, as
//! `tests/quota-benchmark/contender.mjs` is for the other.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use serde::{Deserialize, Serialize};
use shared::aws::quota::Limiter;
use shared::domain::quota::{Decision, Policies, QuotaKey};
use shared::{Clock, IntegrationId, OrgId, Platform};

/// What is to be measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Cell {
    /// Keys begin with this name, so that no two cells share a key.
    pub(crate) name: String,
    pub(crate) endpoint: String,
    pub(crate) table: String,
    pub(crate) callers: usize,
    pub(crate) keys: usize,
    pub(crate) seconds: f64,
    pub(crate) limit: u32,
    /// In seconds.
    pub(crate) period: u32,
    /// Takes one permit, waits for the end of the period, and asks across it.
    pub(crate) edge: bool,
    /// Repeats refusals from memory: ours always does.
    pub(crate) remembers: bool,
    /// Sends the other contender's writes from this process: neither the language nor its
    /// SDK then explains what is left of a difference.
    pub(crate) imitates: bool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) decisions: u64,
    pub(crate) errors: u64,
    pub(crate) seconds: f64,
    /// Milliseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// The times of each key's grants, in epoch milliseconds.
    pub(crate) grants: Vec<Vec<i64>>,
}

struct Contender {
    limiter: Limiter,
    imitation: Option<Imitation>,
    clock: Clock,
    keys: Vec<QuotaKey>,
    measured: Mutex<(Measured, Vec<f32>)>,
}

/// rate-limiter-flexible 11's `_upsert` with the same expressions: begin a new
/// window if there is none, else count in the one there is.
struct Imitation {
    client: Client,
    table: String,
    limit: u32,
    period: u32,
}

impl Imitation {
    async fn attempt(&self, key: &QuotaKey, clock: &Clock) -> Result<bool, ()> {
        let now = clock.precise().timestamp_millis() as f64 / 1000.0;
        let number = |value: f64| AttributeValue::N(value.to_string());
        let write = |update: &str, condition: &str| {
            self.client
                .update_item()
                .table_name(&self.table)
                .key("key", AttributeValue::S(key.to_string()))
                .update_expression(update)
                .condition_expression(condition)
                .expression_attribute_values(":new_points", number(1.0))
                .expression_attribute_values(":where_expire", number(now))
                .return_values(ReturnValue::AllNew)
        };
        let first = write(
            "SET points = :new_points, expire = :new_expire",
            "expire <= :where_expire OR attribute_not_exists(points)",
        )
        .expression_attribute_values(":new_expire", number(now + f64::from(self.period)))
        .send()
        .await;
        let answer = match first {
            Ok(answer) => answer,
            Err(_) => write(
                "SET points = points + :new_points",
                "expire > :where_expire",
            )
            .send()
            .await
            .map_err(|_| ())?,
        };
        let points = answer.attributes.unwrap()["points"].as_n().unwrap().clone();
        Ok(points.parse::<f64>().unwrap() <= f64::from(self.limit))
    }
}

fn key(name: &str) -> QuotaKey {
    QuotaKey::new(
        Platform::Meta,
        OrgId::new("acme").unwrap(),
        IntegrationId::new(name).unwrap(),
    )
}

impl Contender {
    async fn decide(&self, n: usize) {
        let began = Instant::now();
        let admitted = match &self.imitation {
            Some(imitation) => imitation.attempt(&self.keys[n], &self.clock).await,
            None => match self.limiter.take_permit(&self.keys[n]).await {
                Ok(decision) => Ok(matches!(decision, Decision::Admitted(_))),
                Err(_) => Err(()),
            },
        };
        let took = began.elapsed();
        let now = self.clock.precise().timestamp_millis();
        let (measured, latencies) = &mut *self.measured.lock().unwrap();
        match admitted {
            Err(()) => {
                measured.errors += 1;
                return;
            }
            Ok(true) => measured.grants[n].push(now),
            Ok(false) => {}
        }
        measured.decisions += 1;
        latencies.push(took.as_secs_f32() * 1000.0);
    }

    async fn hammer(self: &Arc<Self>, callers: usize, time: Duration) {
        let end = Instant::now() + time;
        let callers = (0..callers).map(|caller| {
            let this = self.clone();
            tokio::spawn(async move {
                // A different walk over the keys for each; a prime visits them all.
                let mut n = caller * 7_919;
                while Instant::now() < end {
                    n = n.wrapping_add(7_907);
                    this.decide(n % this.keys.len()).await;
                    tokio::task::yield_now().await;
                }
            })
        });
        let callers: Vec<_> = callers.collect();
        for caller in callers {
            caller.await.unwrap();
        }
    }
}

/// Runs the cell. Calls `go` when everything is ready; the cell starts when `go` returns.
pub(crate) async fn run(
    cell: Cell,
    config: aws_sdk_dynamodb::config::Builder,
    go: impl FnOnce(),
) -> Measured {
    let Cell { limit, period, .. } = cell;
    let json = format!(r#"{{"meta":{{"limit":{limit},"period":{period},"burst":{limit}}}}}"#);
    let clock = Clock::system();
    let client = Client::from_conf(config.build());
    let contender = Arc::new(Contender {
        imitation: cell.imitates.then(|| Imitation {
            client: client.clone(),
            table: cell.table.clone(),
            limit,
            period,
        }),
        limiter: Limiter::new(
            client,
            &cell.table,
            json.parse::<Policies>().unwrap(),
            clock.clone(),
        ),
        clock,
        keys: (0..cell.keys)
            .map(|n| key(&format!("{}-{n}", cell.name)))
            .collect(),
        measured: Mutex::new((
            Measured {
                grants: vec![Vec::new(); cell.keys],
                ..Measured::default()
            },
            Vec::new(),
        )),
    });
    // Integrations are not what is measured.
    let warm = (0..cell.callers * 4).map(|n| {
        let (contender, key) = (contender.clone(), key(&format!("{}-warm-{n}", cell.name)));
        async move {
            match &contender.imitation {
                Some(imitation) => drop(imitation.attempt(&key, &contender.clock).await),
                None => drop(contender.limiter.take_permit(&key).await),
            }
        }
    });
    futures::future::join_all(warm).await;
    go();
    let began = Instant::now();
    if cell.edge {
        contender.decide(0).await;
        tokio::time::sleep(Duration::from_millis(u64::from(cell.period) * 1000 - 500)).await;
        contender
            .hammer(cell.callers, Duration::from_millis(1_500))
            .await;
    } else {
        contender
            .hammer(cell.callers, Duration::from_secs_f64(cell.seconds))
            .await;
    }
    let seconds = began.elapsed().as_secs_f64();
    let (measured, mut latencies) = std::mem::take(&mut *contender.measured.lock().unwrap());
    latencies.sort_unstable_by(f32::total_cmp);
    let at = |share: f64| {
        let index = latencies.len().saturating_sub(1) as f64 * share;
        f64::from(latencies.get(index as usize).copied().unwrap_or_default())
    };
    Measured {
        seconds,
        p50: at(0.5),
        p99: at(0.99),
        ..measured
    }
}
