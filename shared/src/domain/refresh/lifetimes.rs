//! The lifetimes that a platform's answer names, as far as they can be believed. A
//! lifetime in the wrong unit, or an instant in its place, would put the next
//! refresh into a year in which nothing of the grant is left.

use chrono::{DateTime, TimeDelta, Utc};

use super::{EXPIRY_TOLERANCE, Ends, Lifetimes, ProbeResult};
use crate::Platform;
use crate::platforms::catalog::RefreshModel;

/// A lifetime beyond this many times the longest documented one is not believed.
const MAX_DOCUMENTED_FACTOR: i32 = 4;
/// The longest believable lifetime where the platform documents none.
const MAX_UNDOCUMENTED_LIFETIME: TimeDelta = TimeDelta::days(2 * 366);

/// What a lifetime in an answer is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LifetimeKind {
    Access,
    Refresh,
    /// The access to a person's data (Meta).
    DataAccess,
}

/// A lifetime that was not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImplausibleLifetime {
    pub kind: LifetimeKind,
    /// The answer's value in seconds; `None` where the answer leaves out a documented lifetime.
    pub stated: Option<i64>,
    /// We use this instead; `None` keeps what was known before.
    pub assumed: Option<TimeDelta>,
}

impl LifetimeKind {
    /// Returns the name that logs and audit rows use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Refresh => "refresh",
            Self::DataAccess => "data_access",
        }
    }
}

impl Platform {
    fn is_plausible(self, kind: LifetimeKind, life: TimeDelta) -> bool {
        let longest = match kind {
            LifetimeKind::Access => Some(self.longest_access_lifetime()),
            LifetimeKind::Refresh => self.refresh_lifetime(),
            LifetimeKind::DataAccess => self.data_access_lifetime(),
        };
        let bound = longest.map_or(MAX_UNDOCUMENTED_LIFETIME, |life| {
            life * MAX_DOCUMENTED_FACTOR
        });
        life > TimeDelta::zero() && life <= bound
    }
}

impl Lifetimes {
    /// Returns what is believed of an answer to an exchange; `rotated` if it brought another
    /// refresh token. The platform's documented life replaces one that is absurd, or absent where
    /// the platform documents one.
    #[must_use]
    pub fn plausible(
        self,
        platform: Platform,
        model: RefreshModel,
        rotated: bool,
    ) -> (Self, Vec<ImplausibleLifetime>) {
        let mut implausible = Vec::new();
        let mut believe = |kind, life: Option<TimeDelta>, usual: Option<TimeDelta>| {
            let believed = life.filter(|life| platform.is_plausible(kind, *life));
            // Nothing said, and nothing to say: no surprise.
            if believed.is_some() || life.is_none() && usual.is_none() {
                return believed;
            }
            implausible.push(ImplausibleLifetime {
                kind,
                stated: life.map(|life| life.num_seconds()),
                assumed: usual,
            });
            usual
        };
        let is_due = match model {
            RefreshModel::Extend => platform.always_names_access_lifetime(),
            RefreshModel::Rotating | RefreshModel::Static => true,
            // What nothing renews may be what never ends.
            RefreshModel::None => !platform.access_may_never_end(),
        };
        let usual = is_due.then(|| platform.usual_access_lifetime());
        let access = believe(LifetimeKind::Access, self.access, usual);
        // A refresh token that stays keeps the kind that it has.
        let usual = platform.refresh_lifetime().filter(|_| rotated);
        let refresh = believe(LifetimeKind::Refresh, self.refresh, usual);
        let believed = Self {
            access,
            refresh,
            ..self
        };
        (believed, implausible)
    }
}

