//! Reads the records of a file one after the other: one a line, or the elements of one JSON
//! array. It never holds a record that is too long.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

use super::foreign::{self, Foreign, Form};
use super::record::{MAX_LINE, too_long};

/// At most this many bytes are looked at to see what a file is.
const MAX_HEAD_BYTES: usize = 4096;

/// The position of a record in its file, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line on which the record begins, from 1.
    pub line: u64,
    /// The record's number within a JSON array, from 1; several records may share a line there.
    pub record: Option<u64>,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let line = self.line;
        match self.record {
            None => write!(f, "line {line}"),
            Some(record) => write!(f, "record {record} (line {line})"),
        }
    }
}

/// The text of a record, or why it could not be read.
pub(super) struct RawText {
    pub(super) at: Position,
    pub(super) text: Result<Vec<u8>, String>,
}

/// The reader's place within an element of a JSON array.
#[derive(Debug, Default)]
struct Nesting {
    depth: u32,
    in_string: bool,
    escaped: bool,
}

enum ReaderState {
    Lines,
    /// Before the `[`.
    Array,
    /// Within the array.
    Elements,
    /// Behind the `]`.
    Behind,
    /// Nothing more is read.
    Ended,
}

pub(super) struct Records<R> {
    file: R,
    state: ReaderState,
    line: u64,
    record: u64,
    /// Bytes that have been read.
    pub(super) bytes: u64,
}

/// Why a file was not imported to its end.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file could not be read on. What was stored stays; importing the file again goes on
    /// from there.
    #[error("it could not be read to its end; import it again to go on from there")]
    Read(#[from] io::Error),
    /// The table takes nothing any more. What was stored stays.
    #[error(
        "{0} records in a row could not be stored, so the rest was not tried: {1}. What was \
         stored before stays; import the file again to go on from there"
    )]
    Unstorable(usize, String),
    /// The file holds something else than records.
    #[error(transparent)]
    Foreign(#[from] Foreign),
}

/// Returns the records of a file, if it is a file of records.
pub(super) async fn open(
    mut file: impl AsyncBufRead + Unpin,
) -> Result<Records<impl AsyncBufRead + Unpin>, FileError> {
    let mut head = Vec::with_capacity(MAX_HEAD_BYTES);
    while head.len() < MAX_HEAD_BYTES && !holds_a_line(&head) {
        let room = u64::try_from(MAX_HEAD_BYTES - head.len()).unwrap_or_default();
        if (&mut file).take(room).read_buf(&mut head).await? == 0 {
            break;
        }
    }
    let state = match foreign::form(&head)? {
        Form::Lines => ReaderState::Lines,
        Form::Array => ReaderState::Array,
    };
    let bytes = head.len() - foreign::without_mark(&head).len();
    head.drain(..bytes);
    Ok(Records {
        file: io::Cursor::new(head).chain(file),
        state,
        line: 1,
        record: 0,
        bytes: u64::try_from(bytes).unwrap_or_default(),
    })
}

fn holds_a_line(head: &[u8]) -> bool {
    let text = foreign::without_mark(head).trim_ascii_start();
    // A lone brace does not show what follows it.
    let end = text.iter().position(|b| *b == b'\n');
    end.is_some_and(|end| text.get(end + 1).is_some() || text.get(..end) != Some(b"{"))
}

impl<R: AsyncBufRead + Unpin> Records<R> {
    /// Returns the next record that holds anything.
    pub(super) async fn next(&mut self) -> io::Result<Option<RawText>> {
        match self.state {
            ReaderState::Lines => self.next_line().await,
            ReaderState::Array => {
                self.enter_array().await?;
                self.state = ReaderState::Elements;
                self.next_element().await
            }
            ReaderState::Elements => self.next_element().await,
            ReaderState::Behind => self.behind().await,
            ReaderState::Ended => Ok(None),
        }
    }

