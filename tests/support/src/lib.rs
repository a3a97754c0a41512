//! What the simulations and property tests share: random values from a seed, a tally of
//! what a run met, and the command that repeats a seed.

mod property;
mod random;
mod seeds;
mod tally;

pub use property::{check_property, inputs_of};
pub use random::Random;
pub use seeds::Seeds;
pub use tally::{Moment, Section, StepKinds, Tally};