impl ProbeResult {
    /// Returns what is believed of a probe's answer. An absurd end counts as not said.
    #[must_use]
    pub fn plausible(
        mut self,
        platform: Platform,
        now: DateTime<Utc>,
    ) -> (Self, Vec<ImplausibleLifetime>) {
        let mut implausible = Vec::new();
        for (kind, ends) in [
            (LifetimeKind::Access, &mut self.access),
            (LifetimeKind::DataAccess, &mut self.data_access),
        ] {
            // One that is just over is no surprise; what lives has not ended long ago.
            if let Ends::At(end) = *ends
                && (end > now && !platform.is_plausible(kind, end - now)
                    || kind == LifetimeKind::Access && end + EXPIRY_TOLERANCE < now)
            {
                implausible.push(ImplausibleLifetime {
                    kind,
                    stated: Some((end - now).num_seconds()),
                    assumed: None,
                });
                *ends = Ends::NotSaid;
            }
        }
        (self, implausible)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn believed(platform: Platform, access: Option<i64>, refresh: Option<i64>) -> [Option<i64>; 3] {
        let lifetimes = Lifetimes {
            access: access.map(TimeDelta::seconds),
            refresh: refresh.map(TimeDelta::seconds),
            scopes: Vec::new(),
        };
        let model = platform.refresh_model(true, true);
        let (believed, implausible) = lifetimes.plausible(platform, model, true);
        let seconds = |life: Option<TimeDelta>| life.map(|life| life.num_seconds());
        [
            seconds(believed.access),
            seconds(believed.refresh),
            i64::try_from(implausible.len()).ok().filter(|n| *n > 0),
        ]
    }

    const DAY: i64 = 86_400;

    #[test]
    fn an_absurd_life_is_the_documented_one() {
        // An instant, milliseconds, nothing at all, nothing, and less than that.
        for said in [1_800_000_000, 3_599_000, 0, -1] {
            let of_google = believed(Platform::Google, Some(said), None);
            assert_eq!(of_google, [Some(3_600), None, Some(1)], "{said}");
        }
        assert_eq!(
            believed(Platform::Instagram, Some(5_183_944_000), None),
            [Some(60 * DAY), None, Some(1)]
        );
        for said in [None, Some(0), Some(15_552_000_000)] {
            let of_tiktok = believed(Platform::Tiktok, None, said);
            assert_eq!(of_tiktok, [Some(7_200), Some(180 * DAY), Some(2)]);
        }
        // Where no life is documented, what cannot be believed was not said.
        assert_eq!(
            believed(Platform::Google, Some(3_599), Some(604_799_000)),
            [Some(3_599), None, Some(1)]
        );
    }

    #[test]
    fn what_platforms_have_said_is_believed() {
        for (platform, access, refresh) in [
            (Platform::Tiktok, 86_400, Some(365 * DAY)),
            (Platform::Tiktok, 7_200, Some(180 * DAY)),
            (Platform::Google, 3_599, Some(604_799)),
            (Platform::Linkedin, 5_184_000, Some(31_536_059)),
            (Platform::Snapchat, 1_800, None),
            (Platform::Meta, 5_183_944, None),
            (Platform::Instagram, 5_000, None),
        ] {
            let believed = believed(platform, Some(access), refresh);
            assert_eq!(believed, [Some(access), refresh, None], "{platform}");
        }
        // Meta's extension may leave it out, and a refresh token that stays has its own.
        assert_eq!(believed(Platform::Meta, None, None), [None; 3]);
        let (lifetimes, implausible) =
            Lifetimes::default().plausible(Platform::Linkedin, RefreshModel::Static, false);
        assert_eq!((lifetimes.refresh, implausible.len()), (None, 1));
    }

    #[test]
    fn a_probe_is_not_believed_either() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let at = |seconds| Ends::At(now + TimeDelta::seconds(seconds));
        let seen = |access, data_access| ProbeResult {
            access,
            data_access,
            scopes: Vec::new(),
        };
        let milliseconds = Ends::At(DateTime::from_timestamp(1_800_000_000_000, 0).unwrap());
        let (believed, implausible) =
            seen(milliseconds, milliseconds).plausible(Platform::Meta, now);
        assert_eq!(believed, ProbeResult::default());
        assert_eq!(implausible.len(), 2);
        // Seconds left in place of an instant: long past, and yet it lives.
        let left = Ends::At(DateTime::from_timestamp(5_183_944, 0).unwrap());
        let (believed, implausible) = seen(left, Ends::NotSaid).plausible(Platform::Meta, now);
        assert_eq!((believed.access, implausible.len()), (Ends::NotSaid, 1));
        for fine in [at(60 * DAY), at(-1), Ends::Never, Ends::NotSaid] {
            let (believed, implausible) = seen(fine, fine).plausible(Platform::Meta, now);
            assert_eq!((believed.access, implausible.len()), (fine, 0));
        }
    }
}