    async fn next_line(&mut self) -> io::Result<Option<RawText>> {
        loop {
            let mut line = Vec::new();
            let mut length = 0;
            let ended = loop {
                let buffer = self.file.fill_buf().await?;
                if buffer.is_empty() {
                    break true;
                }
                let newline = buffer.iter().position(|b| *b == b'\n');
                let taken = newline.map_or(buffer.len(), |at| at + 1);
                length += taken;
                if length <= MAX_LINE {
                    line.extend_from_slice(&buffer[..taken]);
                }
                self.consume(taken);
                if newline.is_some() {
                    break false;
                }
            };
            if ended && length == 0 {
                return Ok(None);
            }
            let at = Position {
                line: self.line,
                record: None,
            };
            self.line += 1;
            if length > MAX_LINE {
                let text = Err(too_long());
                return Ok(Some(RawText { at, text }));
            }
            let text = line.trim_ascii();
            if !text.is_empty() {
                let text = Ok(text.to_vec());
                return Ok(Some(RawText { at, text }));
            }
        }
    }

    /// Returns the next element of the array: the text between two of its commas.
    async fn next_element(&mut self) -> io::Result<Option<RawText>> {
        let mut element = Vec::new();
        let mut length = 0;
        let mut nesting = Nesting::default();
        let mut began = self.line;
        let end = loop {
            let buffer = self.file.fill_buf().await?;
            if buffer.is_empty() {
                break None;
            }
            let mut end = None;
            let mut taken = 0;
            for byte in buffer {
                taken += 1;
                if length == 0 && byte.is_ascii_whitespace() {
                    if *byte == b'\n' {
                        self.line += 1;
                    }
                    began = self.line;
                    continue;
                }
                if nesting.ends_at(*byte) {
                    end = Some(*byte);
                    break;
                }
                if *byte == b'\n' {
                    self.line += 1;
                }
                length += 1;
                if length <= MAX_LINE {
                    element.push(*byte);
                }
            }
            self.consume(taken);
            if end.is_some() {
                break end;
            }
        };
        match end {
            Some(b',') => {}
            Some(_) => self.state = ReaderState::Behind,
            None => self.state = ReaderState::Ended,
        }
        if end == Some(b']') && length == 0 {
            return self.behind().await; // an empty list, or a comma before its end
        }
        self.record += 1;
        let at = Position {
            line: began,
            record: Some(self.record),
        };
        let text = if end.is_none() {
            Err("the file ends here, before the list does: it is not whole".to_owned())
        } else if length > MAX_LINE {
            Err(too_long())
        } else {
            Ok(element.trim_ascii().to_vec())
        };
        Ok(Some(RawText { at, text }))
    }

    /// Reports what follows the array, if anything does; it is not read.
    async fn behind(&mut self) -> io::Result<Option<RawText>> {
        self.state = ReaderState::Ended;
        loop {
            let buffer = self.file.fill_buf().await?;
            let Some(first) = buffer.first() else {
                return Ok(None);
            };
            if first.is_ascii_whitespace() {
                self.line += u64::from(*first == b'\n');
                self.consume(1);
                continue;
            }
            let at = Position {
                line: self.line,
                record: Some(self.record + 1),
            };
            let text = Err("the list ended before this; what follows was not read".to_owned());
            return Ok(Some(RawText { at, text }));
        }
    }

    /// Reads up to the `[` and over it; only white space stands before it.
    async fn enter_array(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.file.fill_buf().await?;
            let Some(byte) = buffer.first().copied() else {
                return Ok(());
            };
            self.line += u64::from(byte == b'\n');
            self.consume(1);
            if byte == b'[' {
                return Ok(());
            }
        }
    }

    fn consume(&mut self, taken: usize) {
        self.bytes += u64::try_from(taken).unwrap_or_default();
        self.file.consume(taken);
    }
}

impl Nesting {
    /// Whether the element ends before this byte; if not, the byte is part of it.
    fn ends_at(&mut self, byte: u8) -> bool {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b',' | b']' if self.depth == 0 => return true,
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        false
    }
}
