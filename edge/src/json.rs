//! Bodies of requests, read strictly.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::problem::Problem;

/// Parses a JSON object; the problem names what is wrong with it.
///
/// # Errors
/// A 400 for anything else.
pub fn parse_object<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let bad =
        |why: String| Problem::bad_request(format!("The body is not as it should be: {why}."));
    let body: Value = serde_json::from_slice(body).map_err(|error| bad(error.to_string()))?;
    if !body.is_object() {
        return Err(bad("it is no JSON object".to_owned()));
    }
    T::deserialize(body).map_err(|error| bad(error.to_string()))
}
