//! The catalog of platforms: their enum, and what the rest of the code asks of one.

use std::fmt;
use std::str::FromStr;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::consent::{Consent, ConsentFlow};
pub use super::definition::RefreshModel;
use super::definition::{DefaultQuota, Definition, TokenHeader};
use super::{google_ads, instagram, linkedin, meta, snapchat, threads, tiktok, tiktok_business, x};
use crate::domain::redact;

/// Makes a platform's variant, its place in `ALL` and its definition from one line.
macro_rules! catalog {
    ($($(#[$attribute:meta])* $variant:ident => $definition:path,)+) => {
        /// A platform that integrations connect to. Serialised by its canonical name.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum Platform {
            $($(#[$attribute])* $variant,)+
        }

        impl Platform {
            /// Every platform, in the order in which we list them.
            pub const ALL: [Self; [$(Self::$variant),+].len()] = [$(Self::$variant),+];

            /// Returns what the platform's file says of it.
            pub(crate) const fn definition(self) -> &'static Definition {
                match self {
                    $(Self::$variant => &$definition,)+
                }
            }
        }
    };
}

catalog! {
    /// Facebook and its pages and ads, by a long-lived user token.
    Meta => meta::DEFINITION,
    /// Instagram API with Instagram Login.
    Instagram => instagram::DEFINITION,
    /// TikTok Login Kit v2.
    Tiktok => tiktok::DEFINITION,
    /// TikTok Business (Marketing API): advertiser tokens and TikTok-account tokens.
    TiktokBusiness => tiktok_business::DEFINITION,
    /// LinkedIn.
    Linkedin => linkedin::DEFINITION,
    /// X, OAuth 2.0 with PKCE.
    Twitter => x::DEFINITION,
    /// Google Ads.
    Google => google_ads::DEFINITION,
    /// Snapchat Marketing API.
    Snapchat => snapchat::DEFINITION,
    /// Threads API.
    Threads => threads::DEFINITION,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown platform {name:?}; known are {}", Platform::names())]
pub struct UnknownPlatform {
    name: String,
}

impl Platform {
    /// Returns the canonical name, for keys, paths and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.definition().name
    }

    /// Returns the name that people know the platform by.
    #[must_use]
    pub const fn display_name(self) -> &'static str {
        self.definition().display_name
    }

    /// Returns the platform by its name or alias, in any case and with spaces or hyphens, as
    /// exports write it (`Google Ads`). Anything but an export has one spelling only.
    #[must_use]
    pub fn from_export(name: &str) -> Option<Self> {
        let plain = name.trim().to_ascii_lowercase().replace([' ', '-'], "_");
        plain.parse().ok()
    }

    /// Returns every name that is accepted: `meta (or facebook), instagram, ...`.
    #[must_use]
    pub fn names() -> String {
        let names = Self::ALL.map(|platform| {
            let Definition { name, aliases, .. } = platform.definition();
            match aliases {
                [] => (*name).to_owned(),
                aliases => format!("{name} (or {})", aliases.join(", ")),
            }
        });
        names.join(", ")
    }

    /// Returns how a credential of this platform is renewed, given what came with it.
    #[must_use]
    pub const fn refresh_model(
        self,
        has_refresh_token: bool,
        access_expires: bool,
    ) -> RefreshModel {
        let never_ends = !access_expires && self.definition().lifetimes.access_may_never_end;
        let can_be_renewed = match self.definition().refresh_model {
            RefreshModel::Extend => !never_ends,
            RefreshModel::Rotating | RefreshModel::Static => has_refresh_token,
            RefreshModel::None => false,
        };
        match can_be_renewed {
            true => self.definition().refresh_model,
            false => RefreshModel::None,
        }
    }

    /// Returns the usual life of an access token, for a credential that came without the time
    /// of its issue. An answer's own `expires_in` always wins.
    #[must_use]
    pub const fn usual_access_lifetime(self) -> TimeDelta {
        self.definition().lifetimes.access
    }

    /// Returns the longest life of an access token that the platform has documented.
    #[must_use]
    pub const fn longest_access_lifetime(self) -> TimeDelta {
        self.definition().lifetimes.longest_access
    }

    /// Whether some access tokens never end.
    pub(crate) const fn access_may_never_end(self) -> bool {
        self.definition().lifetimes.access_may_never_end
    }

    /// Whether each answer to a refresh names the access token's life.
    pub(crate) const fn always_names_access_lifetime(self) -> bool {
        self.definition().lifetimes.access_is_always_named
    }

    /// Returns the life of a refresh token, where the platform documents one and names it in
    /// each answer.
    #[must_use]
    pub const fn refresh_lifetime(self) -> Option<TimeDelta> {
        self.definition().lifetimes.refresh
    }

    /// Returns how old an access token must be before the platform extends it.
    #[must_use]
    pub const fn minimum_age(self) -> TimeDelta {
        self.definition().lifetimes.minimum_age
    }

    /// Whether the platform limits for how long we may read a person's data. No refresh renews
    /// that clock, and only a probe shows it.
    #[must_use]
    pub const fn limits_data_access(self) -> bool {
        self.data_access_lifetime().is_some()
    }

    pub(crate) const fn data_access_lifetime(self) -> Option<TimeDelta> {
        self.definition().lifetimes.data_access
    }

    /// Returns how long a grant lasts unused; any refresh renews it.
    #[must_use]
    pub const fn idle_lifetime(self) -> Option<TimeDelta> {
        self.definition().lifetimes.idle
    }

    /// Whether the platform says, free of charge, whether an access token works.
    #[must_use]
    pub const fn has_free_probe(self) -> bool {
        self.definition().probe.is_some()
    }

    /// Whether a probe names our application, and so shows that the application works. Other
    /// probes take the token alone.
    #[must_use]
    pub fn probe_names_application(self) -> bool {
        let probe = self.definition().probe.as_ref();
        probe.is_some_and(|probe| (probe.request)(false, &[]).names_client())
    }

    /// Returns a permission as the platform's answers spell it.
    #[must_use]
    pub fn spelling(self, scope: &str) -> &str {
        let spellings = self.definition().scope_spellings;
        let long = spellings.iter().find(|(short, _)| *short == scope);
        long.map_or(scope, |(_, long)| long)
    }

    /// Returns the names of the hosts that take an access token, the main one first.
    pub fn hosts(self) -> impl Iterator<Item = &'static str> {
        let hosts = self.definition().calls.hosts.iter();
        hosts.map(|(name, _)| *name)
    }

    /// Whether a call of this path holds other calls, each of which the platform counts: the
    /// Graph API takes up to 50 at its root (graph-api/batch-requests).
    #[must_use]
    pub fn is_batch(self, path: &str) -> bool {
        let is_graph = matches!(self, Self::Meta | Self::Instagram | Self::Threads);
        let version = path
            .strip_prefix('v')
            .map(|rest| rest.trim_end_matches('/'));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        is_graph && (path.is_empty() || version.is_some_and(digits))
    }

    /// Returns the header that carries an access token in a call, and its value.
    #[must_use]
    pub fn token_header(self, access_token: &str) -> (&'static str, String) {
        match self.definition().calls.token_header {
            TokenHeader::Bearer => ("Authorization", format!("Bearer {access_token}")),
            TokenHeader::Named(name) => (name, access_token.to_owned()),
        }
    }

    /// Returns what the consent page takes, by whether the credential before came with a refresh
    /// token; `None` of an integration that is new.
    #[must_use]
    pub fn consent(self, had_refresh_token: Option<bool>) -> &'static Consent {
        &self.consent_flow(had_refresh_token).consent
    }

    pub(crate) fn consent_flow(self, had_refresh_token: Option<bool>) -> &'static ConsentFlow {
        (self.definition().consent)(had_refresh_token)
    }

    pub(crate) const fn default_quota(self) -> &'static DefaultQuota {
        &self.definition().quota
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Platform {
    type Err = UnknownPlatform;

    /// Reads a canonical name or an alias.
    fn from_str(name: &str) -> Result<Self, UnknownPlatform> {
        Self::ALL
            .into_iter()
            .find(|known| known.name() == name || known.definition().aliases.contains(&name))
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
            assert_eq!(Platform::from_export(name), Some(platform), "{name}");
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
    fn the_refusal_names_every_name_that_is_accepted() {
        let error = "myspace".parse::<Platform>().unwrap_err().to_string();
        let (_, named) = error.split_once("known are ").unwrap();
        let named: Vec<_> = named
            .split([',', ' ', '(', ')'])
            .filter(|word| !word.is_empty() && *word != "or")
            .collect();
        let known = Platform::ALL.map(|platform| 1 + platform.definition().aliases.len());
        assert_eq!(named.len(), known.iter().sum::<usize>());
        for name in named {
            assert!(name.parse::<Platform>().is_ok(), "{name}");
        }
    }
}
