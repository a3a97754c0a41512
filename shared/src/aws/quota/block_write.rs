//! The writes that set and lift blocks, as DynamoDB expressions.

use std::collections::HashMap;

use super::attributes;
use super::write::{TTL_SLACK, Write, still};
use crate::aws::attributes::{Attributes, number, text};
use crate::domain::quota::{Block, BlockSource};

/// Seconds that an application's item outlives its block: when it was set still counts for reports.
const APPLICATION_TTL_SLACK: u64 = 300;

/// The item that a block is set on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closes {
    /// A quota's: without its counters it must not be made.
    Quota,
    /// The application's, which holds nothing but its block.
    Application,
}

/// Sets `block` where none is running by the clock of its setter.
pub(super) fn set(block: &Block, closes: Closes) -> Write {
    // A quota's item mostly lives longer than a block, the application's never does.
    let is_ttl_later = closes == Closes::Quota;
    let values = HashMap::from([(":b".to_owned(), number(block.since))]);
    // A comparison with a missing attribute is false.
    write(
        block,
        closes,
        is_ttl_later,
        vec!["NOT (bu>:b)".to_owned()],
        values,
    )
}

/// Sets the application's `block` where none is running by the clock of its setter, and none was
/// set after `latest` (epoch seconds).
pub(super) fn set_after_pause(block: &Block, latest: u64) -> Write {
    let write = set(block, Closes::Application);
    let mut values = write.values;
    values.insert(":f".to_owned(), number(latest));
    Write {
        condition: format!("{} AND NOT (bf>:f)", write.condition),
        values,
        ..write
    }
}

/// Sets `block` in place of that of `old`, if that is still there.
pub(super) fn set_over(block: &Block, closes: Closes, old: &Attributes) -> Write {
    let is_ttl_later = attributes::ttl(old).is_some_and(|ttl| ttl >= wanted_ttl(block, closes));
    let mut values = HashMap::new();
    let conditions = still(&attributes::BLOCK, old, &mut values);
    write(block, closes, is_ttl_later, conditions, values)
}

const fn wanted_ttl(block: &Block, closes: Closes) -> u64 {
    block.until
        + match closes {
            Closes::Quota => TTL_SLACK,
            Closes::Application => APPLICATION_TTL_SLACK,
        }
}

/// Either leaves a `ttl` that is late enough, or sets one that is not.
fn write(
    block: &Block,
    closes: Closes,
    is_ttl_later: bool,
    mut conditions: Vec<String>,
    mut values: Attributes,
) -> Write {
    let mut set = Vec::new();
    for (name, value) in attributes::of_block(block) {
        set.push(format!("{name}=:{name}"));
        values.insert(format!(":{name}"), value);
    }
    values.insert(":t".to_owned(), number(wanted_ttl(block, closes)));
    if is_ttl_later {
        conditions.push("#t>=:t".to_owned());
    } else {
        // So one that is missing or no number is set too.
        conditions.push("NOT (#t>=:t)".to_owned());
        set.push("#t=:t".to_owned());
    }
    if closes == Closes::Quota {
        conditions.push("attribute_type(n,:n)".to_owned());
        values.insert(":n".to_owned(), text("N"));
    }
    Write {
        update: format!("SET {}", set.join(",")),
        condition: conditions.join(" AND "),
        values,
    }
}

/// Lifts a block of `source` that was set at `latest` (epoch seconds) or before.
pub(super) fn lift(source: BlockSource, latest: u64) -> Write {
    Write {
        update: format!("REMOVE {}", attributes::BLOCK.join(",")),
        condition: "bs=:s AND bf<=:f".to_owned(),
        values: HashMap::from([
            (":s".to_owned(), text(source)),
            (":f".to_owned(), number(latest)),
        ]),
    }
}
