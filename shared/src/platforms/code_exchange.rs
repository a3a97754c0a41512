//! How the code that a person's consent brings becomes a grant (RFC 6749, 4.1.3), and how a
//! platform says whose it is.

use serde_json::Value;

use super::json::{code, text};
use super::request::Parameter::{ClientId, ClientSecret, Code, Literal, RedirectUri};
use super::request::{Authentication, Endpoint, Parameters, RequestShape};
use crate::domain::account::Account;

/// The exchange of a code, as a platform wants it.
#[derive(Debug)]
pub(crate) struct CodeExchange {
    pub(crate) request: &'static RequestShape,
    /// Finds the object that holds the tokens in an answer that may have some.
    pub(crate) tokens: fn(&Value) -> Option<&Value>,
    /// Exchanges the token of that answer for one that lives longer.
    pub(crate) lengthening: Option<&'static RequestShape>,
    /// Requests with the new access token, whose answers together say for which accounts the
    /// grant is.
    pub(crate) identity: &'static [(&'static RequestShape, Accounts)],
    /// Says the same from the answer with the tokens, for when no other says it.
    pub(crate) beside_tokens: Accounts,
}

/// Reads the accounts from an answer; empty if it names none.
pub(crate) type Accounts = fn(&Value) -> Vec<Account>;

/// RFC 6749, 4.1.3, with our credentials in the body (2.3.1).
pub(super) static REQUEST: RequestShape = RequestShape {
    endpoint: Endpoint::Code,
    authentication: Authentication::None,
    parameters: Parameters::Form(&[
        ("grant_type", Literal("authorization_code")),
        ("code", Code),
        ("redirect_uri", RedirectUri),
        ("client_id", ClientId),
        ("client_secret", ClientSecret),
    ]),
};

/// Reads an answer that names no account.
pub(super) const fn nobody(_: &Value) -> Vec<Account> {
    Vec::new()
}

/// Returns a list of one account, or of none.
pub(super) fn list_of(account: Option<Account>) -> Vec<Account> {
    account.into_iter().collect()
}

/// Reads an account whose id and name have these names.
pub(super) fn account(body: &Value, id: &str, username: &str) -> Option<Account> {
    account_of(&body[id], text(&body[username]))
}

/// Reads an account of which only the id is said.
pub(super) fn unnamed(id: &Value) -> Option<Account> {
    account_of(id, "")
}

fn account_of(id: &Value, username: &str) -> Option<Account> {
    let id = code(id).filter(|id| !id.is_empty())?;
    Some(Account {
        id: id.into_owned(),
        username: username.to_owned(),
    })
}
