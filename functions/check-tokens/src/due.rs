//! Finds what is due.

use std::collections::HashSet;
use std::future::ready;

use chrono::{DateTime, Utc};
use futures::{Stream, StreamExt, stream};
use shared::IntegrationKey;
use shared::aws::tables::{IntegrationsTable, TableError};
use shared::domain::schedule::ShardClass;

/// Finds the keys of all integrations that are due until `horizon`, each once. Reads the
/// partitions of `by_next_action` for short-lived tokens at once, and then all others.
pub(crate) fn find_due(
    integrations: &IntegrationsTable,
    horizon: DateTime<Utc>,
) -> impl Stream<Item = Result<IntegrationKey, TableError>> {
    find_in_class(integrations, ShardClass::ShortLived, horizon).chain(find_in_class(
        integrations,
        ShardClass::LongLived,
        horizon,
    ))
}

fn find_in_class(
    integrations: &IntegrationsTable,
    class: ShardClass,
    horizon: DateTime<Utc>,
) -> impl Stream<Item = Result<IntegrationKey, TableError>> {
    let shards = class
        .shards()
        .map(move |shard| Box::pin(integrations.due(&shard, horizon)));
    // Looking ahead, an integration that was processed appears again at its
    // next `next_action_at`, within the same query.
    let mut seen = HashSet::new();
    stream::select_all(shards).filter(move |key| {
        ready(match key {
            Ok(key) => seen.insert(key.clone()),
            Err(_) => true,
        })
    })
}
