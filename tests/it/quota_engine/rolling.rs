//! Counting, the plain way.

/// The largest number of `instants` in any half-open interval of `length`.
pub(crate) fn most_within(instants: &[i64], length: i64) -> usize {
    let mut instants = instants.to_vec();
    instants.sort_unstable();
    let mut first = 0;
    let counts = instants.iter().enumerate().map(|(last, at)| {
        while at - instants[first] >= length {
            first += 1;
        }
        last - first + 1
    });
    counts.max().unwrap_or(0)
}
