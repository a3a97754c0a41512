//! A whole file of records: streamed, many in flight, in bounded memory.

use std::collections::{HashMap, HashSet};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde::Serialize;
use tokio::io::AsyncBufRead;

use super::records::{self, FileError, Position, RawText};
use super::{ImportError, Imported, Importer, IntegrationLine, Record};
use crate::IntegrationKey;
use crate::aws::tables::Found;
use crate::{OrgId, domain::digest};

/// How many records are looked up together: DynamoDB reads no more keys in one call.
const BATCH: usize = 100;
/// How many new integrations are written together. If one of them cannot be, all
/// are written one by one: the fewer, the less is done twice.
const TOGETHER: usize = 25;
/// How many batches are being stored at once, and how many records of each.
const BATCHES_IN_FLIGHT: usize = 4;
const IN_FLIGHT: usize = 16;

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Lines that held anything.
    pub lines: u64,
    /// Records that are new.
    pub created: u64,
    /// Records that replaced or changed what was there.
    pub changed: u64,
    /// Records that were there already, just so.
    pub unchanged: u64,
    /// Credentials not taken over because the stored one is newer.
    pub older: u64,
    /// Lines that could not be taken over.
    pub refused: u64,
    /// Organisations that integrations or members name and nobody has described.
    pub missing_organizations: Vec<String>,
    /// Missing organisations beyond those listed.
    pub missing_unlisted: u64,
}

/// What happens while a file is imported.
#[derive(Debug)]
pub enum Progress<'a> {
    /// So many bytes have been read.
    Read(u64),
    /// A record has a problem; the rest goes on.
    Problem {
        /// Where it stands.
        at: Position,
        /// What is wrong, and what became of it.
        reason: &'a str,
        /// The record, if it was refused and is not too long to be held.
        refused: Option<RawRecord<'a>>,
    },
}

/// A record as it stands in the file. It holds tokens, so it cannot print.
#[derive(Clone, Copy)]
pub struct RawRecord<'a>(&'a [u8]);

impl RawRecord<'_> {
    /// The record on one line: for whoever is to mend it and import it again.
    #[must_use]
    pub fn expose_line(&self) -> Vec<u8> {
        // Within a text JSON allows no line break, so none is lost.
        let flat = |byte: &u8| if b"\r\n".contains(byte) { b' ' } else { *byte };
        self.0.iter().map(flat).collect()
    }
}

impl std::fmt::Debug for RawRecord<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RawRecord({} bytes)", self.0.len())
    }
}

impl Summary {
    /// Whether every line was taken over.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.refused == 0 && self.older == 0 && self.missing_organizations.is_empty()
    }
}

/// How many missing organisations a summary lists.
const LISTED: usize = 100;

impl Importer {
    /// Takes over every record of `file` that it can, and reports the others.
    ///
    /// # Errors
    /// When the file cannot be read on, or holds something else than records.
    pub async fn import(
        &self,
        file: impl AsyncBufRead + Unpin,
        mut progress: impl FnMut(Progress<'_>),
    ) -> Result<Summary, FileError> {
        let mut summary = Summary::default();
        let mut records = records::of(file).await?;
        let mut known = Known::default();
        let mut stored = FuturesUnordered::new();
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let found = records.next().await?;
            progress(Progress::Read(records.bytes));
            let is_last = found.is_none();
            if let Some(RawText { at, text }) = found {
                summary.lines += 1;
                match text {
                    Err(reason) => summary.refuse(at, &reason, None, &mut progress),
                    Ok(text) => match known.read(at, &text) {
                        Ok(record) => batch.push(Given { at, text, record }),
                        Err(reason) => summary.refuse(at, &reason, Some(&text), &mut progress),
                    },
                }
            }
            if batch.len() == BATCH || is_last && !batch.is_empty() {
                let batch = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
                stored.push(self.store_batch(batch));
            }
            // Storing goes on only while it is waited for: also between lines.
            while stored.len() >= BATCHES_IN_FLIGHT || is_last && !stored.is_empty() {
                let batch = stored.next().await.unwrap_or_default();
                if let Some(error) = all_failed(&batch) {
                    return Err(FileError::Unstorable(batch.len(), error));
                }
                for (given, result) in batch {
                    summary.count(&given, result, &mut progress);
                }
            }
            if is_last {
                break;
            }
        }
        self.find_missing(known.organizations, &mut summary, &mut progress)
            .await;
        Ok(summary)
    }

