//! What goes wrong with a request, and how its sender sees it.

use chrono::TimeDelta;
use test_support::Section;

use crate::domain::refresh::attempt::{Answered, Event};
use crate::domain::verdict::{ReconnectReason, ThrottleScope, Transient, Verdict};

use super::step_kind::StepKind;
use super::world::ProtocolWorld;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Fine,
    /// The request is not done, and the sender hears so at once.
    Refused,
    /// The request is not done, and the sender hears nothing.
    Unheard,
    /// The request is done, and the sender hears nothing.
    Unanswered,
    /// The request is done after the sender gave up.
    Late,
    /// The request is done, and the sender stands still for a while before it hears so.
    Paused,
    /// The platform fails without acting.
    Failed,
    FailedAfterActing,
    /// The platform fails after acting, and asks us to come back after so many seconds.
    FailedWithWait(i64),
    Garbled,
    Throttled(i64),
    Misconfigured,
    Inconclusive,
    Lied,
    Doubled,
    DoubledAndMasked,
}

impl Fate {
    const USUAL: [Self; 4] = [Self::Refused, Self::Unheard, Self::Unanswered, Self::Late];
    const OF_EXCHANGES: [Self; 16] = [
        Self::Refused,
        Self::Unheard,
        Self::Unanswered,
        Self::Unanswered,
        Self::Late,
        Self::Failed,
        Self::FailedAfterActing,
        Self::FailedWithWait(120),
        Self::FailedWithWait(3_600),
        Self::Garbled,
        Self::Throttled(120),
        Self::Throttled(3_600),
        Self::Misconfigured,
        Self::Inconclusive,
        Self::Lied,
        Self::Doubled,
    ];

    pub(super) const fn acts(self) -> bool {
        matches!(
            self,
            Self::Unanswered | Self::FailedAfterActing | Self::FailedWithWait(_) | Self::Garbled
        )
    }

    const fn name(self, kind: StepKind) -> &'static str {
        let exchange = matches!(kind, StepKind::Send);
        match self {
            Self::Fine => "none",
            Self::Refused => match kind {
                StepKind::Send => "exchange: platform unreachable",
                StepKind::SecureKey => "key management fails",
                StepKind::Claim | StepKind::Store | StepKind::Record => "row: write refused",
                StepKind::ReadAgain => "row: read fails",
                StepKind::Probe => "probe fails",
                StepKind::Pause => "none",
                StepKind::FindFallback | StepKind::StoreFallback | StepKind::RemoveFallback => {
                    "fallback fails"
                }
            },
            Self::Unheard if exchange => "exchange: request lost",
            Self::Unheard => "request lost",
            Self::Unanswered if exchange => "exchange: answer lost after the platform acted",
            Self::Unanswered => "done, answer lost",
            Self::Late if exchange => "exchange: platform acts after we gave up",
            Self::Late => "done after we gave up",
            Self::Paused => "instance stands still for 20 to 120 s",
            Self::Failed => "exchange: 5xx without acting",
            Self::FailedAfterActing => "exchange: 5xx after acting",
            Self::FailedWithWait(..=120) => "exchange: 5xx with Retry-After after acting",
            Self::FailedWithWait(_) => "exchange: 5xx with Retry-After of an hour after acting",
            Self::Garbled => "exchange: unintelligible after acting",
            Self::Throttled(..=120) => "exchange: throttled",
            Self::Throttled(_) => "exchange: throttled for an hour",
            Self::Misconfigured => "exchange: application refused",
            Self::Inconclusive => "exchange: refusal while refusals are doubted",
            Self::Lied => "exchange: a living token refused once",
            Self::Doubled => "exchange: request doubled, first answer arrives",
            Self::DoubledAndMasked => "exchange: request doubled, second answer arrives",
        }
    }
}

impl ProtocolWorld {
    /// Draws what becomes of a step.
    pub(super) fn fate(&mut self, kind: StepKind) -> Fate {
        let rate = match kind {
            StepKind::Claim | StepKind::Store | StepKind::Record | StepKind::ReadAgain => {
                self.rates.store
            }
            StepKind::FindFallback | StepKind::StoreFallback | StepKind::RemoveFallback => {
                self.rates.fallback
            }
            StepKind::SecureKey | StepKind::Pause => self.rates.key,
            StepKind::Send | StepKind::Probe => self.rates.platform,
        };
        if self.healthy {
            return Fate::Fine;
        }
        let fate = if self.chance.percent(self.rates.pause) {
            Fate::Paused
        } else if !self.chance.percent(rate) {
            return Fate::Fine;
        } else if kind == StepKind::Send {
            self.chance.pick(&Fate::OF_EXCHANGES)
        } else {
            self.chance.pick(&Fate::USUAL)
        };
        let fate = match fate {
            // Refused twice nobody could tell from the truth.
            Fate::Lied if self.lied => Fate::Throttled(120),
            Fate::Doubled if self.chance.percent(30) => Fate::DoubledAndMasked,
            fate => fate,
        };
        self.lied |= matches!(fate, Fate::Lied | Fate::Inconclusive);
        self.narrate(|| format!("  but: {}", fate.name(kind)));
        self.count(Section::Faults, fate.name(kind));
        fate
    }
}

/// Returns the event of a request that failed.
pub(super) fn failure(kind: StepKind, fate: Fate) -> Event {
    let transient = |transient| (Verdict::Transient(transient), true);
    let (verdict, conclusive) = match fate {
        Fate::Refused => transient(Transient::Unreachable),
        Fate::Failed | Fate::FailedAfterActing => transient(Transient::ServerError),
        Fate::Garbled => transient(Transient::Unintelligible),
        Fate::Throttled(seconds) | Fate::FailedWithWait(seconds) => {
            let wait = Some(TimeDelta::seconds(seconds));
            let scope = match fate {
                Fate::Throttled(_) => ThrottleScope::Integration,
                _ => ThrottleScope::Platform,
            };
            (Verdict::Throttled { wait, scope }, true)
        }
        Fate::Misconfigured => (Verdict::AppMisconfigured, false),
        Fate::Inconclusive | Fate::Lied => (
            Verdict::ReconnectNeeded(ReconnectReason::GrantRefused),
            fate == Fate::Lied,
        ),
        _ => transient(Transient::NoAnswer),
    };
    match kind {
        StepKind::SecureKey => Event::Key(false),
        StepKind::Claim | StepKind::Store | StepKind::Record => Event::Unwritten,
        StepKind::FindFallback | StepKind::ReadAgain => Event::Unreadable,
        StepKind::StoreFallback => Event::FallbackStored(false),
        StepKind::Pause => Event::Paused,
        StepKind::RemoveFallback => Event::Removed,
        StepKind::Probe => Event::Probed(Some(Err(verdict))),
        StepKind::Send => Event::Answered(Answered::Refused {
            verdict,
            conclusive,
            code: None,
        }),
    }
}
