//! The attributes of a quota item: their names, and what a stored item means.
//!
//! `n` is the number of permits ever admitted. A *lagged copy* is `n - limit`,
//! under a name that says limit and length (`lp200_3600`). A *snapshot* is under
//! a name that says window and epoch (`p0abc`). A block is `bu` (until), `bs` (its
//! source) and `bf` (from).

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::aws::attributes::{Attributes, number, text};
use crate::domain::quota::item::{Epoch, Item, Span};
use crate::domain::quota::{Block, Policy, Window};

/// The attributes of a block: all of them, or none.
pub(super) const BLOCK: [&str; 3] = ["bu", "bs", "bf"];

/// What a stored item means under the policy in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stored {
    /// The item was written under this policy.
    Current(Item),
    /// The item was written under another policy, whose windows these are: its snapshots are on
    /// their grids.
    OtherPolicy(Item, Vec<(Span, Window)>),
    /// We never write such an item. It must not become an allowance.
    Damaged,
}

pub(super) fn decode(attributes: &Attributes, policy: &Policy) -> Stored {
    let Some(admitted) = attributes.get("n").and_then(natural) else {
        return Stored::Damaged;
    };
    let mut snapshots = BTreeMap::new();
    for (name, value) in attributes {
        let Some(epoch) = parse_snapshot(name) else {
            continue;
        };
        match natural(value) {
            Some(snapshot) if snapshot < admitted => snapshots.insert(epoch, snapshot),
            _ => return Stored::Damaged,
        };
    }
    let Ok(block) = block(attributes) else {
        return Stored::Damaged;
    };
    let item = Item {
        admitted,
        snapshots,
        block,
    };
    let mut is_current = true;
    for span in Span::BOTH {
        match attributes.get(&lag(span, policy)) {
            None => is_current = false,
            Some(lag) if whole(lag) == Some(item.lag(span, policy)) => {}
            Some(_) => return Stored::Damaged,
        }
    }
    if is_current {
        return Stored::Current(item);
    }
    let windows = attributes.keys().filter_map(|name| parse_lag(name));
    Stored::OtherPolicy(item, windows.collect())
}

/// The attributes are no block that we set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DamagedBlock;

/// Returns the block of an item, which may be over. Half a block is damage, and so is one that ends
/// later than any may.
pub(super) fn block(attributes: &Attributes) -> Result<Option<Block>, DamagedBlock> {
    let [until, source, since] = BLOCK.map(|name| attributes.get(name));
    if until.is_none() && source.is_none() && since.is_none() {
        return Ok(None);
    }
    let source = source.and_then(|source| source.as_s().ok()?.parse().ok());
    let (Some(until), Some(source), Some(since)) =
        (until.and_then(natural), source, since.and_then(natural))
    else {
        return Err(DamagedBlock);
    };
    let block = Block {
        until,
        since,
        source,
    };
    match block.is_possible() {
        true => Ok(Some(block)),
        false => Err(DamagedBlock),
    }
}

/// Returns the attributes of a block with their values.
pub(super) fn of_block(block: &Block) -> [(&'static str, AttributeValue); 3] {
    let [until, source, since] = BLOCK;
    [
        (until, number(block.until)),
        (source, text(block.source)),
        (since, number(block.since)),
    ]
}

/// Returns the number of an item's `ttl`, if it is one.
pub(super) fn ttl(attributes: &Attributes) -> Option<u64> {
    attributes.get("ttl").and_then(natural)
}

fn whole(value: &AttributeValue) -> Option<i64> {
    value.as_n().ok()?.parse().ok()
}

fn natural(value: &AttributeValue) -> Option<u64> {
    u64::try_from(whole(value)?).ok()
}

/// Returns the prefix of a window's snapshots. Its digit keeps every name from being a reserved
/// word.
const fn prefix(span: Span) -> &'static str {
    match span {
        Span::Period => "p0",
        Span::Burst => "b0",
    }
}

/// Returns the name of a window's lagged copy. It says limit and length, because a copy that
/// some writer does not advance would loosen the limit.
pub(super) fn lag(span: Span, policy: &Policy) -> String {
    let Window { limit, seconds, .. } = span.window(policy);
    format!("l{}{limit}_{seconds}", &prefix(span)[..1])
}

/// Returns the window that the name of a lagged copy says.
pub(super) fn parse_lag(name: &str) -> Option<(Span, Window)> {
    let (limit, seconds) = name.get(2..)?.split_once('_')?;
    let (limit, seconds) = (limit.parse().ok()?, seconds.parse().ok()?);
    let (span, window) = match name.get(..2)? {
        "lp" => (Span::Period, Window::period(limit, seconds)),
        "lb" => (Span::Burst, Window::burst(limit, seconds)),
        _ => return None,
    };
    Some((span, window.ok()?))
}

/// Returns the name of a snapshot. It is short, because every byte counts towards the kilobyte
/// of one write unit.
pub(super) fn snapshot((span, epoch): Epoch) -> String {
    format!("{}{}", prefix(span), base36(epoch))
}

fn parse_snapshot(name: &str) -> Option<Epoch> {
    let span = Span::BOTH
        .into_iter()
        .find(|span| name.starts_with(prefix(*span)))?;
    Some((span, u64::from_str_radix(&name[2..], 36).ok()?))
}

fn base36(mut value: u64) -> String {
    let mut digits = Vec::new();
    loop {
        let digit = u8::try_from(value % 36).unwrap_or_default();
        digits.push(char::from(if digit < 10 {
            b'0' + digit
        } else {
            b'a' + digit - 10
        }));
        value /= 36;
        if value == 0 {
            return digits.iter().rev().collect();
        }
    }
}
