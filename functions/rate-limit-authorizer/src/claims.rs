//! Checks what a correctly signed token says.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use shared::runtime::variables::InvalidVariable;
use shared::{UserId, Variables};

use crate::error::Refusal;

/// How far the issuer's clock may be ahead of ours, in seconds.
const SKEW: f64 = 30.0;

/// Claims that people can usually write themselves in their profile, so that
/// anyone could become anyone (OpenID Connect Core, 5.1; Entra's `unique_name`).
const WRITABLE: [&str; 20] = [
    "name",
    "given_name",
    "family_name",
    "middle_name",
    "nickname",
    "preferred_username",
    "unique_name",
    "profile",
    "picture",
    "website",
    "email",
    "email_verified",
    "gender",
    "birthdate",
    "zoneinfo",
    "locale",
    "phone_number",
    "phone_number_verified",
    "address",
    "updated_at",
];

pub(crate) type Claims = Map<String, Value>;

/// The values that the claims of a valid token must have.
#[derive(Debug)]
pub(crate) struct Expected {
    issuer: String,
    user_claim: String,
}

impl Expected {
    pub(crate) fn from_variables(variables: &Variables) -> Result<Self, InvalidVariable> {
        let user_claim = variables.get("AUTH_USER_CLAIM").unwrap_or("sub");
        // Cognito lets an application's users write `custom:` attributes by default.
        if WRITABLE.contains(&user_claim) || user_claim.starts_with("custom:") {
            let problem = format!(
                "{user_claim} is a claim that users can usually write themselves, and so name \
                 somebody else; name one that only the issuer sets, such as sub"
            );
            return Err(variables.invalid("AUTH_USER_CLAIM", problem));
        }
        Ok(Self {
            issuer: variables.required("AUTH_ISSUER")?.to_owned(),
            user_claim: user_claim.to_owned(),
        })
    }

    /// Returns the user whom these claims name, if the claims are valid now and for one of
    /// `audiences`.
    pub(crate) fn user(
        &self,
        claims: &Claims,
        audiences: Audiences<'_>,
        now: DateTime<Utc>,
    ) -> Result<UserId, Refusal> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if text("iss") != Some(self.issuer.as_str()) {
            return Err(Refusal::Issuer);
        }
        // NumericDate may have a fraction (RFC 7519, 2).
        #[expect(
            clippy::cast_precision_loss,
            reason = "seconds of a few thousand years fit in 53 bits"
        )]
        let now = now.timestamp() as f64;
        let expires = claims.get("exp").and_then(Value::as_f64);
        if expires.is_none_or(|at| at <= now) {
            return Err(Refusal::Expired);
        }
        if let Some(not_before) = claims.get("nbf") {
            let begins = not_before.as_f64().ok_or(Refusal::Malformed)?;
            if begins > now + SKEW {
                return Err(Refusal::NotYet);
            }
        }
        if !audiences.include(claims) {
            return Err(Refusal::Audience);
        }
        let user = text(&self.user_claim).ok_or(Refusal::User)?;
        UserId::new(user).map_err(|_| Refusal::User)
    }
}

/// The audiences that are ours, separated by commas: people and machines sign in by clients of
/// their own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Audiences<'a>(&'a str);

