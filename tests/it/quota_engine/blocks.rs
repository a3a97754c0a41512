//! Blocks: what the platform asks closes a quota for all callers at once, until its end or until it
//! is lifted, and nothing else opens it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, TimeDelta, Utc};
use shared::aws::quota::{BlockOutcome, Limiter, QuotaError};
use shared::domain::quota::{BlockSource, Decision, Denial, DenialReason, QuotaKey};
use shared::{Clock, Platform};

use super::{Engine, key, key_at, policies};
use crate::world::start;

type Item = HashMap<String, AttributeValue>;

fn after(seconds: i64) -> DateTime<Utc> {
    start() + TimeDelta::seconds(seconds)
}

/// Returns the end that a block until then has: a second later, for clocks that differ.
fn end(seconds: i64) -> u64 {
    u64::try_from(after(seconds).timestamp()).unwrap() + 1
}

fn usage() -> BlockSource {
    BlockSource::usage("x-app-usage", "call_count")
}

/// An engine, and instances of the limiter that share a clock.
struct Bench {
    engine: Engine,
    clock: Clock,
}

impl Bench {
    async fn start() -> Self {
        Self {
            engine: Engine::start().await,
            clock: Clock::frozen(start()),
        }
    }

    fn limiter(&self) -> Limiter {
        self.limiter_under(60, 600, 20)
    }

    fn limiter_under(&self, limit: u32, period: u32, burst: u32) -> Limiter {
        Limiter::new(
            self.engine.patient(),
            self.engine.table(),
            policies(limit, period, burst),
            self.clock.clone(),
        )
    }

    async fn item(&self, key: impl std::fmt::Display) -> Option<Item> {
        let get = self.engine.patient().get_item();
        let get = get.table_name(self.engine.table()).consistent_read(true);
        let get = get.key("quota_key", AttributeValue::S(key.to_string()));
        get.send().await.unwrap().item
    }

    async fn put(&self, item: Item) {
        let put = self.engine.patient().put_item();
        let put = put.table_name(self.engine.table());
        put.set_item(Some(item)).send().await.unwrap();
    }
}

fn number(item: &Item, name: &str) -> u64 {
    item[name].as_n().unwrap().parse().unwrap()
}

async fn denied(limiter: &Limiter, key: &QuotaKey) -> Denial {
    match limiter.take_permit(key).await.unwrap() {
        Decision::Denied(denial) => denial,
        Decision::Admitted(permit) => panic!("admitted: {permit:?}"),
    }
}

async fn admitted(limiter: &Limiter, key: &QuotaKey) {
    let decision = limiter.take_permit(key).await.unwrap();
    assert!(matches!(decision, Decision::Admitted(_)), "{decision:?}");
}

fn assert_blocked(denial: &Denial, until: u64) {
    assert_eq!(denial.reason(), DenialReason::Blocked, "{denial:?}");
    assert_eq!(denial.retry_at, until);
    let shown = denial.shown();
    assert_eq!((shown.limit, shown.remaining), (60, 0));
    assert_eq!(shown.reset, until);
}

#[tokio::test]
async fn a_block_closes_a_quota_for_all_callers_and_makes_the_item() {
    let bench = Bench::start().await;
    let (one, other) = (bench.limiter(), bench.limiter());
    for (name, permits) in [("new", 0), ("used", 3)] {
        let key = key(name);
        let from = bench.clock.now();
        for _ in 0..permits {
            admitted(&other, &key).await;
        }
        let until = from + TimeDelta::minutes(30);
        let outcome = one.block(&key, until, BlockSource::Throttle).await.unwrap();
        let BlockOutcome::Set(block) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(block.until, u64::try_from(until.timestamp()).unwrap() + 1);
        // The one that set it knows; the other asks once.
        let calls = one.calls();
        assert_blocked(&denied(&one, &key).await, block.until);
        assert_eq!(one.calls(), calls);
        assert_blocked(&denied(&other, &key).await, block.until);
        let status = other.status(&key).await.unwrap();
        assert_eq!(status.blocked_until, Some(block.until));
        assert_eq!(status.period.remaining, 60 - permits);
        assert_eq!(status.remaining(), 0);
        let item = bench.item(&key).await.unwrap();
        assert!(number(&item, "ttl") >= block.until + 60);
        // At its end, and not a second before, the main form works on it.
        let free = DateTime::from_timestamp(i64::try_from(block.until).unwrap(), 0).unwrap();
        bench.clock.set(free - TimeDelta::seconds(1));
        assert_blocked(&denied(&bench.limiter(), &key).await, block.until);
        bench.clock.set(free);
        admitted(&one, &key).await;
        let status = other.status(&key).await.unwrap();
        assert_eq!((status.blocked_until, status.period.remaining), (None, 59));
        let item = bench.item(&key).await.unwrap();
        assert_eq!(number(&item, "n"), u64::from(permits) + 1);
    }
}

