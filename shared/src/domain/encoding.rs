//! Serde encodings of the values in rows.

use std::fmt;

use serde::{Deserializer, de};

/// Encodes optional instants as epoch seconds, absent where there is none.
pub(super) mod seconds {
    pub(crate) use chrono::serde::ts_seconds_option::{deserialize, serialize};
}

/// Reads bytes and refuses text. `serde_bytes` accepts text as well, so a row that somebody has
/// tampered with would look whole.
pub(super) fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    struct Bytes;

    impl<'de> de::Visitor<'de> for Bytes {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("bytes")
        }

        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }

        fn visit_seq<A: de::SeqAccess<'de>>(self, mut bytes: A) -> Result<Vec<u8>, A::Error> {
            let mut all = Vec::new();
            while let Some(byte) = bytes.next_element()? {
                all.push(byte);
            }
            Ok(all)
        }
    }

    from.deserialize_byte_buf(Bytes)
}

/// Encodes JSON as text, so that it comes back just as it was given: DynamoDB's own numbers do
/// not tell `100` from `100.0`.
pub(super) mod json_text {
    use serde::{Deserialize, Deserializer, Serializer, de, ser};
    use serde_json::{Map, Value};

    pub(crate) fn serialize<S: Serializer>(
        map: &Map<String, Value>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(&serde_json::to_string(map).map_err(ser::Error::custom)?)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Map<String, Value>, D::Error> {
        serde_json::from_str(&String::deserialize(from)?).map_err(de::Error::custom)
    }
}
