//! A whole file of records: streamed, many in flight, in bounded memory.

use std::collections::{HashMap, HashSet};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde::Serialize;
use tokio::io::{AsyncBufRead, AsyncBufReadExt};

use super::{Imported, Importer, MAX_LINE, Record};
use crate::{OrgId, digest};

/// How many records are being stored at once.
const IN_FLIGHT: usize = 32;

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
    /// Organisations that connections or members name and nobody has described.
    pub missing_organizations: Vec<String>,
    /// Missing organisations beyond those listed.
    pub missing_unlisted: u64,
}

/// What happens while a file is imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress<'a> {
    /// So many bytes have been read.
    Read(u64),
    /// A line has a problem; the rest goes on.
    Problem {
        /// Its number, from 1.
        line: u64,
        /// What is wrong, and what became of it.
        reason: &'a str,
    },
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
    /// Takes over every line of `file` that it can, and reports the others.
    ///
    /// # Errors
    /// When the file itself cannot be read on. What was stored stays; importing
    /// the file again goes on from there.
    pub async fn import(
        &self,
        mut file: impl AsyncBufRead + Unpin,
        mut progress: impl FnMut(Progress<'_>),
    ) -> std::io::Result<Summary> {
        let mut summary = Summary::default();
        let mut lines = Lines::default();
        let mut stored = FuturesUnordered::new();
        loop {
            let line = lines.next(&mut file).await?;
            progress(Progress::Read(lines.bytes));
            let Some((number, line)) = line else { break };
            summary.lines += 1;
            match line.and_then(|text| lines.read(number, &text)) {
                Ok(record) => stored.push(async move { (number, self.store(record).await) }),
                Err(reason) => summary.refuse(number, &reason, &mut progress),
            }
            while stored.len() >= IN_FLIGHT
                && let Some((number, result)) = stored.next().await
            {
                summary.count(number, result, &mut progress);
            }
        }
        while let Some((number, result)) = stored.next().await {
            summary.count(number, result, &mut progress);
        }
        self.find_missing(lines.organizations, &mut summary, &mut progress)
            .await;
        Ok(summary)
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
                    progress(Progress::Problem {
                        line: summary.lines,
                        reason: &reason,
                    });
                    summary.refused += 1;
                }
            }
        }
        summary.missing_organizations.sort_unstable();
    }
}

impl Summary {
    fn refuse(&mut self, line: u64, reason: &str, progress: &mut impl FnMut(Progress<'_>)) {
        self.refused += 1;
        progress(Progress::Problem { line, reason });
    }

    fn count(
        &mut self,
        line: u64,
        result: Result<Imported, super::ImportError>,
        progress: &mut impl FnMut(Progress<'_>),
    ) {
        match result {
            Ok(Imported::Created) => self.created += 1,
            Ok(Imported::Changed) => self.changed += 1,
            Ok(Imported::Unchanged) => self.unchanged += 1,
            Ok(Imported::Older) => {
                self.older += 1;
                let reason = "the stored credential is newer than this one, and stays";
                progress(Progress::Problem { line, reason });
            }
            Err(error) => self.refuse(line, &format!("not stored: {error}"), progress),
        }
    }
}

/// Reads lines without ever holding one that is too long, and remembers what
/// they were about: eight bytes a line, and the organisations.
#[derive(Default)]
struct Lines {
    number: u64,
    bytes: u64,
    seen: HashMap<u64, u64>,
    organizations: HashSet<OrgId>,
}

impl Lines {
    /// The next line that holds anything, with its number.
    async fn next(
        &mut self,
        file: &mut (impl AsyncBufRead + Unpin),
    ) -> std::io::Result<Option<(u64, Result<Vec<u8>, String>)>> {
        loop {
            let mut line = Vec::new();
            let mut length = 0;
            let ended = loop {
                let buffer = file.fill_buf().await?;
                if buffer.is_empty() {
                    break true;
                }
                let newline = buffer.iter().position(|b| *b == b'\n');
                let taken = newline.map_or(buffer.len(), |at| at + 1);
                length += taken;
                if length <= MAX_LINE {
                    line.extend_from_slice(&buffer[..taken]);
                }
                file.consume(taken);
                if newline.is_some() {
                    break false;
                }
            };
            self.bytes += u64::try_from(length).unwrap_or_default();
            if ended && length == 0 {
                return Ok(None);
            }
            self.number += 1;
            if length > MAX_LINE {
                let reason = format!("the line is longer than {MAX_LINE} bytes");
                return Ok(Some((self.number, Err(reason))));
            }
            let byte_order_mark: &[u8] = b"\xef\xbb\xbf";
            let text = if self.number == 1 {
                line.strip_prefix(byte_order_mark).unwrap_or(&line)
            } else {
                &line
            };
            if !text.trim_ascii().is_empty() {
                return Ok(Some((self.number, Ok(text.trim_ascii().to_vec()))));
            }
        }
    }

    fn read(&mut self, number: u64, text: &[u8]) -> Result<Record, String> {
        let record = Record::parse(text).map_err(|bad| bad.to_string())?;
        let identity = record.identity();
        let short = digest::short(&[&identity]);
        if let Some(first) = self.seen.get(&short) {
            return Err(format!(
                "{identity} was already given in line {first}, which was taken"
            ));
        }
        self.seen.insert(short, number);
        self.organizations.insert(record.org_id().clone());
        Ok(record)
    }
}
