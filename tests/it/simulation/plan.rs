//! What a seed does to a run: which requests fail and how, and what happens in
//! the middle of which.

use test_support::{Moment, Random};

use super::request::RequestKind;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Effect {
    Pass,
    /// Not done: the service is asked too often.
    Throttle,
    /// Not done: the service says that it failed.
    Fail,
    /// Not done: the connection breaks before it arrives.
    Drop,
    /// Done, and the service says that it failed.
    ActAndFail,
    /// Not done: the service says that it failed, and in how many seconds to come back.
    AskToWait(u16),
    /// Not done: the service wants us all to come back in so many seconds.
    Hold(u16),
    /// Done, and the service says that it failed, and in how many seconds to come back.
    ActAndAskToWait(u16),
    /// Done, and the connection breaks before the answer.
    ActAndDrop,
    /// Done, and the answer makes no sense.
    ActAndBabble,
    /// Done, and the answer names a life a thousand times too long.
    Exaggerate,
    /// Done, and answered when so many seconds have passed.
    Slow(u8),
    /// Not done, and answered as if it were: no service does this. The judge
    /// must notice.
    Lie,
}

impl Effect {
    /// Whether the service does what it is asked for.
    pub(super) const fn acts(self) -> bool {
        match self {
            Self::Pass
            | Self::ActAndFail
            | Self::ActAndAskToWait(_)
            | Self::ActAndDrop
            | Self::ActAndBabble
            | Self::Exaggerate
            | Self::Slow(_) => true,
            Self::Throttle
            | Self::Fail
            | Self::AskToWait(_)
            | Self::Hold(_)
            | Self::Drop
            | Self::Lie => false,
        }
    }

    /// Whether the service's own answer is given.
    pub(super) const fn answers(self) -> bool {
        matches!(self, Self::Pass | Self::Exaggerate | Self::Slow(_))
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Pass => "passed",
            Self::Throttle => "refused: throttled",
            Self::Fail => "refused: 5xx, nothing done",
            Self::Drop => "never arrived",
            Self::ActAndFail => "done, then 5xx",
            Self::AskToWait(_) => "refused: 503 with Retry-After",
            Self::Hold(..=60) => "refused: 429 with Retry-After, short",
            Self::Hold(_) => "refused: 429 with Retry-After, long",
            Self::ActAndAskToWait(..=60) => "done, then 503 with Retry-After, short",
            Self::ActAndAskToWait(_) => "done, then 503 with Retry-After, long",
            Self::Exaggerate => "done, with a life that cannot be",
            Self::ActAndDrop => "done, answer lost",
            Self::ActAndBabble => "done, answer makes no sense",
            Self::Slow(_) => "done, answered late",
            Self::Lie => "not done, answered as if",
        }
    }

    fn any(random: &mut Random, kind: RequestKind) -> Self {
        let slow = Self::Slow(u8::try_from(random.below(20) + 1).unwrap());
        match kind {
            RequestKind::Exchange => random.pick(&[
                Self::Drop,
                Self::Fail,
                Self::AskToWait(3_600),
                Self::Hold(30),
                Self::Hold(3_600),
                Self::ActAndFail,
                Self::ActAndAskToWait(30),
                Self::ActAndAskToWait(3_600),
                Self::ActAndDrop,
                Self::ActAndBabble,
                Self::Exaggerate,
                Self::Exaggerate,
                slow,
            ]),
            _ => random.pick(&[
                Self::Throttle,
                Self::Fail,
                Self::Drop,
                Self::ActAndFail,
                Self::ActAndDrop,
                slow,
            ]),
        }
    }
}

/// Requests in a row that fail: from `from` up to and without `until`, of one kind, about
/// one integration if `integration` is set.
#[derive(Debug, Clone)]
struct FaultWindow {
    kind: RequestKind,
    integration: Option<usize>,
    from: u32,
    until: u32,
    effect: Effect,
}

/// The faults of a run.
#[derive(Debug, Clone, Default)]
pub(super) struct Plan(Vec<FaultWindow>);

