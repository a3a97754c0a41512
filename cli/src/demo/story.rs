//! What can happen to an integration, one story an integration of the demo, as
//! lines to import and as what the simulated platform does about it.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use local::platforms::{Action, Requests, Respond, Script};
use serde_json::{Value, json};
use shared::Platform;
use shared::platforms::catalog::RefreshModel;

use super::{CREATOR, ORG};

/// What happens to an integration. Its name is the account's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Story {
    RenewsItself,
    NeverExpires,
    RenewedInTime,
    Expiring,
    Expired,
    PlatformDown,
    AccessWithdrawn,
    ActFirst,
    PermissionLost,
    SwitchedOff,
}

/// The instants that a story hangs on: when its integrations were imported,
/// and the present.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) imported: DateTime<Utc>,
    pub(super) now: DateTime<Utc>,
}

/// An integration, told.
pub(super) struct SentAlerts {
    /// Its line of the import.
    pub(super) line: Value,
    /// What the platform does, and from when on.
    pub(super) script: Option<(From, Script)>,
}

/// Critical, and was not yet when the integrations were imported.
const ALMOST_A_DAY: TimeDelta = TimeDelta::minutes(21 * 60 + 50);

/// From when on a platform follows a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    TheImport,
    Now,
}

/// What an export knows of a credential.
#[derive(Debug, Default)]
struct Credential {
    access_ends: Option<DateTime<Utc>>,
    has_refresh_token: bool,
    refresh_ends: Option<DateTime<Utc>>,
    data_access_ends: Option<DateTime<Utc>>,
    scopes: Vec<&'static str>,
}

impl Story {
    pub(super) const ALL: [Self; 10] = [
        Self::RenewsItself,
        Self::NeverExpires,
        Self::RenewedInTime,
        Self::Expiring,
        Self::Expired,
        Self::PlatformDown,
        Self::AccessWithdrawn,
        Self::ActFirst,
        Self::PermissionLost,
        Self::SwitchedOff,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::RenewsItself => "renews-itself",
            Self::NeverExpires => "never-expires",
            Self::RenewedInTime => "renewed-in-time",
            Self::Expiring => "expiring",
            Self::Expired => "expired",
            Self::PlatformDown => "platform-down",
            Self::AccessWithdrawn => "access-withdrawn",
            Self::ActFirst => "act-first",
            Self::PermissionLost => "permission-lost",
            Self::SwitchedOff => "switched-off",
        }
    }

    /// Whether it can happen to an integration of that platform.
    pub(super) fn happens_on(self, platform: Platform) -> bool {
        match self {
            // A Page's token; an advertiser's token.
            Self::NeverExpires => {
                matches!(platform, Platform::Meta | Platform::TiktokBusiness)
            }
            // People hear of a recovery only where tokens live for weeks.
            Self::RenewedInTime => platform.usual_access_life() > TimeDelta::days(7),
            Self::ActFirst => demand(platform).is_some(),
            Self::PermissionLost => lost_scope(platform).is_some(),
            _ => true,
        }
    }

    /// Tells the story of `id` with fresh tokens.
    pub(super) fn tell(self, platform: Platform, id: &str, times: Times) -> SentAlerts {
        let credential = self.credential(platform, times);
        let access_token = fresh_token(platform);
        let refresh_token = credential.has_refresh_token.then(|| fresh_token(platform));
        let active = self != Self::SwitchedOff;
        let issued_at = credential
            .access_ends
            .map(|end| end - platform.usual_access_life());
        let line = json!({
            "type": "integration",
            "org_id": ORG,
            "integration_id": id,
            "platform": platform.name(),
            "username": self.name(),
            "account_id": format!("{:010}", rand::random::<u32>()),
            "created_by": CREATOR,
            "access_token": active.then_some(&access_token),
            "refresh_token": refresh_token.as_ref().filter(|_| active),
            "token_issued_at": issued_at,
            "token_expires_at": credential.access_ends,
            "refresh_token_expires_at": credential.refresh_ends,
            "data_access_expires_at": credential.data_access_ends,
            "scopes": credential.scopes,
            "is_active": active,
        });
        // What the platform is sent, and knows the grant by ever after.
        let sent = refresh_token.unwrap_or(access_token);
        let script = self.script(platform, &credential, &sent, times);
        SentAlerts {
            line,
            script: script.map(|(from, script)| (from, script.on(platform).token(&sent))),
        }
    }

    fn credential(self, platform: Platform, times: Times) -> Credential {
        let extends = platform.refresh_model(true, true) == RefreshModel::Extend;
        let life = platform.usual_access_life();
        let usual = Credential {
            access_ends: Some((times.imported + life * 3 / 4).trunc_subsecs(0)),
            has_refresh_token: !extends,
            ..Credential::default()
        };
        match self {
            Self::NeverExpires => Credential::default(),
            Self::RenewedInTime => Credential {
                access_ends: Some(times.now + TimeDelta::hours(60)),
                ..usual
            },
            Self::Expiring => expiring(platform, usual, times),
            Self::Expired if usual.has_refresh_token => Credential {
                access_ends: Some(times.now - TimeDelta::days(2)),
                refresh_ends: Some(times.now - TimeDelta::days(2)),
                ..usual
            },
            Self::Expired => Credential {
                access_ends: Some(times.now - TimeDelta::days(2)),
                ..usual
            },
            // With the usual end people would have been told hours ago, in the
            // numbers of then.
            Self::PlatformDown if platform == Platform::TiktokBusiness => Credential {
                access_ends: Some(times.now + ALMOST_A_DAY),
                ..usual
            },
            Self::PermissionLost => Credential {
                scopes: lost_scope(platform).into_iter().collect(),
                ..usual
            },
            _ => usual,
        }
    }

    fn script(
        self,
        platform: Platform,
        credential: &Credential,
        sent: &str,
        times: Times,
    ) -> Option<(From, Script)> {
        let refuse = |error| Script::refuse(platform, error);
        match self {
            // A token of an hour has been renewed since, and would be dead by
            // now if its platform had been down all the time.
            Self::PlatformDown if platform.usual_access_life() < TimeDelta::days(1) => {
                Some((From::Now, refuse("unavailable")))
            }
            Self::PlatformDown => Some((From::TheImport, refuse("unavailable"))),
            Self::AccessWithdrawn => Some((From::TheImport, Script::new(Action::Revoke).times(1))),
            Self::ActFirst => Some((From::TheImport, refuse(demand(platform)?))),
            // What the platform says of the person's data after it has extended
            // the token.
            Self::Expiring if platform == Platform::Meta => {
                let body = json!({"data": {
                    "is_valid": true,
                    "data_access_expires_at": credential.data_access_ends?.timestamp(),
                }});
                let respond = Script::new(with(&body)).times(1);
                Some((
                    From::TheImport,
                    Script {
                        on: Requests::Probe,
                        ..respond
                    },
                ))
            }
            // It gives the same token back, as these two may: nothing is won.
            Self::Expiring if platform == Platform::Instagram => {
                let left = credential.access_ends? - times.imported;
                let body = json!({
                    "access_token": sent,
                    "token_type": "bearer",
                    "expires_in": left.num_seconds(),
                });
                Some((From::TheImport, Script::new(with(&body)).times(1)))
            }
            _ => None,
        }
    }
}

