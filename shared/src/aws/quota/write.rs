//! The writes, as DynamoDB expressions.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, Utc};

use super::attributes;
use crate::aws::attributes::{Attributes, number, text};
use crate::domain::quota::item::{Epoch, Item, Span, just_left};
use crate::domain::quota::window::seconds;
use crate::domain::quota::{Block, Policy};

/// One conditional `UpdateItem`. `ttl` is a reserved word, and the only name
/// that needs a placeholder (`#t`); every other was chosen so that it needs none.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Write {
    pub(super) update: String,
    pub(super) condition: String,
    pub(super) values: Attributes,
}

/// Seconds that an item outlives its end: clocks differ, and DynamoDB deletes late anyway.
pub(super) const TTL_SLACK: u64 = 60;

/// The main form: grants one permit, or changes nothing. It removes `stale` as well: snapshots
/// of the item that were last seen to restrict nothing.
pub(super) fn admit(policy: &Policy, now: DateTime<Utc>, stale: &[Epoch]) -> Write {
    let (mut set, mut remove, mut number_typed, mut violated) = (vec![], vec![], vec![], vec![]);
    let mut ends_at = 0;
    for span in Span::BOTH {
        let window = span.window(policy);
        let epoch = window.epoch_of(now);
        let (lag, snapshot) = (
            attributes::lag(span, policy),
            attributes::snapshot((span, epoch)),
        );
        // The right-hand side reads the value before this update.
        set.push(format!("{snapshot}=if_not_exists({snapshot},n)"));
        set.push(format!("{lag}={lag}+:1"));
        number_typed.push(format!("attribute_type({lag},:n)"));
        // A comparison with a missing attribute is false, so epochs without
        // traffic restrict nothing.
        violated.extend(
            window
                .range(epoch)
                .map(|e| format!("{}<={lag}", attributes::snapshot((span, e)))),
        );
        remove.extend(just_left(window, epoch).map(|e| attributes::snapshot((span, e))));
        ends_at = ends_at.max(window.frees_at(epoch));
    }
    for name in stale.iter().copied().map(attributes::snapshot) {
        if !remove.contains(&name) {
            remove.push(name);
        }
    }
    Write {
        update: format!(
            "SET n=n+:1,{},#t=:t REMOVE {}",
            set.join(","),
            remove.join(",")
        ),
        condition: format!(
            // An item without a block is not blocked, as above.
            "attribute_type(n,:n) AND {} AND NOT ({} OR bu>:b)",
            number_typed.join(" AND "),
            violated.join(" OR ")
        ),
        values: HashMap::from([
            (":1".to_owned(), number(1)),
            (":b".to_owned(), number(seconds(now))),
            // Not merely there: arithmetic on another type would be an error
            // that says nothing of the item.
            (":n".to_owned(), text("N")),
            (":t".to_owned(), number(ends_at + TTL_SLACK)),
        ]),
    }
}

/// Makes the first grant of a key.
pub(super) fn create(policy: &Policy, now: DateTime<Utc>) -> Write {
    let mut first = Item::empty();
    for span in Span::BOTH {
        first
            .snapshots
            .insert((span, span.window(policy).epoch_of(now)), 0);
    }
    first.admitted = 1;
    let mut write = replace(&first, policy, &HashMap::new());
    write.condition = "attribute_not_exists(quota_key)".to_owned();
    write
}

/// Makes the item of a key that is closed before its first grant. The main form works on it.
pub(super) fn create_blocked(block: Block, policy: &Policy) -> Write {
    let item = Item {
        block: Some(block),
        ..Item::empty()
    };
    let mut write = replace(&item, policy, &HashMap::new());
    write.condition = "attribute_not_exists(quota_key)".to_owned();
    write
}

/// Writes `item` in place of `old`, if that is still there: its `n`, its lagged copies and its block
/// unchanged, however damaged.
pub(super) fn replace(item: &Item, policy: &Policy, old: &Attributes) -> Write {
    let mut values = HashMap::new();
    let mut set = Vec::new();
    let mut put = |name: String, value: AttributeValue| {
        let placeholder = format!(":v{}", values.len());
        set.push((name, placeholder.clone()));
        values.insert(placeholder, value);
    };
    put("n".to_owned(), number(item.admitted));
    for span in Span::BOTH {
        put(
            attributes::lag(span, policy),
            number(item.lag(span, policy)),
        );
    }
    for (epoch, snapshot) in &item.snapshots {
        put(attributes::snapshot(*epoch), number(snapshot));
    }
    for (name, value) in item.block.iter().flat_map(attributes::of_block) {
        put(name.to_owned(), value);
    }
    put("#t".to_owned(), number(item.ends_at(policy) + TTL_SLACK));
    let remove: Vec<_> = old
        .keys()
        .filter(|name| !["quota_key", "ttl"].contains(&name.as_str()))
        .filter(|name| set.iter().all(|(kept, _)| kept != *name))
        .cloned()
        .collect();
    let condition = unchanged(old, &mut values);
    let set: Vec<_> = set
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let mut update = format!("SET {}", set.join(","));
    if !remove.is_empty() {
        update = format!("{update} REMOVE {}", remove.join(","));
    }
    Write {
        update,
        condition,
        values,
    }
}

/// Returns the condition that a quota item is still as `old`. The lagged copies too: else two
/// policies that replace the same item at once could leave behind a copy that one of them does not
/// advance. And the block: else one that was set meanwhile would be lost.
fn unchanged(old: &Attributes, values: &mut Attributes) -> String {
    let lags = old
        .keys()
        .filter(|name| attributes::parse_lag(name).is_some());
    let mut names = vec!["n"];
    names.extend(attributes::BLOCK);
    names.extend(lags.map(String::as_str));
    still(&names, old, values).join(" AND ")
}

/// Returns the conditions that attributes are still as in `old`, or still missing.
pub(super) fn still(names: &[&str], old: &Attributes, values: &mut Attributes) -> Vec<String> {
    let mut number = 0..;
    let conditions = names.iter().map(|name| match old.get(*name) {
        None => format!("attribute_not_exists({name})"),
        Some(value) => {
            let placeholder = format!(":o{}", number.next().unwrap_or_default());
            values.insert(placeholder.clone(), value.clone());
            format!("{name}={placeholder}")
        }
    });
    conditions.collect()
}