    /// Stores a batch: its integrations are looked up together, and those that
    /// are new written together. Whatever could not be done so, for whatever
    /// reason, is done one by one, each with its own outcome.
    async fn store_batch(&self, batch: Vec<Given>) -> Vec<(Raw, Result<Imported, ImportError>)> {
        let lines = || batch.iter().filter_map(|given| given.record.integration());
        let keys: Vec<IntegrationKey> = lines().map(|line| line.key.clone()).collect();
        let mut found = self.integrations.find_all(&keys).await.unwrap_or_default();
        let new = lines().filter(|line| matches!(found.get(&line.key), Some(Found::Nothing)));
        let mut created = HashSet::new();
        for together in new.collect::<Vec<_>>().chunks(TOGETHER) {
            if self.create_together(together).await {
                created.extend(together.iter().map(|line| line.key.clone()));
            }
        }
        let stores = batch.into_iter().map(|Given { at, text, record }| {
            let key = record.integration().map(|line| &line.key);
            let is_created = key.is_some_and(|key| created.contains(key));
            let found = key.and_then(|key| found.remove(key));
            async move {
                let result = if is_created {
                    Ok(Imported::Created)
                } else {
                    self.store(record, found).await
                };
                (Raw { at, text }, result)
            }
        });
        let stores: Vec<_> = stores.collect();
        futures::stream::iter(stores)
            .buffer_unordered(IN_FLIGHT)
            .collect()
            .await
    }

    /// Stores new integrations, all or none; tells which.
    async fn create_together(&self, lines: &[&IntegrationLine]) -> bool {
        let now = self.clock.now();
        let mut rows = Vec::with_capacity(lines.len());
        for line in lines {
            match self.register(line, None, 1, now).await {
                Ok(row) => rows.push(row),
                Err(_) => return false, // one by one it is told of whom it is
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
            .buffer_unordered(IN_FLIGHT);
        while let Some((found, org)) = looked_up.next().await {
            match found {
                Ok(Some(_)) => {}
                Ok(None) if summary.missing_organizations.len() < LISTED => {
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

/// Why none of these could be stored, if there are many: then it is the table, and not
/// the records.
fn all_failed(batch: &[(Raw, Result<Imported, ImportError>)]) -> Option<String> {
    const MANY: usize = 10;
    let failed = |(_, result): &(Raw, Result<Imported, ImportError>)| {
        matches!(result, Err(ImportError::Store(_) | ImportError::Sealing(_)))
    };
    let (_, first) = batch.first().filter(|_| batch.len() >= MANY)?;
    let error = first.as_ref().err()?.to_string();
    batch.iter().all(failed).then_some(error)
}

impl Summary {
    fn refuse(
        &mut self,
        at: Position,
        reason: &str,
        text: Option<&[u8]>,
        progress: &mut impl FnMut(Progress<'_>),
    ) {
        self.refused += 1;
        progress(Progress::Problem {
            at,
            reason,
            refused: text.map(RawRecord),
        });
    }

    fn count(
        &mut self,
        Raw { at, text }: &Raw,
        result: Result<Imported, ImportError>,
        progress: &mut impl FnMut(Progress<'_>),
    ) {
        match result {
            Ok(Imported::Created) => self.created += 1,
            Ok(Imported::Changed) => self.changed += 1,
            Ok(Imported::Unchanged) => self.unchanged += 1,
            Ok(Imported::Older) => {
                self.older += 1;
                progress(Progress::Problem {
                    at: *at,
                    reason: "the stored credential is newer than this one, and stays",
                    refused: None,
                });
            }
            Err(error) => self.refuse(*at, &format!("not stored: {error}"), Some(text), progress),
        }
    }
}

/// A record that is to be stored, and as it was given.
struct Given {
    at: Position,
    text: Vec<u8>,
    record: Record,
}

struct Raw {
    at: Position,
    text: Vec<u8>,
}

/// What the records so far were about: eight bytes for each and where it stood,
/// and the organisations.
#[derive(Default)]
struct Known {
    seen: HashMap<u64, Position>,
    organizations: HashSet<OrgId>,
}

impl Known {
    fn read(&mut self, at: Position, text: &[u8]) -> Result<Record, String> {
        let record = Record::parse(text).map_err(|faults| faults.to_string())?;
        let identity = record.identity();
        let short = digest::short(&[&identity]);
        if let Some(first) = self.seen.get(&short) {
            return Err(format!(
                "{identity} was already given in {first}, which was taken"
            ));
        }
        self.seen.insert(short, at);
        self.organizations.insert(record.org_id().clone());
        Ok(record)
    }
}
