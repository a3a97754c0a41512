//! X, OAuth 2.0 with PKCE.

use reqwest::RequestBuilder;
use serde_json::Value;

use super::dialect::{Ask, Dialect};
use super::rfc6749;
use super::rule::{
    self, ANYWHERE, Fault, HOLDS_US_BACK, OUR_FAULT, REFUSED, Rule, on, status, text,
};
use crate::domain::verdict::{PlatformAction, Verdict};

pub(super) static DIALECT: Dialect = Dialect {
    refresh,
    granted: rfc6749::granted,
    // `GET /2/users/me` is billed as a read (trypost).
    probe: |_| None,
    seen: |_, _| None,
    fault,
    rules: &[RULES, rfc6749::RULES, ANYWHERE],
};

const ENROL: Verdict = Verdict::PlatformActionNeeded(PlatformAction::Enrol);

#[rustfmt::skip] // a rule a line
static RULES: &[Rule] = &[
    // "Value passed for the token was invalid." (gptme-contrib#285)
    on(&["invalid_request"]).saying("token was invalid").means(REFUSED),
    // Billed to the person who signed in, who has no developer account
    // (cursor/plugins#270).
    on(&["client-forbidden"]).sub("user-not-enrolled").means(ENROL),
    // docs.x.com, response-codes-and-errors: problems by the end of their `type`;
    // both come as 403 or 429, and only our account there can mend them.
    on(&["usage-capped", "client-forbidden"]).means(OUR_FAULT),
    // No credits left: with 402, and seen with 403.
    on(&["credits-depleted"]).means(OUR_FAULT),
    status(402).means(OUR_FAULT),
    on(&["88"]).means(HOLDS_US_BACK),
];

/// xdevplatform/docs: HTTP Basic only; X rejects credentials in the body.
fn refresh(ask: &Ask<'_>) -> Option<RequestBuilder> {
    let (id, secret) = ask.client()?;
    let request = ask.http.post(&ask.endpoints.token);
    Some(request.basic_auth(id, Some(secret)).form(&[
        ("grant_type", "refresh_token"),
        ("refresh_token", ask.refresh_token()?),
    ]))
}

fn fault(json: &Value) -> Fault<'_> {
    rfc6749::fault(json).unwrap_or_else(|| {
        let problem = text(&json["type"]).rsplit_once("/problems/");
        let older = rule::code(&json["errors"][0]["code"]);
        Fault {
            codes: problem
                .map(|(_, kind)| kind.into())
                .into_iter()
                .chain(older)
                .collect(),
            subcode: rule::code(&json["reason"]),
            message: text(&json["detail"]),
            ..Fault::default()
        }
    })
}