#[tokio::test]
async fn a_longer_block_stays_and_no_block_is_longer_than_a_day() {
    let bench = Bench::start().await;
    let (one, key) = (bench.limiter(), key("longer"));
    let block = |seconds, source| one.block(&key, after(seconds), source);
    let outcome = block(0, BlockSource::Throttle).await.unwrap();
    assert_eq!(outcome, BlockOutcome::Over);
    assert!(bench.item(&key).await.is_none());

    let set = |outcome: BlockOutcome| match outcome {
        BlockOutcome::Set(block) => (true, block.until, block.source),
        BlockOutcome::Kept(block) => (false, block.until, block.source),
        BlockOutcome::Over => panic!("over"),
    };
    let throttle = BlockSource::Throttle;
    for (seconds, source, expected) in [
        (100, usage(), (true, end(100), usage())),
        (50, usage(), (false, end(100), usage())),
        (100, usage(), (false, end(100), usage())),
        (200, usage(), (true, end(200), usage())),
        // An item holds one source, and a throttle's block must not be lifted.
        (150, throttle, (true, end(200), throttle)),
        (150, throttle, (false, end(200), throttle)),
        (300, usage(), (true, end(300), throttle)),
        (90_000, throttle, (true, end(86_400), throttle)),
    ] {
        let outcome = block(seconds, source).await.unwrap();
        assert_eq!(set(outcome), expected, "{seconds} {source}");
        let item = bench.item(&key).await.unwrap();
        assert_eq!(number(&item, "bu"), expected.1);
        assert!(number(&item, "ttl") >= expected.1 + 60);
    }
    // One that is over does not count.
    bench.clock.set(after(86_401));
    let outcome = block(86_500, usage()).await.unwrap();
    assert_eq!(set(outcome), (true, end(86_500), usage()));
}

#[tokio::test]
async fn a_block_is_lifted_by_a_later_report_of_the_same_usage_alone() {
    let bench = Bench::start().await;
    let (one, other, key) = (bench.limiter(), bench.limiter(), key("lifted"));
    let stranger = BlockSource::usage("x-app-usage", "total_time");
    // Where there is no item, none is made.
    assert!(!one.unblock(&key, &usage()).await.unwrap());
    assert!(bench.item(&key).await.is_none());
    one.block(&key, after(3_600), usage()).await.unwrap();
    bench.clock.set(after(59));
    assert!(!one.unblock(&key, &usage()).await.unwrap(), "too early");
    denied(&one, &key).await;
    bench.clock.set(after(60));
    assert_blocked(&denied(&other, &key).await, end(3_600));
    for source in [stranger, BlockSource::Throttle] {
        assert!(!one.unblock(&key, &source).await.unwrap(), "{source}");
    }
    let calls = one.calls();
    assert!(one.unblock(&key, &usage()).await.unwrap());
    assert_eq!(one.calls(), calls + 1);
    admitted(&one, &key).await;
    assert!(!one.unblock(&key, &usage()).await.unwrap(), "there is none");
    // Another instance believes its denial for a minute.
    denied(&other, &key).await;
    bench.clock.set(after(120));
    admitted(&other, &key).await;

    one.block(&key, after(3_600), BlockSource::Throttle)
        .await
        .unwrap();
    bench.clock.set(after(3_600));
    for source in [usage(), BlockSource::Throttle] {
        assert!(!one.unblock(&key, &source).await.unwrap(), "{source}");
    }
    // But a reset forgets it.
    denied(&one, &key).await;
    one.reset(&key).await.unwrap();
    admitted(&one, &key).await;
}

#[tokio::test]
async fn a_block_survives_another_policy_and_the_later_refusal_is_the_reason() {
    let bench = Bench::start().await;
    let (one, key) = (bench.limiter(), key("policy"));
    for _ in 0..20 {
        admitted(&one, &key).await;
    }
    one.block(&key, after(30), usage()).await.unwrap();
    let denial = denied(&bench.limiter(), &key).await;
    assert_eq!(denial.reason(), DenialReason::UsedUp, "{denial:?}");
    assert_eq!(denial.shown(), denial.status.burst);
    assert_eq!(denial.status.blocked_until, Some(end(30)));

    one.block(&key, after(3_600), usage()).await.unwrap();
    let before = bench.item(&key).await.unwrap();
    // Another grid, so that the item is written anew.
    let changed = bench.limiter_under(60, 3_000, 60);
    assert_blocked(&denied(&changed, &key).await, end(3_600));
    let item = bench.item(&key).await.unwrap();
    assert!(item.contains_key("lp60_3000") && !item.contains_key("lp60_600"));
    for name in ["bu", "bs", "bf"] {
        assert_eq!(item[name], before[name], "{name}");
    }
    assert!(number(&item, "ttl") >= end(3_600) + 60);
    bench.clock.set(after(3_601));
    admitted(&changed, &key).await;
}