/// An answer of this body.
fn with(body: &Value) -> Action {
    Action::Respond(Respond {
        status: 200,
        body: body.to_string(),
        headers: [].into(),
    })
}

/// What ends, and no refresh renews it: each platform's own way, spread over
/// the severities. Always half a day or so away from a whole number of days,
/// so that what people were told reads like what the table says.
fn expiring(platform: Platform, usual: Credential, times: Times) -> Credential {
    let after = |minutes| Some(times.now + TimeDelta::minutes(minutes));
    let almost_a_day = Some(times.now + ALMOST_A_DAY);
    let days_and_a_half = |days: i64| after((24 * days + 12) * 60);
    match platform {
        // The right to read the person's data.
        Platform::Meta => Credential {
            data_access_ends: days_and_a_half(5),
            ..usual
        },
        Platform::Instagram => Credential {
            access_ends: days_and_a_half(2),
            ..usual
        },
        // Without a refresh token.
        Platform::Tiktok | Platform::TiktokBusiness => Credential {
            access_ends: almost_a_day,
            has_refresh_token: false,
            ..usual
        },
        Platform::Linkedin => Credential {
            access_ends: days_and_a_half(6),
            has_refresh_token: false,
            ..usual
        },
        // The refresh token's own end; Google's lives 7 days while the consent
        // screen is in testing.
        Platform::Twitter => Credential {
            refresh_ends: days_and_a_half(2),
            ..usual
        },
        Platform::Google => Credential {
            refresh_ends: days_and_a_half(4),
            ..usual
        },
        Platform::Snapchat => Credential {
            refresh_ends: days_and_a_half(1),
            ..usual
        },
    }
}

/// The simulated platform's error that asks the person to act there first.
const fn demand(platform: Platform) -> Option<&'static str> {
    match platform {
        Platform::Meta => Some("190/459"),
        Platform::Instagram => Some("190/464"),
        Platform::Google => Some("invalid_rapt"),
        _ => None,
    }
}

/// A permission that the simulated platform does not grant; where answers do
/// not tell permissions, nobody notices.
const fn lost_scope(platform: Platform) -> Option<&'static str> {
    match platform {
        Platform::Meta | Platform::Instagram => None,
        Platform::Tiktok => Some("video.publish"),
        Platform::TiktokBusiness => Some("video.insights"),
        Platform::Linkedin => Some("rw_ads"),
        Platform::Twitter => Some("tweet.write"),
        Platform::Google => Some("https://www.googleapis.com/auth/analytics"),
        Platform::Snapchat => Some("snapchat-profile-api"),
    }
}

fn fresh_token(platform: Platform) -> String {
    format!("demo-{platform}-{:032x}", rand::random::<u128>())
}
