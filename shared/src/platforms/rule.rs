//! The language of error rules: what an error means, as data. Each platform's file
//! has its table; the first rule that fits decides.

use std::borrow::Cow;

use chrono::TimeDelta;

use crate::domain::verdict::{ReconnectReason, ThrottleScope, Transient, Verdict};

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestKind {
    /// Asks for new tokens.
    Refresh,
    /// Exchanges the code of a consent.
    Code,
    /// Asks whether the access token works.
    Probe,
    /// Calls the API, for whoever uses the integration.
    Call,
}

/// An answer that does not hold what we asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsuccessful {
    pub verdict: Verdict,
    /// The platform's error code, of a form that cannot hold a token. If there was none, what came
    /// instead: `http_200_html`, `redirected`, `timed_out_after_10_s`.
    pub code: Option<String>,
}

/// An error in the platform's own words, from wherever it puts them.
#[derive(Debug, Default)]
pub(crate) struct ErrorBody<'a> {
    /// Its codes, numbers as text, the most telling one first.
    pub(crate) codes: Vec<Cow<'a, str>>,
    /// What narrows the codes down.
    pub(crate) subcode: Option<Cow<'a, str>>,
    /// The sentence beside the codes.
    pub(crate) message: &'a str,
    /// Whether the platform itself calls the error transient.
    pub(crate) is_transient: bool,
    /// How long the platform asks us to wait, if the body says so.
    pub(crate) wait: Option<TimeDelta>,
}

/// A rule fits an error if everything that it names holds.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) codes: Codes,
    subcode: Option<&'static str>,
    /// In lower case.
    message: Option<&'static str>,
    status: Option<(u16, u16)>,
    transient: bool,
    /// The kinds of request whose answers it is for; empty for every kind.
    kinds: &'static [RequestKind],
    /// What the error means. A wait here is for an answer that asks for none.
    pub(crate) means: Verdict,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Codes {
    Any,
    OneOf(&'static [&'static str]),
    /// Numbers, both ends included.
    Between(u32, u32),
}

pub(crate) const UNINTELLIGIBLE: Verdict = Verdict::Transient(Transient::Unintelligible);
pub(crate) const SERVER_ERROR: Verdict = Verdict::Transient(Transient::ServerError);
pub(crate) const APPLICATION_THROTTLED: Verdict = throttled(ThrottleScope::Application);
pub(crate) const INTEGRATION_THROTTLED: Verdict = throttled(ThrottleScope::Integration);
pub(crate) const GRANT_REFUSED: Verdict = Verdict::ReconnectNeeded(ReconnectReason::GrantRefused);
pub(crate) const REVOKED: Verdict = Verdict::ReconnectNeeded(ReconnectReason::Revoked);
pub(crate) const EXPIRED: Verdict = Verdict::ReconnectNeeded(ReconnectReason::Expired);
pub(crate) const APP_MISCONFIGURED: Verdict = Verdict::AppMisconfigured;
pub(crate) const PROBE_NOT_APPLICABLE: Verdict = Verdict::ProbeNotApplicable;
pub(crate) const PERMISSION_LOST: Verdict = Verdict::PermissionLost(Vec::new());

const fn throttled(scope: ThrottleScope) -> Verdict {
    Verdict::Throttled { wait: None, scope }
}

/// Rules for any server, after a platform's own rules.
pub(crate) static ANYWHERE: &[Rule] = &[
    // RFC 6585, section 4. It does not say whom it holds back: at a token endpoint our
    // application, which all requests there have in common; of a call the one integration.
    status(429).in_call().means(INTEGRATION_THROTTLED),
    status(429).means(APPLICATION_THROTTLED),
    // RFC 9110, 15.6.
    statuses(500, 599).means(SERVER_ERROR),
];

/// Fits any of these codes.
pub(crate) const fn on(codes: &'static [&'static str]) -> Rule {
    rule(Codes::OneOf(codes))
}

/// Fits any number from `first` to `last`.
pub(crate) const fn between(first: u32, last: u32) -> Rule {
    rule(Codes::Between(first, last))
}

/// Fits whatever the code, also if there is none.
pub(crate) const fn any() -> Rule {
    rule(Codes::Any)
}

/// Fits this HTTP status.
pub(crate) const fn status(status: u16) -> Rule {
    statuses(status, status)
}

const fn statuses(first: u16, last: u16) -> Rule {
    let mut rule = any();
    rule.status = Some((first, last));
    rule
}

const fn rule(codes: Codes) -> Rule {
    Rule {
        codes,
        subcode: None,
        message: None,
        status: None,
        transient: false,
        kinds: &[],
        means: UNINTELLIGIBLE,
    }
}

impl Rule {
    /// Fits only with this subcode.
    pub(crate) const fn subcode(mut self, subcode: &'static str) -> Self {
        self.subcode = Some(subcode);
        self
    }

    /// Fits only if the message contains `words`, given in lower case.
    pub(crate) const fn saying(mut self, words: &'static str) -> Self {
        self.message = Some(words);
        self
    }

    /// Fits only with this HTTP status.
    pub(crate) const fn with_status(mut self, status: u16) -> Self {
        self.status = Some((status, status));
        self
    }