#[tokio::test]
async fn a_damaged_block_is_never_an_allowance() {
    let bench = Bench::start().await;
    let whole = |n: u64| Some(AttributeValue::N(n.to_string()));
    let text = |text: &str| Some(AttributeValue::S(text.to_owned()));
    for (name, changes) in [
        ("text", vec![("bu", text("soon"))]),
        ("no-source", vec![("bs", None)]),
        ("no-beginning", vec![("bf", None)]),
        ("no-end", vec![("bu", None)]),
        ("end-alone", vec![("bs", None), ("bf", None)]),
        ("source", vec![("bs", text("other"))]),
        ("years", vec![("bu", whole(end(400_000_000)))]),
    ] {
        let (limiter, key) = (bench.limiter(), key(name));
        admitted(&limiter, &key).await;
        limiter.block(&key, after(1), usage()).await.unwrap();
        let mut item = bench.item(&key).await.unwrap();
        for (attribute, value) in changes {
            match value {
                Some(value) => item.insert(attribute.to_owned(), value),
                None => item.remove(attribute),
            };
        }
        bench.put(item).await;
        let fresh = bench.limiter();
        let status = fresh.status(&key).await.unwrap();
        assert_eq!((status.remaining(), status.blocked_until), (0, None));
        let error = fresh.take_permit(&key).await.unwrap_err();
        assert!(matches!(error, QuotaError::Damaged), "{name}: {error}");
        let denial = denied(&fresh, &key).await;
        assert_eq!(denial.reason(), DenialReason::UsedUp, "{name}");
        let item = bench.item(&key).await.unwrap();
        assert!(["bu", "bs", "bf"].iter().all(|of| !item.contains_key(*of)));
    }
    // What is damaged besides does not open a sound block, and a block closes it all the same.
    for (name, set_later) in [("besides", false), ("closed", true)] {
        let (limiter, key) = (bench.limiter(), key(name));
        admitted(&limiter, &key).await;
        let block = || limiter.block(&key, after(80_000), usage());
        if !set_later {
            block().await.unwrap();
        }
        let mut item = bench.item(&key).await.unwrap();
        item.insert("n".to_owned(), AttributeValue::S("many".to_owned()));
        bench.put(item).await;
        match set_later {
            true => assert!(matches!(block().await.unwrap(), BlockOutcome::Set(_))),
            false => assert!(bench.limiter().take_permit(&key).await.is_err()),
        }
        assert_blocked(&denied(&bench.limiter(), &key).await, end(80_000));
    }
}

#[tokio::test]
async fn an_applications_block_closes_every_quota_of_its_platform() {
    let bench = Bench::start().await;
    let (one, other, key) = (bench.limiter(), bench.limiter(), key("application"));
    admitted(&other, &key).await;
    let block = |seconds, source| one.block_application(Platform::Meta, after(seconds), source);
    let calls = one.calls();
    block(600, usage()).await.unwrap();
    assert_eq!(one.calls(), calls + 1);
    let kept = block(300, usage()).await.unwrap();
    assert!(matches!(kept, BlockOutcome::Kept(block) if block.until == end(600)));
    let item = bench.item("application#meta").await.unwrap();
    let mut names: Vec<_> = item.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["bf", "bs", "bu", "quota_key", "ttl"]);
    assert_eq!(number(&item, "ttl"), end(600) + 300);
    // Who set it knows at once, without any call.
    let calls = one.calls();
    assert_blocked(&denied(&one, &key).await, end(600));
    assert_eq!(one.calls(), calls);
    // Others see it with their next look, and then make no call at all.
    bench.clock.set(after(4));
    admitted(&other, &key).await;
    bench.clock.set(after(5));
    let calls = other.calls();
    assert_blocked(&denied(&other, &key).await, end(600));
    assert_eq!(other.calls(), calls + 1);
    bench.clock.set(after(64));
    assert_blocked(&denied(&other, &key).await, end(600));
    assert_eq!(other.calls(), calls + 1);
    let status = other.status(&key).await.unwrap();
    assert_eq!(status.blocked_until, Some(end(600)));
    assert_eq!(status.period.remaining, 58);
    // Other platforms are open.
    let elsewhere = key_at(Platform::Google, "elsewhere");
    admitted(&other, &elsewhere).await;

    // Only time ends it.
    bench.clock.set(after(601));
    admitted(&one, &key).await;
    admitted(&other, &key).await;

    // Of both blocks, the later one is shown.
    one.block(&key, after(1_500), usage()).await.unwrap();
    block(1_400, BlockSource::Throttle).await.unwrap();
    let status = one.status(&key).await.unwrap();
    assert_eq!(status.blocked_until, Some(end(1_500)));
    block(1_700, BlockSource::Throttle).await.unwrap();
    let status = one.status(&key).await.unwrap();
    assert_eq!(status.blocked_until, Some(end(1_700)));
    bench.clock.set(after(1_701));
    admitted(&one, &key).await;
}