impl<'a> Audiences<'a> {
    /// Reads the stage variable `auth_audience`. Returns `None` if it is missing, or one of the
    /// audiences is empty, which a token may have too.
    pub(crate) fn of_stage(variables: &'a HashMap<String, String>) -> Option<Self> {
        Self::parse(variables.get("auth_audience")?)
    }

    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let is_whole = text.split(',').all(|audience| !audience.is_empty());
        is_whole.then_some(Self(text))
    }

    /// Whether a token with these claims is for one of them. `aud` decides where there is one.
    /// Cognito's access tokens have none and name the application in `client_id`
    /// (docs.aws.amazon.com/cognito, "Understanding the access token").
    fn include(self, claims: &Claims) -> bool {
        let us = |value: &Value| {
            let named = value.as_str();
            self.0.split(',').any(|ours| named == Some(ours))
        };
        match claims.get("aud") {
            Some(Value::Array(audiences)) => audiences.iter().any(us),
            Some(audience) => us(audience),
            None => {
                let used_as = claims.get("token_use").and_then(Value::as_str);
                used_as == Some("access") && claims.get("client_id").is_some_and(us)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn variables(user_claim: &str) -> Variables {
        [
            ("AUTH_ISSUER", "https://id.example"),
            ("AUTH_USER_CLAIM", user_claim),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into_iter()
        .collect()
    }

    fn judge(changes: Value) -> Result<String, Refusal> {
        let mut claims = json!({
            "iss": "https://id.example", "aud": "warden", "sub": "ian", "exp": NOW + 60,
        });
        for (name, value) in changes.as_object().unwrap() {
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(name);
            } else {
                claims[name] = value.clone();
            }
        }
        let now = DateTime::from_timestamp(NOW, 0).unwrap();
        let expected = Expected::from_variables(&variables("")).unwrap();
        let audiences = Audiences::parse("warden,machines").unwrap();
        let user = expected.user(claims.as_object().unwrap(), audiences, now)?;
        Ok(user.to_string())
    }

    #[test]
    fn good_claims_name_the_user() {
        for changes in [
            json!({}),
            json!({"nbf": NOW + 30, "exp": NOW as f64 + 0.5}),
            json!({"aud": ["other", "warden"]}),
            json!({"aud": null, "token_use": "access", "client_id": "warden"}),
            json!({"aud": null, "token_use": "access", "client_id": "machines"}),
            json!({"aud": "machines"}),
        ] {
            assert_eq!(judge(changes.clone()).as_deref(), Ok("ian"), "{changes}");
        }
    }

    #[test]
    fn each_claim_is_checked() {
        for (changes, expected) in [
            (json!({"iss": "https://id.example/"}), Refusal::Issuer),
            (json!({"iss": null}), Refusal::Issuer),
            (json!({"iss": ["https://id.example"]}), Refusal::Issuer),
            (json!({"exp": NOW}), Refusal::Expired),
            (json!({"exp": null}), Refusal::Expired),
            (json!({"exp": (NOW + 60).to_string()}), Refusal::Expired),
            (json!({"nbf": NOW + 31}), Refusal::NotYet),
            (json!({"nbf": "soon"}), Refusal::Malformed),
            (json!({"aud": "other"}), Refusal::Audience),
            (json!({"aud": "warden,machines"}), Refusal::Audience),
            (json!({"aud": ""}), Refusal::Audience),
            (json!({"aud": []}), Refusal::Audience),
            (json!({"aud": null}), Refusal::Audience),
            (
                json!({"aud": null, "client_id": "warden"}),
                Refusal::Audience,
            ),
            (
                json!({"aud": null, "client_id": "warden", "token_use": "id"}),
                Refusal::Audience,
            ),
            (
                json!({"aud": "other", "client_id": "warden", "token_use": "access"}),
                Refusal::Audience,
            ),
            (json!({"sub": "user#x"}), Refusal::User),
            (json!({"sub": ""}), Refusal::User),
            (json!({"sub": 7}), Refusal::User),
            (json!({"sub": null}), Refusal::User),
        ] {
            assert_eq!(judge(changes.clone()), Err(expected), "{changes}");
        }
    }

    #[test]
    fn a_stage_without_whole_audiences_has_none() {
        let of = |name: &str, value: &str| HashMap::from([(name.to_owned(), value.to_owned())]);
        for audiences in ["warden", "warden,machines", "https://api.example/?a=b#c"] {
            assert!(Audiences::of_stage(&of("auth_audience", audiences)).is_some());
        }
        for audiences in ["", ",", "warden,", ",warden", "warden,,machines"] {
            assert!(Audiences::of_stage(&of("auth_audience", audiences)).is_none());
        }
        assert!(Audiences::of_stage(&of("AUTH_AUDIENCE", "warden")).is_none());
    }

    #[test]
    fn a_claim_that_users_write_is_no_identity() {
        for claim in [
            "name",
            "email",
            "preferred_username",
            "nickname",
            "custom:id",
        ] {
            let error = Expected::from_variables(&variables(claim))
                .unwrap_err()
                .to_string();
            let expected = format!("environment variable AUTH_USER_CLAIM: {claim} is a claim that");
            assert!(error.starts_with(&expected), "{error}");
        }
        for claim in ["", "sub", "client_id", "oid", "https://acme.example/user"] {
            assert!(
                Expected::from_variables(&variables(claim)).is_ok(),
                "{claim}"
            );
        }
    }
}
