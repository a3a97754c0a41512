//! The catalogue of platforms: names, aliases, and how each renews a
//! credential; request and answer shapes live in `oauth`.

use std::fmt;
use std::str::FromStr;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::domain::redact;

/// A platform that integrations connect to. Serialised by its canonical name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    /// Facebook and its pages and ads, by a long-lived user token.
    Meta,
    /// Instagram API with Instagram Login.
    Instagram,
    /// TikTok Login Kit v2.
    Tiktok,
    /// TikTok Business (Marketing API): advertiser tokens and TikTok-account tokens.
    TiktokBusiness,
    /// LinkedIn.
    Linkedin,
    /// X, OAuth 2.0 with PKCE.
    Twitter,
    /// Google Ads.
    Google,
    /// Snapchat Marketing API.
    Snapchat,
}

/// How a credential is renewed. It follows from the platform and from what the
/// platform gave us, not from a constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefreshModel {
    /// The access token is exchanged for a longer-lived one while it still lives.
    Extend,
    /// A refresh token that works once; each answer carries the next.
    Rotating,
    /// A refresh token that stays the same.
    Static,
    /// Nothing renews it but a person.
    None,
}

/// A name that is no platform of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown platform {name:?}; known are {}", Platform::names())]
pub struct UnknownPlatform {
    name: String,
}

/// The original system's names for platforms, which are taken wherever a person or
/// an export names one.
const ALIASES: [(&str, Platform); 3] = [
    ("facebook", Platform::Meta),
    ("x", Platform::Twitter),
    ("google_ads", Platform::Google),
];

impl Platform {
    /// Every platform, in the order in which we list them.
    pub const ALL: [Self; 8] = [
        Self::Meta,
        Self::Instagram,
        Self::Tiktok,
        Self::TiktokBusiness,
        Self::Linkedin,
        Self::Twitter,
        Self::Google,
        Self::Snapchat,
    ];

    /// The canonical name: in keys, paths, messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Instagram => "instagram",
            Self::Tiktok => "tiktok",
            Self::TiktokBusiness => "tiktok_business",
            Self::Linkedin => "linkedin",
            Self::Twitter => "twitter",
            Self::Google => "google",
            Self::Snapchat => "snapchat",
        }
    }

    /// The platform by its name or alias in any case, with spaces or hyphens in
    /// it, as exports write them (`Google Ads`). What is no export has one
    /// spelling only.
    #[must_use]
    pub fn of_export(name: &str) -> Option<Self> {
        let plain = name.trim().to_ascii_lowercase().replace([' ', '-'], "_");
        plain.parse().ok()
    }

    /// The name that people know it by.
    #[must_use]
    pub const fn display_name(self) -> &'static str {
        match self {
            Self::Meta => "Facebook",
            Self::Instagram => "Instagram",
            Self::Tiktok => "TikTok",
            Self::TiktokBusiness => "TikTok Business",
            Self::Linkedin => "LinkedIn",
            Self::Twitter => "X",
            Self::Google => "Google Ads",
            Self::Snapchat => "Snapchat",
        }
    }

    /// How a credential of this platform is renewed, given what came with it.
    /// An access token that never ends needs no extending.
    #[must_use]
    pub const fn refresh_model(
        self,
        has_refresh_token: bool,
        access_expires: bool,
    ) -> RefreshModel {
        // Without a rest: a platform that is added is decided before it compiles.
        match self {
            // A Page's or a system user's token may never end.
            Self::Meta => match access_expires {
                true => RefreshModel::Extend,
                false => RefreshModel::None,
            },
            // Each of these ends, also where nobody knows when: an extension tells.
            Self::Instagram => RefreshModel::Extend,
            // Snapchat and TikTok-account tokens: not documented whether they
            // rotate; treating them as single-use is the safe side.
            Self::Tiktok | Self::TiktokBusiness | Self::Twitter | Self::Snapchat => {
                match has_refresh_token {
                    true => RefreshModel::Rotating,
                    false => RefreshModel::None,
                }
            }
            Self::Linkedin | Self::Google => match has_refresh_token {
                true => RefreshModel::Static,
                false => RefreshModel::None,
            },
        }
    }

    /// The usual life of an access token as documented in November 2026. Only
    /// for a credential that came to us without the time it was issued: an
    /// answer's own `expires_in` always wins.
    #[must_use]
    pub const fn usual_access_life(self) -> TimeDelta {
        match self {
            Self::Meta | Self::Instagram | Self::Linkedin => TimeDelta::days(60),
            Self::Tiktok | Self::Twitter => TimeDelta::hours(2),
            Self::TiktokBusiness => TimeDelta::hours(24),
            Self::Google | Self::Snapchat => TimeDelta::hours(1),
        }
    }

    /// The longest life of an access token that the platform has documented: TikTok's
    /// page said 24 hours until November 2026, and not every application need have
    /// changed at once.
    #[must_use]
    pub const fn longest_access_life(self) -> TimeDelta {
        match self {
            Self::Tiktok => TimeDelta::hours(24),
            Self::Meta
            | Self::Instagram
            | Self::TiktokBusiness
            | Self::Linkedin
            | Self::Twitter
            | Self::Google
            | Self::Snapchat => self.usual_access_life(),
        }
    }

    /// The life of a refresh token, where the platform documents one and names it in
    /// each answer: TikTok's (developers.tiktok.com, oauth-user-access-token-management),
    /// TikTok accounts' (tiktok-business-api-sdk), LinkedIn's (learn.microsoft.com,
    /// programmatic-refresh-tokens).
    #[must_use]
    pub const fn refresh_life(self) -> Option<TimeDelta> {
        match self {
            Self::Tiktok => Some(TimeDelta::days(180)),
            Self::TiktokBusiness | Self::Linkedin => Some(TimeDelta::days(365)),
            Self::Meta | Self::Instagram | Self::Twitter | Self::Google | Self::Snapchat => None,
        }
    }

    /// How old an access token must be before the platform extends it.
    /// Instagram: "at least 24 hours old"
    /// (developers.facebook.com, reference/refresh_access_token).
    #[must_use]
    pub const fn minimum_age(self) -> TimeDelta {
        match self {
            Self::Instagram => TimeDelta::hours(24),
            Self::Meta
            | Self::Tiktok
            | Self::TiktokBusiness
            | Self::Linkedin
            | Self::Twitter
            | Self::Google
            | Self::Snapchat => TimeDelta::zero(),
        }
    }

    /// Whether it limits for how long we may read a person's data, by a clock
    /// that no refresh renews and only a probe tells. Meta: 90 days
    /// (developers.facebook.com/docs/facebook-login/auth-vs-data).
    #[must_use]
    pub const fn limits_data_access(self) -> bool {
        self.data_access_life().is_some()
    }

    pub(crate) const fn data_access_life(self) -> Option<TimeDelta> {
        match self {
            Self::Meta => Some(TimeDelta::days(90)),
            Self::Instagram
            | Self::Tiktok
            | Self::TiktokBusiness
            | Self::Linkedin
            | Self::Twitter
            | Self::Google
            | Self::Snapchat => None,
        }
    }

    /// Whether a probe says who asks: then it shows that our application works. The
    /// others take the token alone.
    #[must_use]
    pub const fn probe_names_application(self) -> bool {
        match self {
            Self::Meta | Self::TiktokBusiness | Self::Linkedin => true,
            Self::Instagram | Self::Tiktok | Self::Twitter | Self::Google | Self::Snapchat => false,
        }
    }

    /// Whether it tells, free of charge, whether an access token lives. X bills
    /// `GET /2/users/me` as a read.
    #[must_use]
    pub const fn has_free_probe(self) -> bool {
        match self {
            Self::Twitter => false,
            Self::Meta
            | Self::Instagram
            | Self::Tiktok
            | Self::TiktokBusiness
            | Self::Linkedin
            | Self::Google
            | Self::Snapchat => true,
        }
    }

    /// A permission as the platform's answers spell it. Google takes two by short
    /// names as well, and answers with the long ones
    /// (developers.google.com/identity/protocols/oauth2/scopes).
    #[must_use]
    pub fn spelling(self, scope: &str) -> &str {
        match (self, scope) {
            (Self::Google, "email") => "https://www.googleapis.com/auth/userinfo.email",
            (Self::Google, "profile") => "https://www.googleapis.com/auth/userinfo.profile",
            _ => scope,
        }
    }

    /// How long a grant lasts unused, renewed by any refresh. Google: six
    /// months (developers.google.com/identity/protocols/oauth2).
    #[must_use]
    pub const fn idle_life(self) -> Option<TimeDelta> {
        match self {
            Self::Google => Some(TimeDelta::days(180)),
            Self::Meta
            | Self::Instagram
            | Self::Tiktok
            | Self::TiktokBusiness
            | Self::Linkedin
            | Self::Twitter
            | Self::Snapchat => None,
        }
    }
}

