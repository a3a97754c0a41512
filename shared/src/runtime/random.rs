/// Returns an id that nothing else has: 64 random bits in hexadecimal.
#[must_use]
pub fn random_id() -> String {
    format!("{:016x}", rand::random::<u64>())
}
