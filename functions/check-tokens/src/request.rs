//! Parses the payload of an invocation.

use serde::Deserialize;
use serde_json::Value;
use shared::IntegrationKey;
use shared::domain::alert_policy::AlertPolicy;
use shared::domain::consent::ConsentRequest;
use shared::domain::severity::WarningWindow;

/// The payload of a sweep: `{}` for what is due, or `{"days": N, "auto_refresh": bool}` by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// How many days ahead to look. Up to 7 change nothing, because a sweep always warns that
    /// early.
    pub window: WarningWindow,
    /// Whether to refresh what is due; otherwise the sweep only alerts.
    pub auto_refresh: bool,
}

#[derive(Debug)]
pub enum Invocation {
    /// Processes whatever is due.
    Sweep(Request),
    /// Checks one integration now: `{"integration": {"org_id": "...", "integration_id": "..."}}`,
    /// with `"generation": N` only if that credential is still the current one.
    Check(IntegrationKey, Option<u64>),
    /// Takes a step of a person's consent: `{"consent": {"step": "begin", ...}}`.
    Consent(Box<ConsentRequest>),
}

#[derive(Debug, thiserror::Error)]
#[error(
    "the payload is not a request such as {{\"days\":7}} or \
     {{\"days\":30,\"auto_refresh\":false}}: {0}"
)]
pub struct InvalidRequest(String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    days: Option<Value>,
    auto_refresh: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {
    integration: IntegrationKey,
    generation: Option<u64>,
}

impl Invocation {
    /// Reads an invocation's payload.
    ///
    /// # Errors
    /// [`InvalidRequest`] says what is wrong with the payload.
    pub fn parse(payload: &Value) -> Result<Self, InvalidRequest> {
        if let Some(consent) = payload.get("consent") {
            // The error must not repeat a code.
            let request = ConsentRequest::deserialize(consent);
            let request = request.map_err(|_| InvalidRequest("it is no consent".to_owned()))?;
            return Ok(Self::Consent(Box::new(request)));
        }
        if payload.get("integration").is_none() {
            return Request::parse(payload).map(Self::Sweep);
        }
        let Check {
            integration,
            generation,
        } = Check::deserialize(payload).map_err(|e| InvalidRequest(e.to_string()))?;
        Ok(Self::Check(integration, generation))
    }
}

impl Default for Request {
    fn default() -> Self {
        Self {
            window: WarningWindow::default(),
            auto_refresh: true,
        }
    }
}

impl Request {
    /// Reads an invocation's payload.
    ///
    /// # Errors
    /// [`InvalidRequest`] says what is wrong with the payload.
    pub fn parse(payload: &Value) -> Result<Self, InvalidRequest> {
        if !payload.is_object() {
            return Err(InvalidRequest("it is not a JSON object".to_owned()));
        }
        let Payload { days, auto_refresh } =
            Payload::deserialize(payload).map_err(|e| InvalidRequest(e.to_string()))?;
        let window = match days {
            None => WarningWindow::default(),
            Some(days) => days
                .to_string()
                .parse()
                .map_err(|e| InvalidRequest(format!("{e}, not {days}")))?,
        };
        let auto_refresh = match auto_refresh {
            None => true,
            Some(Value::Bool(given)) => given,
            Some(other) => {
                let problem = format!("auto_refresh must be true or false, not {other}");
                return Err(InvalidRequest(problem));
            }
        };
        Ok(Self {
            window,
            auto_refresh,
        })
    }

    pub(crate) fn alert_policy(self) -> AlertPolicy {
        AlertPolicy {
            window: self.window.at_least_default(),
            auto_refresh: self.auto_refresh,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_is_read_and_nonsense_is_named() {
        assert_eq!(Request::parse(&json!({})).unwrap(), Request::default());
        let by_hand = Request::parse(&json!({"days": 30, "auto_refresh": false})).unwrap();
        assert_eq!(
            (by_hand.window, by_hand.auto_refresh),
            (WarningWindow::days(30).unwrap(), false)
        );
        for (bad, named) in [
            (
                json!({"days": 0}),
                "days must be a whole number from 1 to 365, not 0",
            ),
            (json!({"days": -1}), "days must be"),
            (json!({"days": 1.5}), "days must be"),
            (json!({"days": 100_000}), "not 100000"),
            (json!({"days": "abc"}), "days must be"),
            (json!({"dais": 7}), "unknown field `dais`"),
            (
                json!({"version": "0", "detail-type": "Scheduled Event"}),
                "unknown field",
            ),
            (json!([]), "not a JSON object"),
            (json!(null), "not a JSON object"),
            (
                json!({"auto_refresh": "no"}),
                "auto_refresh must be true or false, not \"no\"",
            ),
        ] {
            let error = Request::parse(&bad).unwrap_err().to_string();
            assert!(error.contains(named), "{bad}: {error}");
        }
    }
}
