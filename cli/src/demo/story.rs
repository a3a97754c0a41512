//! What happens to each integration of the demo, as a line to import and as the
//! script that its simulated platform follows.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use local::platforms::{Action, Script};
use serde_json::{Value, json};
use shared::Platform;
use shared::domain::digest;
use shared::platforms::catalog::RefreshModel;

pub(crate) const ORG: &str = "demo";
/// The owner, who gets every alert.
pub(crate) const OWNER: &str = "olga";
/// The creator of all integrations.
pub(super) const CREATOR: &str = "ian";
/// An application that uses the integrations.
pub(super) const APPLICATION: &str = "crm";
/// A member without permissions.
pub(super) const MEMBER: &str = "mia";
/// Who can sign in to look at the demo, and who that is.
pub(super) const PEOPLE: [(&str, &str); 4] = [
    (OWNER, "owns the demo organisation"),
    (CREATOR, "manages its integrations"),
    (MEMBER, "is a member, and may look"),
    ("nobody", "belongs to no organisation"),
];

/// What happens to an integration. Its name is the account's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Story {
    RenewsItself,
    NeverExpires,
    RenewedInTime,
    /// Nothing renews the token, which ends in so many minutes.
    Expiring(i64),
    Expired,
    PlatformDown,
    AccessWithdrawn,
    /// The error by which the platform asks the person to act there first.
    ActFirst(&'static str),
    /// The permission that the platform does not grant.
    PermissionLost(&'static str),
    SwitchedOff,
}

/// Each story on a platform where it can happen; one integration expires for each severity. The
/// minutes are about half a day away from whole days, so that a notification reads like the table.
const STORIES: [(Platform, Story); 12] = [
    (Platform::Meta, Story::RenewsItself),
    (Platform::TiktokBusiness, Story::NeverExpires),
    (Platform::Instagram, Story::RenewedInTime),
    (Platform::Linkedin, Story::Expiring((6 * 24 + 12) * 60)),
    (Platform::Twitter, Story::Expiring((2 * 24 + 12) * 60)),
    // Critical now, and not yet when the integrations were imported.
    (Platform::Tiktok, Story::Expiring(21 * 60 + 50)),
    (Platform::Snapchat, Story::Expired),
    (Platform::Google, Story::PlatformDown),
    (Platform::Meta, Story::AccessWithdrawn),
    (Platform::Google, Story::ActFirst("invalid_rapt")),
    (Platform::Twitter, Story::PermissionLost("tweet.write")),
    (Platform::Instagram, Story::SwitchedOff),
];

/// Every integration of the demo: the stories, and one that renews itself on each
/// platform without a story.
pub(super) fn integrations() -> impl Iterator<Item = (Platform, Story, String)> {
    let others = Platform::ALL.into_iter().filter(|platform| {
        let mut with_story = STORIES.iter().map(|(platform, _)| platform);
        with_story.all(|other| other != platform)
    });
    STORIES
        .into_iter()
        .chain(others.map(|platform| (platform, Story::RenewsItself)))
        .map(|(platform, story)| (platform, story, format!("{platform}-{}", story.name())))
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) imported: DateTime<Utc>,
    pub(super) now: DateTime<Utc>,
}

