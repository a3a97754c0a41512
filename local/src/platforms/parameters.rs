//! The parameters of a request, and the client that they identify.

use std::collections::HashMap;

use super::refusal::Refusal;

/// The parameters of a request, by name; an empty one counts as missing.
pub(super) type RequestParameters = HashMap<String, String>;

/// A client that a platform has on file.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) id: String,
    pub(super) secret: String,
}

/// Checks the credentials against those on file; without any on file, it accepts all.
pub(super) fn identify(
    client: Option<&Client>,
    id: &str,
    secret: &str,
) -> Result<(), Refusal<'static>> {
    match client {
        Some(client) if client.id != id => Err(Refusal::Client),
        Some(client) if client.secret != secret => Err(Refusal::Secret),
        _ => Ok(()),
    }
}

/// Returns the client's id, from the parameters of its id and secret.
pub(super) fn identify_pair(
    parameters: &RequestParameters,
    client: Option<&Client>,
    [id, secret]: [&str; 2],
) -> Result<String, Refusal<'static>> {
    let id = text(parameters, id).ok_or(Refusal::Client)?;
    let secret = text(parameters, secret).ok_or(Refusal::Client)?;
    identify(client, id, secret)?;
    Ok(id.to_owned())
}

/// Returns a parameter that is there and not empty.
pub(super) fn text<'a>(parameters: &'a RequestParameters, name: &str) -> Option<&'a str> {
    let value = parameters.get(name)?;
    (!value.is_empty()).then_some(value)
}

pub(super) fn required<'a>(
    parameters: &'a RequestParameters,
    name: &'static str,
) -> Result<&'a str, Refusal<'static>> {
    text(parameters, name).ok_or(Refusal::Missing(name))
}
