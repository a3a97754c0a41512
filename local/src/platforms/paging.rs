//! Lists that come in pages.

use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::parameters::{RequestParameters, text};

/// How many things every list has, unless it is asked for with `endless=1`.
const THINGS: u64 = 60;

/// The most that a page holds, whatever the caller asks for.
const LARGEST_PAGE: u64 = 1_000;

/// The parameter that tells which page.
pub(super) enum Cursor {
    /// A text that only the platform can read.
    Opaque(&'static str),
    /// How many things come before the page.
    Offset(&'static str),
    /// The page's number, from 1.
    Number(&'static str),
}

/// One page of a list whose things are numbered from 0.
pub(super) struct Page {
    pub(super) things: Range<u64>,
    pub(super) size: u64,
    pub(super) total: u64,
    /// What the cursor's parameter is for the next page, if there is one.
    pub(super) next: Option<String>,
}

/// Returns the page that is asked for, or the name of a parameter that makes no sense.
pub(super) fn page(
    cursor: &Cursor,
    size_parameter: Option<&'static str>,
    usual_size: u64,
    parameters: &RequestParameters,
) -> Result<Page, &'static str> {
    let given = size_parameter.and_then(|name| Some((name, text(parameters, name)?)));
    let size = match given {
        None => usual_size,
        Some((name, given)) => given.parse::<u64>().map_err(|_| name)?,
    }
    .clamp(1, LARGEST_PAGE);
    let start = match text(parameters, cursor.name()) {
        None => 0,
        Some(given) => cursor.start(given, size).ok_or(cursor.name())?,
    };
    let total = match text(parameters, "endless") {
        Some(_) => u64::MAX,
        None => THINGS,
    };
    let end = start.saturating_add(size).min(total);
    Ok(Page {
        things: start.min(end)..end,
        size,
        total,
        next: (end < total).then(|| cursor.text(end, size)),
    })
}

impl Page {
    /// Returns the number of this page, from 1.
    pub(super) const fn number(&self) -> u64 {
        self.things.start / self.size + 1
    }
}

impl Cursor {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Opaque(name) | Self::Offset(name) | Self::Number(name) => name,
        }
    }

    fn text(&self, start: u64, size: u64) -> String {
        match self {
            Self::Opaque(_) => opaque(start),
            Self::Offset(_) => start.to_string(),
            Self::Number(_) => (start / size + 1).to_string(),
        }
    }

    fn start(&self, given: &str, size: u64) -> Option<u64> {
        match self {
            Self::Opaque(_) => String::from_utf8(STANDARD.decode(given).ok()?)
                .ok()?
                .parse()
                .ok(),
            Self::Offset(_) => given.parse().ok(),
            Self::Number(_) => given.parse::<u64>().ok()?.checked_sub(1)?.checked_mul(size),
        }
    }
}

/// Returns a cursor as the Graph API's are: a number in Base64
/// (developers.facebook.com/docs/graph-api/results).
pub(super) fn opaque(start: u64) -> String {
    STANDARD.encode(start.to_string())
}
