//! What an import did, and its progress.

use serde::Serialize;

use super::Imported;
use super::records::Position;
use crate::registration::RegistrationError;

/// How many missing organisations a summary lists.
pub(super) const MAX_LISTED: usize = 100;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Lines, or elements of an array, that held anything.
    pub lines: u64,
    /// Records that are new.
    pub created: u64,
    /// Records that replaced or changed what was there.
    pub changed: u64,
    /// Records that were there already with the same content.
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
    /// Bytes that have been read so far.
    Read(u64),
    /// A record has a problem; the rest goes on.
    Problem {
        at: Position,
        /// What is wrong with the record, and what happened to it.
        reason: &'a str,
        /// The record, if it was refused and is not too long to be held.
        refused: Option<RawRecord<'a>>,
    },
}

/// The text of a record. It holds tokens, so `Debug` prints only its length.
#[derive(Clone, Copy)]
pub struct RawRecord<'a>(&'a [u8]);

impl RawRecord<'_> {
    /// Returns the record on one line, for whoever is to mend it and import it again.
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
    /// Whether every line was taken over and no organisation is missing.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.refused == 0 && self.older == 0 && self.missing_organizations.is_empty()
    }
}

impl Summary {
    pub(super) fn refuse(
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

    pub(super) fn count(
        &mut self,
        at: Position,
        text: &[u8],
        result: Result<Imported, RegistrationError>,
        progress: &mut impl FnMut(Progress<'_>),
    ) {
        match result {
            Ok(Imported::Created) => self.created += 1,
            Ok(Imported::Changed) => self.changed += 1,
            Ok(Imported::Unchanged) => self.unchanged += 1,
            Ok(Imported::Older) => {
                self.older += 1;
                progress(Progress::Problem {
                    at,
                    reason: "the stored credential is newer than this one, and stays",
                    refused: None,
                });
            }
            Err(error) => self.refuse(at, &format!("not stored: {error}"), Some(text), progress),
        }
    }
}
