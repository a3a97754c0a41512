//! What a decision weighs, for every policy: an item below 1 KB is one write
//! unit; an expression may have 4 KB and 300 operators and functions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::types::AttributeValue;
use chrono::TimeDelta;
use serde_json::Value;
use shared::aws::quota::Limiter;
use shared::domain::id::MAX_LENGTH;
use shared::domain::quota::{BlockSource, Policies, Policy, QuotaKey};
use shared::{Clock, IntegrationId, OrgId, Platform};

use super::{Engine, policies};
use crate::world::start;

/// Records the greatest size of each expression that was sent.
#[derive(Debug, Clone, Default)]
struct Sent(Arc<Mutex<Expressions>>);

#[derive(Debug, Clone, Copy, Default)]
struct Expressions {
    /// Bytes of one update with its condition.
    bytes: usize,
    /// Operators and functions of a condition.
    in_condition: usize,
    /// Operators and functions of an update.
    in_update: usize,
}

impl Intercept for Sent {
    fn name(&self) -> &'static str {
        "Sent"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body: Value = serde_json::from_slice(context.request().body().bytes().unwrap())?;
        let text = |name: &str| body[name].as_str().unwrap_or_default();
        let (update, condition) = (text("UpdateExpression"), text("ConditionExpression"));
        let mut longest = self.0.lock().unwrap();
        longest.bytes = longest.bytes.max(update.len() + condition.len());
        longest.in_condition = longest.in_condition.max(operators(condition));
        longest.in_update = longest.in_update.max(operators(update));
        Ok(())
    }
}

/// Counts operators and functions as DynamoDB does, and also assignments and commas, to
/// be on the safe side.
fn operators(expression: &str) -> usize {
    let words = ["AND", "OR", "NOT"];
    let spelled = expression
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| {
            words.contains(word) || word.starts_with("attribute_") || *word == "if_not_exists"
        })
        .count();
    let signs = expression.matches(['=', '+', '-', ',']).count();
    spelled + signs
}

/// Counts bytes as the developer guide does: names and text by their length, a number by
/// half its significant digits, one more, and one for a sign.
fn size(item: &HashMap<String, AttributeValue>) -> usize {
    let value = |value: &AttributeValue| match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(number) => {
            let digits = number.trim_start_matches('-');
            digits.len().div_ceil(2) + 1 + usize::from(number.starts_with('-'))
        }
        other => panic!("{other:?}"),
    };
    item.iter().map(|(name, of)| name.len() + value(of)).sum()
}

struct ItemSize {
    item: usize,
    key: usize,
    sent: Expressions,
}

/// Measures the item of a key that is used all the time, after ten years of it, with a block that
/// is over.
async fn measure(engine: &Engine, platform: Platform, policies: Policies) -> ItemSize {
    let sent = Sent::default();
    let config = engine.config().interceptor(sent.clone()).build();
    let clock = Clock::frozen(start());
    let policy = policies.for_platform(platform);
    let client = Client::from_conf(config);
    let limiter_of =
        |policies| Limiter::new(client.clone(), engine.table(), policies, clock.clone());
    let limiter = limiter_of(policies);
    let name = format!("{}-{}", policy.period.limit, policy.period.seconds);
    let key = QuotaKey::new(
        platform,
        OrgId::new("o".repeat(36)).unwrap(),
        IntegrationId::new(format!("{name:-<36}")).unwrap(),
    );
    limiter.take_permit(&key).await.unwrap();
    age(engine, &key, &policy).await;
    let usage = BlockSource::usage("x-business-use-case-usage", "ads_management");
    assert_eq!(usage.to_string().len(), 5);
    let soon = clock.now() + TimeDelta::seconds(1);
    limiter.block(&key, soon, usage).await.unwrap();
    // Once in every epoch of the long window, then in every epoch of both. A
    // policy of few permits denies some; the item holds no more for it.
    let epoch = i64::from(policy.period.seconds.div_ceil(30)).max(2);
    let steps = [[epoch; 60], [epoch.min(3); 60]];
    let mut largest = HashMap::new();
    for step in steps.into_iter().flatten() {
        clock.advance(TimeDelta::seconds(step));
        limiter.take_permit(&key).await.unwrap();
        let item = get_item(engine, &key).await;
        if size(&item) > size(&largest) {
            largest = item;
        }
    }
    assert!(largest.contains_key("bu") && largest.contains_key("bs"));
    // What it takes to replace that item when the policy changes.
    limiter_of(changed(platform, &policy))
        .take_permit(&key)
        .await
        .unwrap();
    let sent = *sent.0.lock().unwrap();
    ItemSize {
        item: size(&largest),
        key: key.to_string().len(),
        sent,
    }
}