impl Platform {
    /// Every name that is taken: `meta (or facebook), instagram, ...`.
    #[must_use]
    pub fn names() -> String {
        let names = Self::ALL.map(|platform| {
            let alias = ALIASES.iter().find(|(_, of)| *of == platform);
            let alias = alias.map(|(alias, _)| format!(" (or {alias})"));
            format!("{}{}", platform.name(), alias.unwrap_or_default())
        });
        names.join(", ")
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Platform {
    type Err = UnknownPlatform;

    /// Reads a canonical name or one of the original system's aliases.
    fn from_str(name: &str) -> Result<Self, UnknownPlatform> {
        let own = Self::ALL.map(|platform| (platform.name(), platform));
        own.into_iter()
            .chain(ALIASES)
            .find(|(known, _)| *known == name)
            .map(|(_, platform)| platform)
            .ok_or_else(|| UnknownPlatform {
                name: redact::word(name).to_owned(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_aliases_resolve() {
        for platform in Platform::ALL {
            assert_eq!(platform.name().parse(), Ok(platform));
            assert_eq!(serde_json::to_value(platform).unwrap(), platform.name());
        }
        assert_eq!("facebook".parse(), Ok(Platform::Meta));
        assert_eq!("x".parse(), Ok(Platform::Twitter));
        assert_eq!("google_ads".parse(), Ok(Platform::Google));
        for (name, platform) in [
            ("Facebook", Platform::Meta),
            ("X", Platform::Twitter),
            ("Google Ads", Platform::Google),
            (" TIKTOK-Business ", Platform::TiktokBusiness),
            ("LinkedIn", Platform::Linkedin),
        ] {
            assert_eq!(Platform::of_export(name), Some(platform), "{name}");
            assert!(name.parse::<Platform>().is_err(), "{name}");
        }
        let error = "Myspace".parse::<Platform>().unwrap_err().to_string();
        assert!(
            error.starts_with(
                "unknown platform \"Myspace\"; known are meta (or facebook), instagram"
            ),
            "{error}"
        );
    }

    #[test]
    fn every_name_that_is_taken_is_told() {
        let error = "myspace".parse::<Platform>().unwrap_err().to_string();
        let (_, told) = error.split_once("known are ").unwrap();
        let told: Vec<_> = told
            .split([',', ' ', '(', ')'])
            .filter(|word| !word.is_empty() && *word != "or")
            .collect();
        assert_eq!(told.len(), Platform::ALL.len() + ALIASES.len());
        for name in told {
            assert!(name.parse::<Platform>().is_ok(), "{name}");
        }
    }
}
