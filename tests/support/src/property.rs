//! Properties, checked by `proptest`.

use std::fmt::Debug;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};

use crate::Seeds;

/// Checks a property of one generated input for each seed: the same inputs in
/// every run of the tests. A failing input is shrunk before it is shown.
///
/// # Panics
/// If the property does not hold.
pub fn check_property<V: Debug>(
    seeds: &Seeds,
    inputs: &impl Strategy<Value = V>,
    property: impl Fn(V) -> Result<(), String>,
) {
    for seed in seeds.all() {
        let mut runner = runner(seed);
        let checked = runner.run(inputs, |input| property(input).map_err(TestCaseError::fail));
        if let Err(failure) = checked {
            panic!("{failure}\nalone: {}", seeds.replay(seed));
        }
    }
}

/// The inputs that [`check_property`] gives to a property, without shrinking.
///
/// # Panics
/// If the strategy generates nothing.
pub fn inputs_of<V: Debug>(
    seeds: &Seeds,
    inputs: &impl Strategy<Value = V>,
) -> impl Iterator<Item = V> {
    seeds.all().map(|seed| {
        let tree = inputs.new_tree(&mut runner(seed));
        tree.expect("an input").current()
    })
}

fn runner(seed: u64) -> TestRunner {
    TestRunner::new(Config {
        cases: 1,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..Config::default()
    })
}