#[tokio::test]
async fn reports_leave_a_platform_open_for_most_of_the_time() {
    let bench = Bench::start().await;
    let (one, key) = (bench.limiter(), key("reported"));
    let throttle = BlockSource::Throttle;
    let report =
        |seconds| one.block_application_on_report(Platform::Meta, after(seconds), throttle);
    let mut open = 0;
    for second in 0..600 {
        bench.clock.set(after(second));
        let calls = one.calls();
        report(second + 3_600).await.unwrap();
        assert_eq!(one.calls(), calls + 1);
        // By a limiter that remembers nothing.
        let status = bench.limiter().status(&key).await.unwrap();
        match status.blocked_until {
            Some(until) => assert!(until <= end(361), "{until}"),
            None => open += 1,
        }
    }
    assert_eq!(open, 600 - 2 * 61);

    // One of our own holds as long as it says; a report neither shortens nor prolongs it.
    bench.clock.set(after(700));
    let own = one.block_application(Platform::Meta, after(2_000), throttle);
    own.await.unwrap();
    bench.clock.set(after(1_990));
    let kept = report(5_000).await.unwrap();
    assert!(matches!(kept, BlockOutcome::Kept(block) if block.until == end(2_000)));
    assert_blocked(&denied(&one, &key).await, end(2_000));
    // One that is over before it begins is none.
    assert_eq!(report(1_990).await.unwrap(), BlockOutcome::Over);
}

/// Fails reads while it is told to.
#[derive(Debug, Clone, Default)]
struct BrokenReads(Arc<AtomicBool>);

impl Intercept for BrokenReads {
    fn name(&self) -> &'static str {
        "BrokenReads"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let target = context.request().headers().get("x-amz-target");
        let is_read = target.is_some_and(|target| target.ends_with(".GetItem"));
        match is_read && self.0.load(Ordering::SeqCst) {
            true => Err("reads are broken".into()),
            false => Ok(()),
        }
    }
}

#[tokio::test]
async fn a_look_that_fails_is_no_reason_to_refuse_and_forgets_nothing() {
    let bench = Bench::start().await;
    let broken = BrokenReads::default();
    let config = bench.engine.config().interceptor(broken.clone()).build();
    let limiter = Limiter::new(
        Client::from_conf(config),
        bench.engine.table(),
        policies(60, 600, 20),
        bench.clock.clone(),
    );
    let (setter, key) = (bench.limiter(), key("look"));
    broken.0.store(true, Ordering::SeqCst);
    admitted(&limiter, &key).await;
    // A failed look is a look: the next one is due in 5 s.
    let calls = limiter.calls();
    admitted(&limiter, &key).await;
    assert_eq!(limiter.calls(), calls + 1);
    broken.0.store(false, Ordering::SeqCst);
    setter
        .block_application(Platform::Meta, after(200), usage())
        .await
        .unwrap();
    bench.clock.set(after(5));
    assert_blocked(&denied(&limiter, &key).await, end(200));
    // What was known before is still believed.
    broken.0.store(true, Ordering::SeqCst);
    bench.clock.set(after(70));
    assert_blocked(&denied(&limiter, &key).await, end(200));
    bench.clock.set(after(201));
    admitted(&limiter, &key).await;
    // Nor does a damaged item refuse, and the next block mends it.
    broken.0.store(false, Ordering::SeqCst);
    let mut item = bench.item("application#meta").await.unwrap();
    item.remove("bs");
    item.insert("bu".to_owned(), AttributeValue::S("soon".to_owned()));
    bench.put(item).await;
    bench.clock.set(after(210));
    admitted(&limiter, &key).await;
    setter
        .block_application(Platform::Meta, after(400), usage())
        .await
        .unwrap();
    bench.clock.set(after(215));
    assert_blocked(&denied(&limiter, &key).await, end(400));
}