impl Plan {
    pub(super) fn random(random: &mut Random, integrations: usize) -> Self {
        // How rough the run is: some have only what happens in the middle.
        let roughness = random.pick(&[0, 60, 100, 100, 180]);
        let mut windows = Vec::new();
        let mut add = |random: &mut Random, percent: u32, kind, integration, lengths: &[u32]| {
            if random.percent((percent * roughness / 100).min(100)) {
                let from = random.pick(&[1, 1, 1, 2, 2, 3, 4]);
                windows.push(FaultWindow {
                    kind,
                    integration,
                    from,
                    until: from + random.pick(lengths),
                    effect: Effect::any(random, kind),
                });
            }
        };
        for integration in (0..integrations).map(Some) {
            // The SDK tries three times, an attempt until it has no time left.
            add(random, 25, RequestKind::Exchange, integration, &[1, 1, 2]);
            add(
                random,
                40,
                RequestKind::Store,
                integration,
                &[2, 3, 6, 9, 12, 16, 99],
            );
            add(
                random,
                20,
                RequestKind::StoreFallback,
                integration,
                &[1, 3, 6, 8, 99],
            );
            add(
                random,
                15,
                RequestKind::FindFallback,
                integration,
                &[1, 3, 6],
            );
            add(
                random,
                20,
                RequestKind::RemoveFallback,
                integration,
                &[1, 3],
            );
            add(random, 10, RequestKind::Claim, integration, &[1, 3]);
            add(random, 15, RequestKind::Record, integration, &[1, 3, 8, 12]);
            add(random, 5, RequestKind::ReadRow, integration, &[1, 3]);
            add(random, 5, RequestKind::Audit, integration, &[1, 3]);
            add(random, 25, RequestKind::Publish, integration, &[1, 3]);
        }
        for kind in [RequestKind::DataKey, RequestKind::Decrypt] {
            add(random, 12, kind, None, &[1, 3, 6]);
        }
        add(random, 12, RequestKind::Application, None, &[1, 3, 12]);
        add(random, 12, RequestKind::Query, None, &[1, 3, 12]);
        Self(windows)
    }

    /// Returns a plan that answers every store of a new credential, and does none.
    pub(super) fn of_a_lying_store() -> Self {
        Self(vec![FaultWindow {
            kind: RequestKind::Store,
            integration: None,
            from: 1,
            until: u32::MAX,
            effect: Effect::Lie,
        }])
    }

    /// Returns what becomes of the `count`th request of a kind about an integration.
    pub(super) fn effect(
        &self,
        kind: RequestKind,
        integration: Option<usize>,
        count: u32,
    ) -> Effect {
        let hit = self.0.iter().find(|window| {
            window.kind == kind
                && window
                    .integration
                    .is_none_or(|only| Some(only) == integration)
                && (window.from..window.until).contains(&count)
        });
        hit.map_or(Effect::Pass, |window| window.effect)
    }
}

/// What happens in the middle of a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Disturbance {
    /// Its process dies.
    Crash,
    /// So many seconds pass while it hangs, and another process sweeps.
    Rival(u8),
    Reconnect,
    Disconnect,
}

impl Disturbance {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Crash => "a process died",
            Self::Rival(_) => "one hung past its lease, and another swept",
            Self::Reconnect => "a person reconnected in the middle",
            Self::Disconnect => "a person disconnected in the middle",
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Interruption {
    pub(super) what: Disturbance,
    pub(super) moment: Moment,
    /// It happens at a request of this kind; without one, of any.
    pub(super) kind: Option<RequestKind>,
    /// The number of that request among those of the kind, from 1.
    pub(super) nth: u32,
}

impl Interruption {
    pub(super) fn random(random: &mut Random) -> Option<Self> {
        let hang = u8::try_from(random.below(60) + 55).unwrap();
        let what = random.weighted(&[
            (50, Some(Disturbance::Crash)),
            (16, Some(Disturbance::Rival(hang))),
            (12, Some(Disturbance::Reconnect)),
            (4, Some(Disturbance::Disconnect)),
            (18, None),
        ])?;
        let kind = random.weighted(&[
            (8, Some(RequestKind::Exchange)),
            (7, Some(RequestKind::Store)),
            (4, Some(RequestKind::Claim)),
            (4, Some(RequestKind::Record)),
            (1, Some(RequestKind::ReadRow)),
            (2, Some(RequestKind::DataKey)),
            (1, Some(RequestKind::Decrypt)),
            (1, Some(RequestKind::Application)),
            (2, Some(RequestKind::Audit)),
            (9, None),
        ]);
        let nth = 1 + match kind {
            Some(_) => random.below(3),
            None => random.below(90),
        };
        Some(Self::at(random, what, kind, nth))
    }
}

impl Interruption {
    /// Picks an interruption at the first request of a kind that few sweeps make.
    pub(super) fn rare(random: &mut Random) -> Option<Self> {
        let hang = u8::try_from(random.below(60) + 55).unwrap();
        let what = random.weighted(&[
            (60, Some(Disturbance::Crash)),
            (10, Some(Disturbance::Rival(hang))),
            (10, Some(Disturbance::Reconnect)),
            (5, Some(Disturbance::Disconnect)),
            (15, None),
        ])?;
        let kind = random.weighted(&[
            (4, RequestKind::StoreFallback),
            (3, RequestKind::FindFallback),
            (3, RequestKind::RemoveFallback),
            (3, RequestKind::Publish),
            (2, RequestKind::Probe),
        ]);
        Some(Self::at(random, what, Some(kind), 1))
    }

    fn at(random: &mut Random, what: Disturbance, kind: Option<RequestKind>, nth: u32) -> Self {
        Self {
            what,
            // What has been answered cannot hang any more.
            moment: match what {
                Disturbance::Crash => random.pick(&Moment::ALL),
                _ => random.pick(&[Moment::Before, Moment::During]),
            },
            kind,
            nth,
        }
    }
}