/// An integration of the demo with fresh tokens.
pub(super) struct DemoIntegration {
    /// The line to import.
    pub(super) line: Value,
    /// What the platform does, and from when on.
    pub(super) script: Option<(ScriptStart, Script)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScriptStart {
    Import,
    Now,
}

/// What an export knows of a credential.
#[derive(Debug, Default)]
struct ExportedCredential {
    access_ends: Option<DateTime<Utc>>,
    has_refresh_token: bool,
    refresh_ends: Option<DateTime<Utc>>,
    scopes: Vec<&'static str>,
}

/// Returns the id of an integration's account: the platform's consent page offers it.
pub(super) fn account_id(integration: &str) -> String {
    format!("{:010}", digest::short(&[integration]) % 10_000_000_000)
}

impl Story {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::RenewsItself => "renews-itself",
            Self::NeverExpires => "never-expires",
            Self::RenewedInTime => "renewed-in-time",
            Self::Expiring(_) => "expiring",
            Self::Expired => "expired",
            Self::PlatformDown => "platform-down",
            Self::AccessWithdrawn => "access-withdrawn",
            Self::ActFirst(_) => "act-first",
            Self::PermissionLost(_) => "permission-lost",
            Self::SwitchedOff => "switched-off",
        }
    }

    pub(super) fn integration(self, platform: Platform, id: &str, times: Times) -> DemoIntegration {
        let credential = self.credential(platform, times);
        let access_token = fresh_token(platform);
        let refresh_token = credential.has_refresh_token.then(|| fresh_token(platform));
        let active = self != Self::SwitchedOff;
        let issued_at = credential
            .access_ends
            .map(|end| end - platform.usual_access_lifetime());
        let line = json!({
            "type": "integration",
            "org_id": ORG,
            "integration_id": id,
            "platform": platform.name(),
            "username": self.name(),
            "account_id": account_id(id),
            "created_by": CREATOR,
            "access_token": active.then_some(&access_token),
            "refresh_token": refresh_token.as_ref().filter(|_| active),
            "token_issued_at": issued_at,
            "token_expires_at": credential.access_ends,
            "refresh_token_expires_at": credential.refresh_ends,
            "scopes": credential.scopes,
            "is_active": active,
        });
        // The token that the platform receives, and knows the grant by ever after.
        let sent = refresh_token.unwrap_or(access_token);
        let script = self.script(platform);
        DemoIntegration {
            line,
            script: script.map(|(start, script)| (start, script.on(platform).token(&sent))),
        }
    }

    fn credential(self, platform: Platform, times: Times) -> ExportedCredential {
        let lifetime = platform.usual_access_lifetime();
        let usual = ExportedCredential {
            access_ends: Some((times.imported + lifetime * 3 / 4).trunc_subsecs(0)),
            has_refresh_token: platform.refresh_model(true, true) != RefreshModel::Extend,
            ..ExportedCredential::default()
        };
        match self {
            Self::NeverExpires => ExportedCredential::default(),
            Self::RenewedInTime => ExportedCredential {
                access_ends: Some(times.now + TimeDelta::hours(60)),
                ..usual
            },
            // The refresh token's own end, where an access token lives only hours and
            // no answer gives the refresh token another end.
            Self::Expiring(minutes)
                if lifetime < TimeDelta::days(1) && platform.refresh_lifetime().is_none() =>
            {
                ExportedCredential {
                    refresh_ends: Some(times.now + TimeDelta::minutes(minutes)),
                    ..usual
                }
            }
            Self::Expiring(minutes) => ExportedCredential {
                access_ends: Some(times.now + TimeDelta::minutes(minutes)),
                has_refresh_token: false,
                ..usual
            },
            Self::Expired => {
                let ended = Some(times.now - TimeDelta::days(2));
                ExportedCredential {
                    access_ends: ended,
                    refresh_ends: ended.filter(|_| usual.has_refresh_token),
                    ..usual
                }
            }
            Self::PermissionLost(scope) => ExportedCredential {
                scopes: vec![scope],
                ..usual
            },
            _ => usual,
        }
    }

    fn script(self, platform: Platform) -> Option<(ScriptStart, Script)> {
        match self {
            // Its token of an hour would be dead by now if its platform had been
            // down since the import.
            Self::PlatformDown => Some((ScriptStart::Now, Script::refuse(platform, "unavailable"))),
            Self::AccessWithdrawn => {
                Some((ScriptStart::Import, Script::new(Action::Revoke).times(1)))
            }
            Self::ActFirst(error) => Some((ScriptStart::Import, Script::refuse(platform, error))),
            _ => None,
        }
    }
}

fn fresh_token(platform: Platform) -> String {
    format!("demo-{platform}-{:032x}", rand::random::<u128>())
}
