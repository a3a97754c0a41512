//! The embedded DynamoDB.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow};
use dynoxide::Database;

use crate::aws::tables;
use crate::template::Table;

const FILE: &str = "dynamodb.sqlite";

/// Opens the engine, in memory or in a file under `data_dir`, with the
/// template's tables in it.
///
/// # Errors
/// If the file cannot be used, or a table cannot be made.
pub(crate) async fn open(data_dir: Option<&Path>, tables: Vec<Table>) -> anyhow::Result<Database> {
    let file = data_dir.map(|directory| directory.join(FILE));
    // The engine blocks.
    let open = move || {
        let database = match &file {
            None => Database::memory().context("cannot start the database in memory")?,
            Some(file) => {
                let text = file
                    .to_str()
                    .ok_or_else(|| anyhow!("the data directory is not UTF-8"))?;
                let database =
                    Database::new(text).with_context(|| format!("cannot open {text}"))?;
                // What the engine calls the end of bulk loading is SQLite's
                // `synchronous = NORMAL`: with a write-ahead log no commit is lost
                // to a kill, and a power cut may take the last ones, but breaks
                // nothing (sqlite.org/pragma.html#pragma_synchronous). By default
                // every single write waits for the disk.
                database
                    .disable_bulk_loading()
                    .with_context(|| format!("cannot set up {text}"))?;
                database
            }
        };
        tables::create_missing(&database, &tables)?;
        Ok(database)
    };
    tokio::task::spawn_blocking(open).await?
}

/// Removes rows whose time to live is over, every hour: DynamoDB promises no
/// more than "within a few days". The engine reads the system's clock.
pub(crate) async fn expire(database: Database) {
    loop {
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let database = database.clone();
        let swept = tokio::task::spawn_blocking(move || database.sweep_ttl()).await;
        if let Ok(Err(error)) = swept {
            tracing::warn!(%error, "expired rows could not be removed");
        }
    }
}
