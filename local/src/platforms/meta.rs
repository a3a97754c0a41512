//! Meta: Facebook, by long-lived user tokens.

use aws_lc_rs::hmac;
use serde_json::{Value, json};
use shared::domain::digest;

use super::grant::{Denied, TokenStatus};
use super::graph;
use super::parameters::{Client, RequestParameters, identify, required, text};
use super::refusal::Refusal;
use super::response::PlatformResponse;
use super::rules::{DAY, Rules};
use super::simulated::{
    ClientAuthentication, Encoding, ProbeAnswer, ProbeContext, ProbeEndpoint, RefreshEndpoint,
    Simulated, TokenPlace,
};

pub(super) static SIMULATED: Simulated = Simulated {
    token: "/meta/oauth/access_token",
    authorize: "/meta/dialog/oauth",
    api: "/meta",
    refresh: RefreshEndpoint {
        encodings: &[Encoding::Query, Encoding::Form],
        authentication: ClientAuthentication::Parameters("client_id"),
        grant_type: "fb_exchange_token",
        token: "fb_exchange_token",
        extends: true,
        check,
        body: graph::extended,
    },
    probes: &[ProbeEndpoint {
        path: "/meta/debug_token",
        encoding: Encoding::Query,
        token: TokenPlace::Parameter("input_token"),
        caller,
        adopts_for_ever: false,
        answer: ProbeAnswer::Any(debug_token),
        refuse: graph::refuse_probe,
    }],
    rules: |plain| Rules {
        access_lifetime: 5_183_944,
        data_access_lifetime: Some(90 * DAY),
        ..plain
    },
    scope: "pages_show_list,ads_read",
    refuse: graph::refuse,
    throttle: graph::throttle,
    errors: graph::ERRORS,
};

fn check(parameters: &RequestParameters, rules: &Rules) -> Result<(), Refusal<'static>> {
    let secret = required(parameters, "client_secret")?;
    let token = required(parameters, "fb_exchange_token")?;
    check_proof(parameters, secret, token, rules)?;
    if rules.system_users {
        required(parameters, "set_token_expires_in_60_days")?;
    }
    Ok(())
}

/// Checks that `appsecret_proof` proves that the caller of `token` has the secret
/// (graph-api/guides/secure-requests).
fn check_proof(
    parameters: &RequestParameters,
    secret: &str,
    token: &str,
    rules: &Rules,
) -> Result<(), Refusal<'static>> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    match text(parameters, "appsecret_proof") {
        None if rules.requires_proof => Err(Refusal::Proof("API calls from the server require an")),
        None => Ok(()),
        Some(given) if given == digest::hex(hmac::sign(&key, token.as_bytes()).as_ref()) => Ok(()),
        Some(_) => Err(Refusal::Proof("Invalid")),
    }
}

/// Returns the client's id from the application's own token, after a check of its proof.
fn caller(
    parameters: &RequestParameters,
    client: Option<&Client>,
    rules: &Rules,
) -> Result<String, PlatformResponse> {
    let known = || -> Result<String, Refusal<'static>> {
        let token = text(parameters, "access_token").ok_or(Refusal::Client)?;
        let (id, secret) = token.split_once('|').ok_or(Refusal::Client)?;
        identify(client, id, secret)?;
        check_proof(parameters, secret, token, rules)?;
        Ok(id.to_owned())
    };
    known().map_err(|refusal| match refusal {
        Refusal::Proof(_) => graph::refuse(refusal),
        _ => graph::error(400, 190, 0, "Invalid OAuth access token signature."),
    })
}

/// Meta says with HTTP 200 that a token is dead, and why.
fn debug_token(context: &ProbeContext<'_>, found: Result<TokenStatus, Denied>) -> PlatformResponse {
    let ProbeContext { rules, caller, .. } = context;
    let mut data = json!({
        "app_id": caller,
        "type": if rules.system_users { "SYSTEM_USER" } else { "USER" },
        "application": "The application",
        "is_valid": true,
        "scopes": rules.scope.split(',').collect::<Vec<_>>(),
        "granular_scopes": [],
    });
    let denied = match found {
        Ok(status) => {
            data["user_id"] = json!(status.account());
            data["issued_at"] = json!(status.issued_at);
            // 0: never.
            data["expires_at"] = json!(status.expires_at.unwrap_or(0));
            let data_access = rules
                .data_access_lifetime
                .map_or(0, |life| status.since + life);
            data["data_access_expires_at"] = json!(data_access);
            status.denied
        }
        Err(denied) => Some(denied),
    };
    if let Some(denied) = denied {
        let why: Value =
            serde_json::from_str(&graph::refuse(Refusal::Token(denied)).body).unwrap_or_default();
        let mut error = json!({
            "code": why["error"]["code"],
            "message": why["error"]["message"],
        });
        if let Some(subcode) = why["error"].get("error_subcode") {
            error["subcode"] = subcode.clone();
        }
        data["error"] = error;
        data["is_valid"] = json!(false);
        data["scopes"] = json!([]);
    }
    PlatformResponse::ok(&json!({ "data": data }))
}
