//! Imports a whole file: streamed, many records in flight, in bounded memory.

use std::collections::{HashMap, HashSet};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::io::AsyncBufRead;

use super::records::{self, FileError, Position, RawText};
use super::summary::{MAX_LISTED, Progress, Summary};
use super::{Imported, Importer, IntegrationLine, Record};
use crate::IntegrationKey;
use crate::aws::tables::Found;
use crate::registration::RegistrationError;
use crate::{OrgId, domain::digest};

/// How many records are looked up together: DynamoDB reads no more keys in one call.
const READ_BATCH_SIZE: usize = 100;
/// How many new integrations are written together. If one of them cannot be, all are written
/// one by one. So a smaller batch repeats less work.
const CREATE_BATCH_SIZE: usize = 25;
/// How many batches are being stored at once, and how many records of each.
const MAX_BATCHES_IN_FLIGHT: usize = 4;
const MAX_STORES_IN_FLIGHT: usize = 16;

impl Importer {
    /// Takes over every record of `file` that it can, and reports the others.
    ///
    /// # Errors
    /// If the file cannot be read on, holds something else than records, or the table takes
    /// nothing.
    pub async fn import(
        &self,
        file: impl AsyncBufRead + Unpin,
        mut progress: impl FnMut(Progress<'_>),
    ) -> Result<Summary, FileError> {
        let mut summary = Summary::default();
        let mut records = records::open(file).await?;
        let mut seen = SeenRecords::default();
        let mut stored = FuturesUnordered::new();
        let mut batch = Vec::with_capacity(READ_BATCH_SIZE);
        loop {
            let found = records.next().await?;
            progress(Progress::Read(records.bytes));
            let is_last = found.is_none();
            if let Some(RawText { at, text }) = found {
                summary.lines += 1;
                match text {
                    Err(reason) => summary.refuse(at, &reason, None, &mut progress),
                    Ok(text) => match seen.parse(at, &text) {
                        Ok(record) => batch.push(BatchRecord { at, text, record }),
                        Err(reason) => summary.refuse(at, &reason, Some(&text), &mut progress),
                    },
                }
            }
            if batch.len() == READ_BATCH_SIZE || is_last && !batch.is_empty() {
                let batch = std::mem::replace(&mut batch, Vec::with_capacity(READ_BATCH_SIZE));
                stored.push(self.store_batch(batch));
            }
            // Storing goes on only while it is waited for: also between lines.
            while stored.len() >= MAX_BATCHES_IN_FLIGHT || is_last && !stored.is_empty() {
                let batch = stored.next().await.unwrap_or_default();
                if let Some(error) = all_failed(&batch) {
                    return Err(FileError::Unstorable(batch.len(), error));
                }
                for StoredRecords { at, text, result } in batch {
                    summary.count(at, &text, result, &mut progress);
                }
            }
            if is_last {
                break;
            }
        }
        self.find_missing(seen.organizations, &mut summary, &mut progress)
            .await;
        Ok(summary)
    }

    /// Stores a batch. Its integrations are looked up together, and new ones are written
    /// together. Whatever could not be done so, for whatever reason, is done one by one, each
    /// with its own outcome.
    async fn store_batch(&self, batch: Vec<BatchRecord>) -> Vec<StoredRecords> {
        let lines = || batch.iter().filter_map(|given| given.record.integration());
        let keys: Vec<IntegrationKey> = lines().map(|line| line.key.clone()).collect();
        let mut found = self.integrations.find_all(&keys).await.unwrap_or_default();
        let new = lines().filter(|line| matches!(found.get(&line.key), Some(Found::Nothing)));
        let mut created = HashSet::new();
        for together in new.collect::<Vec<_>>().chunks(CREATE_BATCH_SIZE) {
            if self.create_together(together).await {
                created.extend(together.iter().map(|line| line.key.clone()));
            }
        }
        let stores = batch.into_iter().map(|BatchRecord { at, text, record }| {
            let key = record.integration().map(|line| &line.key);
            let is_created = key.is_some_and(|key| created.contains(key));
            let found = key.and_then(|key| found.remove(key));
            async move {
                let result = if is_created {
                    Ok(Imported::Created)
                } else {
                    self.store(record, found).await
                };
                StoredRecords { at, text, result }
            }
        });
        let stores: Vec<_> = stores.collect();
        futures::stream::iter(stores)
            .buffer_unordered(MAX_STORES_IN_FLIGHT)
            .collect()
            .await
    }

    /// Stores new integrations, all or none; returns whether it did.
    async fn create_together(&self, lines: &[&IntegrationLine]) -> bool {
        let now = self.clock.now();
        let mut rows = Vec::with_capacity(lines.len());
        for line in lines {
            match self.register(line, None, 1, now).await {
                Ok(row) => rows.push(row),
                Err(_) => return false, // one by one, it is clear whose fault it is
            }
        }
        self.integrations
            .create_all(rows, now)
            .await
            .unwrap_or(false)
    }

    async fn find_missing(
        &self,
        organizations: HashSet<OrgId>,
        summary: &mut Summary,
        progress: &mut impl FnMut(Progress<'_>),
    ) {
        let mut looked_up = futures::stream::iter(organizations)
            .map(|org| async move { (self.organizations.organization(&org).await, org) })
            .buffer_unordered(MAX_STORES_IN_FLIGHT);
        while let Some((found, org)) = looked_up.next().await {
            match found {
                Ok(Some(_)) => {}
                Ok(None) if summary.missing_organizations.len() < MAX_LISTED => {
                    summary.missing_organizations.push(org.to_string());
                }
                Ok(None) => summary.missing_unlisted += 1,
                Err(error) => {
                    let reason = format!("organisation {org} could not be looked up: {error}");
                    summary.refused += 1;
                    progress(Progress::Problem {
                        at: Position {
                            line: summary.lines,
                            record: None,
                        },
                        reason: &reason,
                        refused: None,
                    });
                }
            }
        }
        summary.missing_organizations.sort_unstable();
    }
}

/// Returns why none of these could be stored, if there are many: then the table is at fault,
/// and not the records.
fn all_failed(batch: &[StoredRecords]) -> Option<String> {
    const MIN_FAILURES: usize = 10;
    let failed = |stored: &StoredRecords| {
        matches!(
            stored.result,
            Err(RegistrationError::Store(_) | RegistrationError::Sealing(_))
        )
    };
    let first = batch.first().filter(|_| batch.len() >= MIN_FAILURES)?;
    let error = first.result.as_ref().err()?.to_string();
    batch.iter().all(failed).then_some(error)
}

/// A record to store, and its original text.
struct BatchRecord {
    at: Position,
    text: Vec<u8>,
    record: Record,
}

/// A record with its original text, and the result of storing it.
struct StoredRecords {
    at: Position,
    text: Vec<u8>,
    result: Result<Imported, RegistrationError>,
}

/// The records so far: a digest of eight bytes and the position of each, and their organisations.
#[derive(Default)]
struct SeenRecords {
    positions: HashMap<u64, Position>,
    organizations: HashSet<OrgId>,
}

impl SeenRecords {
    fn parse(&mut self, at: Position, text: &[u8]) -> Result<Record, String> {
        let record = Record::parse(text).map_err(|faults| faults.to_string())?;
        let identity = record.identity();
        let short = digest::short(&[&identity]);
        if let Some(first) = self.positions.get(&short) {
            return Err(format!(
                "{identity} was already given in {first}, which was taken"
            ));
        }
        self.positions.insert(short, at);
        self.organizations.insert(record.org_id().clone());
        Ok(record)
    }
}