/// Returns a policy of slightly lower limits, on the same grids: every snapshot is written again.
fn changed(platform: Platform, policy: &Policy) -> Policies {
    let (limit, burst) = (policy.period.limit - 1, policy.burst.limit - 1);
    let period = policy.period.seconds;
    let json = format!(r#"{{"{platform}":{{"limit":{limit},"period":{period},"burst":{burst}}}}}"#);
    json.parse().unwrap()
}

/// Ages a key as if it had been in use for ten years, as fast as its policy and one
/// partition of DynamoDB (1,000 writes a second) allow.
async fn age(engine: &Engine, key: &QuotaKey, policy: &Policy) {
    const TEN_YEARS: u64 = 10 * 366 * 86_400;
    let by_policy = TEN_YEARS / u64::from(policy.period.seconds) * u64::from(policy.period.limit);
    let granted = by_policy.min(TEN_YEARS * 1_000);
    let mut item = get_item(engine, key).await;
    for (name, value) in &mut item {
        if let AttributeValue::N(number) = value
            && name != "ttl"
        {
            *number =
                (number.parse::<i64>().unwrap() + i64::try_from(granted).unwrap()).to_string();
        }
    }
    let put = engine.patient().put_item().table_name(engine.table());
    put.set_item(Some(item)).send().await.unwrap();
}

async fn get_item(engine: &Engine, key: &QuotaKey) -> HashMap<String, AttributeValue> {
    let get = engine.patient().get_item().table_name(engine.table());
    let get = get.key("quota_key", AttributeValue::S(key.to_string()));
    get.consistent_read(true)
        .send()
        .await
        .unwrap()
        .item
        .unwrap()
}

/// Prints a table; returns the policies whose item is above one write unit.
#[expect(clippy::print_stdout, reason = "its table")]
async fn measure_all(policies: impl IntoIterator<Item = (Platform, Policies)>) -> Vec<String> {
    let engine = Engine::start().await;
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN);
    table.set_header([
        "policy",
        "item, bytes",
        "with the longest ids",
        "expressions, bytes",
        "operators, condition",
        "operators, update",
    ]);
    let mut above = Vec::new();
    for (platform, policies) in policies {
        let policy = policies.for_platform(platform);
        let of = format!(
            "{platform}: {} in {} s, {} in 60 s",
            policy.period.limit, policy.period.seconds, policy.burst.limit
        );
        let ItemSize { item, key, sent } = measure(&engine, platform, policies).await;
        let longest_key = platform.to_string().len() + 2 + 2 * MAX_LENGTH;
        table.add_row([
            of.clone(),
            item.to_string(),
            (item - key + longest_key).to_string(),
            sent.bytes.to_string(),
            sent.in_condition.to_string(),
            sent.in_update.to_string(),
        ]);
        assert!(sent.bytes < 4096, "{of}: {sent:?}");
        assert!(
            sent.in_condition.max(sent.in_update) < 300,
            "{of}: {sent:?}"
        );
        if item >= 1024 {
            above.push(of);
        }
    }
    println!("{table}");
    above
}

fn custom(of: &[(u32, u32, u32)]) -> Vec<(Platform, Policies)> {
    of.iter()
        .map(|(limit, period, burst)| (Platform::Meta, policies(*limit, *period, *burst)))
        .collect()
}

const LARGEST: u32 = 1_000_000_000;

#[tokio::test]
async fn every_default_policy_takes_one_write_unit() {
    let defaults = Platform::ALL.map(|platform| (platform, Policies::default()));
    assert_eq!(measure_all(defaults).await, [""; 0]);
}

#[tokio::test]
async fn a_custom_policy_takes_one_write_unit() {
    // The most epochs, the longest names, the largest numbers; and some like
    // those that tests use.
    let policies = custom(&[
        (LARGEST, 60, LARGEST),
        (LARGEST, 61, LARGEST),
        (LARGEST, 366 * 86_400, LARGEST),
        (60_000, 60, 60_000),
        (60_000, 90, 60_000),
        (60, 60, 60),
        (3_600, 3_600, 60),
    ]);
    assert_eq!(measure_all(policies).await, [""; 0]);
}
