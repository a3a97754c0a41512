//! What we may repeat of a foreign text.

/// Returns the text if it is a plain word, as names of platforms, fields and kinds are. Any
/// other text might be a token in the wrong field, and is withheld.
#[must_use]
pub fn word(text: &str) -> &str {
    let plain = (1..=32).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphabetic() || b"_- ".contains(&b));
    if plain { text } else { "(withheld)" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_repeated_and_tokens_are_not() {
        for plain in ["myspace", "google_ads", "Meta"] {
            assert_eq!(word(plain), plain);
        }
        for other in ["", "EAAGm0PX4ZCps", "1//0gWq8", &"a".repeat(33), "a\nb"] {
            assert_eq!(word(other), "(withheld)");
        }
    }
}
