//! The demo: an organisation with every state and every platform at least once,
//! and a few hours of history.

mod demo_row;
mod story;
mod view;

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use chrono::TimeDelta;
use local::platforms::OfferedAccount;
use local::{OfferedUser, Stack};
use serde_json::json;
use shared::registration::import::{Importer, Progress};
use shared::{Clock, OrgId, Platform, UserId};

use crate::target::Target;
use story::{APPLICATION, CREATOR, MEMBER, PEOPLE, ScriptStart, Times, account_id, integrations};
pub(crate) use story::{ORG, OWNER};
pub(crate) use view::Demo;

/// The file in the data directory that says that the demo was loaded completely.
const COMPLETE_MARKER: &str = "demo.complete";

/// How long ago the integrations were imported.
const HISTORY: TimeDelta = TimeDelta::hours(3);
/// A refused grant is tried again after a minute or two; only a second refusal,
/// in a later sweep, is believed.
const BETWEEN_SWEEPS: TimeDelta = TimeDelta::minutes(10);

/// Loads the demo if it is not there yet, sweeps, waits for all notifications, and
/// reads the result. `clock` and `data_dir` are the stack's.
pub(crate) async fn run(
    stack: &Stack,
    target: &Target,
    clock: &Clock,
    data_dir: &Path,
) -> anyhow::Result<Demo> {
    let org = OrgId::new(ORG)?;
    let importer = target.importer(clock.clone())?;
    // In this process even where functions run elsewhere: they could not
    // follow the clock into the past.
    let check_tokens = target.check_tokens(clock.clone()).await?;
    let sweep = async || -> anyhow::Result<_> {
        let report = check_tokens.sweep(Default::default(), None, |_| {}).await?;
        stack.settled().await;
        Ok(report)
    };
    let complete = data_dir.join(COMPLETE_MARKER);
    if importer.organizations.organization(&org).await?.is_none() {
        let now = clock.now();
        // There and back by steps that add up to nothing.
        clock.advance(-HISTORY);
        let times = Times {
            imported: clock.now(),
            now,
        };
        let later = import(&importer, stack, times).await?;
        sweep().await?;
        clock.advance(BETWEEN_SWEEPS);
        sweep().await?;
        clock.advance(HISTORY - BETWEEN_SWEEPS);
        for script in later {
            stack.platforms().script(script)?;
        }
        fs::write(&complete, "").with_context(|| format!("cannot write {}", complete.display()))?;
    } else if !complete.exists() {
        // An interrupted history cannot be continued: the clock has moved on.
        bail!(
            "loading it was interrupted, so only a part of it is there; delete {}, or start \
             with --no-demo",
            data_dir.display()
        );
    }
    let people = PEOPLE.map(|(id, description)| {
        let id = UserId::new(id)?;
        anyhow::Ok(OfferedUser { id, description })
    });
    stack
        .issuer()
        .offer(people.into_iter().collect::<Result<_, _>>()?);
    for platform in Platform::ALL {
        let of_platform = integrations().filter(|(of, ..)| *of == platform);
        let accounts = of_platform.map(|(_, story, id)| OfferedAccount {
            id: account_id(&id),
            name: story.name().to_owned(),
        });
        stack
            .platforms()
            .offer_accounts(platform, accounts.collect());
    }
    let report = sweep().await?;
    view::read_demo(target, &org, report, clock.now()).await
}

/// Imports organisation, members and integrations. Returns the scripts that begin
/// in the present.
async fn import(
    importer: &Importer,
    stack: &Stack,
    times: Times,
) -> anyhow::Result<Vec<local::platforms::Script>> {
    let mut lines = vec![
        json!({"type": "organization", "org_id": ORG, "name": "Demo Agency", "owner_id": OWNER}),
        json!({"type": "member", "org_id": ORG, "user_id": CREATOR, "permissions": ["manage_integrations"]}),
        json!({"type": "member", "org_id": ORG, "user_id": MEMBER, "permissions": []}),
        json!({"type": "member", "org_id": ORG, "user_id": APPLICATION, "permissions": ["use_integrations"]}),
    ];
    let mut later = Vec::new();
    for (platform, story, id) in integrations() {
        let integration = story.integration(platform, &id, times);
        lines.push(integration.line);
        match integration.script {
            Some((ScriptStart::Import, script)) => drop(stack.platforms().script(script)?),
            Some((ScriptStart::Now, script)) => later.push(script),
            None => {}
        }
    }
    let file: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let mut problem = None;
    let summary = importer
        .import(file.as_bytes(), |progress| {
            if let Progress::Problem { at, reason, .. } = progress {
                problem.get_or_insert(format!("{at}: {reason}"));
            }
        })
        .await
        .context("the demo could not be imported")?;
    if !summary.is_clean() {
        bail!(
            "the demo could not be imported: {}",
            problem.unwrap_or_default()
        );
    }
    Ok(later)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use shared::registration::import::Record;
    use shared::{IntegrationId, Platform};

    use super::*;

    #[test]
    fn every_state_and_every_platform_appears_and_no_id_twice() {
        let platforms: BTreeSet<_> = integrations().map(|(platform, ..)| platform).collect();
        assert_eq!(platforms, Platform::ALL.into());
        let ids: BTreeSet<_> = integrations().map(|(.., id)| id).collect();
        assert_eq!(ids.len(), integrations().count());
        for id in [
            "meta-renews-itself",
            "tiktok_business-never-expires",
            "instagram-renewed-in-time",
            "linkedin-expiring",
            "snapchat-expired",
            "google-platform-down",
            "meta-access-withdrawn",
            "google-act-first",
            "twitter-permission-lost",
            "instagram-switched-off",
        ] {
            assert!(ids.contains(id), "{id}");
        }
    }

    #[test]
    fn every_story_is_a_line_that_can_be_imported_and_a_script_that_can_be_followed() {
        let clock = Clock::system();
        let now = clock.now();
        let imported = now - HISTORY;
        let platforms = local::platforms::Platforms::new(clock);
        for (platform, story, id) in integrations() {
            let integration = story.integration(platform, &id, Times { imported, now });
            let parsed = Record::parse(integration.line.to_string().as_bytes());
            assert!(parsed.is_ok(), "{id}: {}", parsed.unwrap_err());
            if let Some((_, script)) = integration.script {
                assert!(platforms.script(script).is_ok(), "{id}");
            }
            assert!(IntegrationId::new(id.as_str()).is_ok(), "{id}");
        }
    }
}
