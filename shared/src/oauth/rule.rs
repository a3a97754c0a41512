//! Rules: what an error means, as data. Each platform's table stands beside its
//! requests; the first rule that fits decides, and what fits none is unclear.

use std::borrow::Cow;

use chrono::TimeDelta;
use serde_json::Value;

use crate::domain::verdict::{ReconnectReason, Throttled, Transient, Verdict};

/// What we asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// New tokens.
    Exchange,
    /// Whether the access token lives.
    Probe,
}

/// What is wrong by the platform's own words, from wherever it puts them.
#[derive(Debug, Default)]
pub(super) struct Fault<'a> {
    /// Its codes, numbers as text, the most telling one first.
    pub(super) codes: Vec<Cow<'a, str>>,
    /// What narrows the codes down.
    pub(super) subcode: Option<Cow<'a, str>>,
    /// The sentence beside them.
    pub(super) message: &'a str,
    /// Whether the platform itself calls it passing.
    pub(super) passing: bool,
    /// How long it asks us to wait, where that is in the body.
    pub(super) wait: Option<TimeDelta>,
}

/// A rule: whatever it names must be so.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) codes: Codes,
    subcode: Option<&'static str>,
    /// In lower case.
    says: Option<&'static str>,
    status: Option<(u16, u16)>,
    passing: bool,
    probe_only: bool,
    /// What it means; a wait here is for an answer that asks for none.
    pub(super) means: Verdict,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Codes {
    Any,
    OneOf(&'static [&'static str]),
    /// Numbers, both ends included.
    Between(u32, u32),
}

pub(super) const UNCLEAR: Verdict = Verdict::Transient(Transient::Unintelligible);
pub(super) const FAILED: Verdict = Verdict::Transient(Transient::ServerError);
pub(super) const HOLDS_US_BACK: Verdict = held_back(Throttled::Application);
pub(super) const HOLDS_IT_BACK: Verdict = held_back(Throttled::Integration);
pub(super) const REFUSED: Verdict = Verdict::ReconnectNeeded(ReconnectReason::GrantRefused);
pub(super) const REVOKED: Verdict = Verdict::ReconnectNeeded(ReconnectReason::Revoked);
pub(super) const EXPIRED: Verdict = Verdict::ReconnectNeeded(ReconnectReason::Expired);
pub(super) const OUR_FAULT: Verdict = Verdict::AppMisconfigured;
pub(super) const UNANSWERED: Verdict = Verdict::Unanswered;
pub(super) const PERMISSION: Verdict = Verdict::PermissionLost(Vec::new());

const fn held_back(whom: Throttled) -> Verdict {
    Verdict::Throttled { wait: None, whom }
}

/// What any server may say, after a platform's own rules.
pub(super) static ANYWHERE: &[Rule] = &[
    // RFC 6585, section 4.
    status(429).means(HOLDS_US_BACK),
    // RFC 9110, 15.6.
    statuses(500, 599).means(FAILED),
];

/// Any of these codes.
pub(super) const fn on(codes: &'static [&'static str]) -> Rule {
    rule(Codes::OneOf(codes))
}

/// Any number from `first` to `last`.
pub(super) const fn between(first: u32, last: u32) -> Rule {
    rule(Codes::Between(first, last))
}

/// Whatever the code, if there is one.
pub(super) const fn any() -> Rule {
    rule(Codes::Any)
}

/// This HTTP status.
pub(super) const fn status(status: u16) -> Rule {
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
        says: None,
        status: None,
        passing: false,
        probe_only: false,
        means: UNCLEAR,
    }
}

impl Rule {
    /// Only with this subcode.
    pub(super) const fn sub(mut self, subcode: &'static str) -> Self {
        self.subcode = Some(subcode);
        self
    }

    /// Only if the message contains this, given in lower case.
    pub(super) const fn saying(mut self, words: &'static str) -> Self {
        self.says = Some(words);
        self
    }

    /// Only with this HTTP status.
    pub(super) const fn http(mut self, status: u16) -> Self {
        self.status = Some((status, status));
        self
    }

    /// Only if the platform itself calls it passing.
    pub(super) const fn passing(mut self) -> Self {
        self.passing = true;
        self
    }

    /// Only as the answer to a probe: it is about the access token, whose end
    /// is not that of the grant.
    pub(super) const fn in_probe(mut self) -> Self {
        self.probe_only = true;
        self
    }

    /// What it means.
    pub(super) const fn means(mut self, verdict: Verdict) -> Self {
        // A constant function drops nothing, and this one holds nothing.
        std::mem::forget(std::mem::replace(&mut self.means, verdict));
        self
    }

    fn fits(&self, asked: Asked, status: u16, fault: &Fault<'_>) -> bool {
        let code = match self.codes {
            Codes::Any => true,
            Codes::OneOf(codes) => fault.codes.iter().any(|code| codes.contains(&&**code)),
            Codes::Between(first, last) => {
                let mut numbers = fault.codes.iter().filter_map(|code| code.parse().ok());
                numbers.any(|number: u32| (first..=last).contains(&number))
            }
        };
        code && self
            .subcode
            .is_none_or(|subcode| fault.subcode.as_deref() == Some(subcode))
            && self
                .says
                .is_none_or(|words| fault.message.to_ascii_lowercase().contains(words))
            && self
                .status
                .is_none_or(|(first, last)| (first..=last).contains(&status))
            && (fault.passing || !self.passing)
            && (asked == Asked::Probe || !self.probe_only)
    }
}

/// The first rule that fits.
pub(super) fn find(
    tables: &[&'static [Rule]],
    asked: Asked,
    status: u16,
    fault: &Fault<'_>,
) -> Option<&'static Rule> {
    let mut rules = tables.iter().flat_map(|table| table.iter());
    rules.find(|rule| rule.fits(asked, status, fault))
}

/// A code as text, whether it came as a number or as a text.
pub(super) fn code(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        _ => None,
    }
}

/// The text of a field, or nothing.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

impl Fault<'_> {
    /// Words of the sentence that look like permissions, such as
    /// `pages_manage_posts`, `r_ads` or `user.info.basic`. Some may be anything
    /// else: only those that an integration is known to have had are kept.
    pub(super) fn named_permissions(&self) -> Vec<String> {
        let edges = |letter: char| !letter.is_ascii_alphanumeric() && letter != '/';
        self.message
            .split([' ', ',', '(', ')', '\'', '"'])
            .map(|word| word.trim_matches(edges))
            .filter(|word| word.len() <= 128 && word.contains(['_', '.', ':']))
            .take(32)
            .map(str::to_owned)
            .collect()
    }

    /// What is kept of the codes: short numbers, or a word or words. Anything
    /// else could be a token that the platform repeats.
    pub(super) fn code_to_keep(&self) -> Option<String> {
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