    /// Fits only if the platform itself calls the error transient.
    pub(crate) const fn transient(mut self) -> Self {
        self.transient = true;
        self
    }

    /// Fits only the answer to a probe.
    pub(crate) const fn in_probe(mut self) -> Self {
        self.kinds = &[RequestKind::Probe];
        self
    }

    /// Fits only the answer to a call of the API.
    pub(crate) const fn in_call(mut self) -> Self {
        self.kinds = &[RequestKind::Call];
        self
    }

    /// Fits only the answer to a code.
    pub(crate) const fn of_code(mut self) -> Self {
        self.kinds = &[RequestKind::Code];
        self
    }

    /// Fits only where the access token was sent to be used. Such an error is about that token,
    /// whose end is not that of the grant.
    pub(crate) const fn of_access_token(mut self) -> Self {
        self.kinds = &[RequestKind::Probe, RequestKind::Call];
        self
    }

    pub(crate) const fn means(mut self, verdict: Verdict) -> Self {
        // A constant function drops nothing, and this one holds nothing.
        std::mem::forget(std::mem::replace(&mut self.means, verdict));
        self
    }

    fn fits(&self, kind: RequestKind, status: u16, error: &ErrorBody<'_>) -> bool {
        let code = match self.codes {
            Codes::Any => true,
            Codes::OneOf(codes) => error.codes.iter().any(|code| codes.contains(&&**code)),
            Codes::Between(first, last) => {
                let mut numbers = error.codes.iter().filter_map(|code| code.parse().ok());
                numbers.any(|number: u32| (first..=last).contains(&number))
            }
        };
        code && self
            .subcode
            .is_none_or(|subcode| error.subcode.as_deref() == Some(subcode))
            && self
                .message
                .is_none_or(|words| error.message.to_ascii_lowercase().contains(words))
            && self
                .status
                .is_none_or(|(first, last)| (first..=last).contains(&status))
            && (error.is_transient || !self.transient)
            && (self.kinds.is_empty() || self.kinds.contains(&kind))
    }
}

/// Returns the first rule that fits.
pub(crate) fn find(
    tables: &[&'static [Rule]],
    kind: RequestKind,
    status: u16,
    error: &ErrorBody<'_>,
) -> Option<&'static Rule> {
    let mut rules = tables.iter().flat_map(|table| table.iter());
    rules.find(|rule| rule.fits(kind, status, error))
}

impl ErrorBody<'_> {
    /// Whether the body is an error whatever the status, as TikTok Business has it. It calls a
    /// success 0, and TikTok calls it ok.
    pub(crate) fn is_error(&self) -> bool {
        let mut codes = self.codes.iter();
        codes.any(|code| !["0", "ok"].contains(&&**code))
    }

    /// Returns words of the sentence that look like permissions, such as `pages_manage_posts`,
    /// `r_ads` or `user.info.basic`. Some may be anything else: only those that an integration
    /// is known to have had are kept.
    pub(crate) fn named_permissions(&self) -> Vec<String> {
        let edges = |letter: char| !letter.is_ascii_alphanumeric() && letter != '/';
        self.message
            .split([' ', ',', '(', ')', '\'', '"'])
            .map(|word| word.trim_matches(edges))
            .filter(|word| word.len() <= 128 && word.contains(['_', '.', ':']))
            .take(32)
            .map(str::to_owned)
            .collect()
    }

    /// Returns what is kept of the codes: short numbers, or a word or words. Anything else
    /// could be a token that the platform repeats.
    pub(crate) fn code_to_keep(&self) -> Option<String> {
        let code = self.codes.iter().find(|code| is_plain(code))?;
        Some(match self.subcode.as_ref().filter(|sub| is_plain(sub)) {
            Some(subcode) => format!("{code}/{subcode}"),
            None => code.to_string(),
        })
    }
}

fn is_plain(code: &str) -> bool {
    let number = code.len() <= 7 && code.bytes().all(|b| b.is_ascii_digit());
    // Of one case and without digits.
    let words = |letter: fn(&u8) -> bool| {
        code.len() <= 48
            && code
                .split(['_', '-'])
                .all(|word| word.len() <= 16 && word.as_bytes().iter().all(letter))
    };
    !code.is_empty() && (number || words(u8::is_ascii_lowercase) || words(u8::is_ascii_uppercase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_that_is_kept_cannot_be_a_token() {
        let kept = |code: &'static str| {
            let error = ErrorBody {
                codes: vec![code.into()],
                ..ErrorBody::default()
            };
            error.code_to_keep().is_some()
        };
        for code in [
            "190",
            "65601",
            "invalid_grant",
            "usage-capped",
            "CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION",
        ] {
            assert!(kept(code), "{code}");
        }
        for token in [
            "",
            "12345678",
            "-5",
            "1.5",
            "ya29.a0ARrdaM-secret",
            "EAAGm0PX4ZCps",
            "act_Example",
            "abcdefghijklmnopqrstuvwxyz",
            "invalid grant",
            "a_b_c_d_e_f_g_h_i_j_k_l_m_n_o_p_q_r_s_t_u_v_w_x_y_z",
            "ünïcode",
        ] {
            assert!(!kept(token), "{token}");
        }
    }
}
