//! Properties, checked by `proptest`.

use std::fmt::Debug;

use proptest::strategy::Strategy;
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
        let mut runner = TestRunner::new(Config {
            cases: 1,
            rng_seed: RngSeed::Fixed(seed),
            failure_persistence: None,
            ..Config::default()
        });
        let checked = runner.run(inputs, |input| property(input).map_err(TestCaseError::fail));
        if let Err(failure) = checked {
            panic!("{failure}\nalone: {}", seeds.replay(seed));
        }
    }
}
