//! The demo: an organisation with an integration in every state on every
//! platform, and a few hours of history.

mod standing;
mod story;
mod view;

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use chrono::TimeDelta;
use local::Stack;
use serde_json::json;
use shared::registration::import::{Importer, Progress};
use shared::{Clock, IntegrationId, OrgId, Platform};

use crate::target::Target;
use story::{From, Story, Times};
pub(crate) use view::Demo;

pub(crate) const ORG: &str = "demo";
/// The owner, who is told everything.
pub(crate) const OWNER: &str = "olga";
const CREATOR: &str = "ian";
/// A member who only looks.
const MEMBER: &str = "mia";

/// File in the data directory: the demo is there, and whole.
const COMPLETE: &str = "demo.complete";

/// How long ago the integrations were imported.
const HISTORY: TimeDelta = TimeDelta::hours(3);
/// A refused grant is tried again after a minute or two; only a second refusal,
/// in a later sweep, is believed.
const BETWEEN_SWEEPS: TimeDelta = TimeDelta::minutes(10);

/// Every integration of the demo, platform by platform.
fn integrations() -> impl Iterator<Item = (Platform, Story, String)> {
    Platform::ALL.into_iter().flat_map(|platform| {
        let stories = Story::ALL.into_iter();
        stories
            .filter(move |story| story.happens_on(platform))
            .map(move |story| (platform, story, format!("{platform}-{}", story.name())))
    })
}

/// Loads the demo if it is not there yet, sweeps, waits until everybody is
/// told, and looks how everything stands. `clock` and `data_dir` are the stack's.
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
    let complete = data_dir.join(COMPLETE);
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
        // Its story cannot be taken up in the middle: the past is over.
        bail!(
            "loading it was interrupted, so only a part of it is there; delete {}, or start \
             with --no-demo",
            data_dir.display()
        );
    }
    let report = sweep().await?;
    view::look(target, &org, report, clock.now()).await
}

/// Imports organisation, members and integrations. What the platforms are to
/// do in the present is handed back.
async fn import(
    importer: &Importer,
    stack: &Stack,
    times: Times,
) -> anyhow::Result<Vec<local::platforms::Script>> {
    let mut lines = vec![
        json!({"type": "organization", "org_id": ORG, "name": "Demo Agency", "owner_id": OWNER}),
        json!({"type": "member", "org_id": ORG, "user_id": CREATOR, "permissions": ["manage_integrations"]}),
        json!({"type": "member", "org_id": ORG, "user_id": MEMBER, "permissions": []}),
    ];
    let mut later = Vec::new();
    for (platform, story, id) in integrations() {
        let told = story.tell(platform, &id, times);
        lines.push(told.line);
        match told.script {
            Some((From::TheImport, script)) => drop(stack.platforms().script(script)?),
            Some((From::Now, script)) => later.push(script),
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

fn integration_id(id: &str) -> anyhow::Result<IntegrationId> {
    Ok(IntegrationId::new(id)?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use shared::registration::import::Record;

    use super::*;

    #[test]
    fn every_platform_has_every_story_that_it_can_have() {
        let stories = |platform| {
            let all = integrations().filter(move |(of, ..)| *of == platform);
            all.map(|(_, story, _)| story.name())
                .collect::<BTreeSet<_>>()
        };
        let everywhere = [
            "renews-itself",
            "expiring",
            "expired",
            "platform-down",
            "access-withdrawn",
            "switched-off",
        ];
        for platform in Platform::ALL {
            assert!(
                stories(platform).is_superset(&everywhere.into()),
                "{platform}"
            );
        }
        for platform in [Platform::Meta, Platform::Instagram, Platform::Google] {
            assert!(stories(platform).contains("act-first"), "{platform}");
        }
        assert!(!stories(Platform::Twitter).contains("act-first"));
    }

    #[test]
    fn every_story_is_a_line_that_can_be_imported_and_a_script_that_can_be_followed() {
        let clock = Clock::system();
        let now = clock.now();
        let imported = now - HISTORY;
        let platforms = local::platforms::Platforms::new(clock);
        for (platform, story, id) in integrations() {
            let told = story.tell(platform, &id, Times { imported, now });
            let parsed = Record::parse(told.line.to_string().as_bytes());
            assert!(parsed.is_ok(), "{id}: {}", parsed.unwrap_err());
            if let Some((_, script)) = told.script {
                assert!(platforms.script(script).is_ok(), "{id}");
            }
            assert!(integration_id(&id).is_ok(), "{id}");
        }
    }
}
