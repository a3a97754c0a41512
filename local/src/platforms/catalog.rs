//! Which simulator stands for which platform.

use shared::Platform;

use super::rules::{HOUR, Rules};
use super::simulated::Simulated;
use super::{google_ads, instagram, linkedin, meta, snapchat, threads, tiktok, tiktok_business, x};

pub(super) const fn for_platform(platform: Platform) -> &'static Simulated {
    match platform {
        Platform::Meta => &meta::SIMULATED,
        Platform::Instagram => &instagram::SIMULATED,
        Platform::Tiktok => &tiktok::SIMULATED,
        Platform::TiktokBusiness => &tiktok_business::SIMULATED,
        Platform::Linkedin => &linkedin::SIMULATED,
        Platform::Twitter => &x::SIMULATED,
        Platform::Google => &google_ads::SIMULATED,
        Platform::Snapchat => &snapchat::SIMULATED,
        Platform::Threads => &threads::SIMULATED,
    }
}

impl Rules {
    #[must_use]
    pub fn documented(platform: Platform) -> Self {
        let simulated = for_platform(platform);
        let plain = Self {
            access_lifetime: 3_600,
            refresh_lifetime: None,
            refresh_slides: true,
            idle_lifetime: platform.idle_lifetime().map(|life| life.num_seconds()),
            rotates: false,
            family_kill: false,
            grace_window: 0,
            minimum_age: platform.minimum_age().num_seconds(),
            extends: true,
            says_expires_in: true,
            data_access_lifetime: None,
            scope: simulated.scope.to_owned(),
            system_users: false,
            requires_proof: false,
            old_access_dies: false,
            calls_limit: None,
            calls_window: HOUR,
        };
        let rules = (simulated.rules)(plain);
        Self {
            old_access_dies: rules.rotates,
            ..rules
        }
    }
}
