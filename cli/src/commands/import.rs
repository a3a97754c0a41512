//! `warden import`.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::Args;
use shared::Clock;
use shared::import::{Importer, Progress, Summary};
use tokio::fs::File;
use tokio::io::{AsyncRead, BufReader};

use crate::output::{Outcome, Output};
use crate::progress;
use crate::target::{Place, Target};

/// How much is read at once.
const BUFFER: usize = 256 * 1024;

/// Take over organisations, members and connections from another system
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// JSON Lines, one record a line; - for standard input
    file: PathBuf,
    #[command(flatten)]
    place: Place,
}

impl Import {
    pub(crate) async fn run(self, output: &Output) -> anyhow::Result<Outcome> {
        // Before anything else is looked for: the likeliest mistake.
        let source = Source::open(&self.file).await?;
        let target = Target::of(&self.place, &Target::IMPORTER_NEEDS).await?;
        let importer = target.importer(Clock::system())?;
        let summary = source.import(&importer, output).await?;
        output.answer(&summary, || render(&summary))?;
        Ok(Outcome::fine_if(summary.is_clean()))
    }
}

/// A file to import, open.
pub(crate) struct Source {
    name: String,
    size: Option<u64>,
    reader: Box<dyn AsyncRead + Unpin>,
}

impl Source {
    pub(crate) async fn open(path: &Path) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self {
                name: "standard input".to_owned(),
                size: None,
                reader: Box::new(tokio::io::stdin()),
            });
        }
        let name = path.display().to_string();
        let file = File::open(path)
            .await
            .with_context(|| format!("{name} cannot be read"))?;
        let about = file.metadata().await;
        let about = about.with_context(|| format!("{name} cannot be read"))?;
        ensure!(!about.is_dir(), "{name} is a directory, not a file");
        Ok(Self {
            name,
            size: Some(about.len()).filter(|size| *size > 0), // a pipe says 0
            reader: Box::new(file),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Imports it, telling each problem as it comes.
    pub(crate) async fn import(
        self,
        importer: &Importer,
        output: &Output,
    ) -> anyhow::Result<Summary> {
        let bar = progress::bytes(self.size);
        let file = BufReader::with_capacity(BUFFER, self.reader);
        let summary = importer
            .import(file, |progress| match progress {
                Progress::Read(bytes) => bar.set_position(bytes),
                Progress::Problem { line, reason } => {
                    bar.suspend(|| output.note(format_args!("line {line}: {reason}")));
                }
            })
            .await;
        bar.finish_and_clear();
        summary.with_context(|| {
            let name = self.name;
            format!("{name} could not be read to its end; import it again to go on from there")
        })
    }
}

/// What an import did, in words.
pub(crate) fn render(summary: &Summary) -> String {
    let Summary {
        lines,
        created,
        changed,
        unchanged,
        older,
        refused,
        ..
    } = summary;
    let plural = if *lines == 1 { "" } else { "s" };
    let mut text =
        format!("{lines} line{plural}: {created} new, {changed} changed, {unchanged} unchanged");
    if *older > 0 {
        text += &format!(", {older} older than what is stored");
    }
    if *refused > 0 {
        text += &format!(", {refused} refused");
    }
    if !summary.missing_organizations.is_empty() {
        text += &format!(
            "\nno organisation yet: {}",
            summary.missing_organizations.join(", ")
        );
        if summary.missing_unlisted > 0 {
            text += &format!(" and {} more", summary.missing_unlisted);
        }
        text += "\nnobody can see their connections or be told about them: \
                 import a line of type organization for each";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_says_only_what_there_is_to_say() {
        let clean = Summary {
            lines: 1,
            created: 1,
            ..Summary::default()
        };
        assert_eq!(render(&clean), "1 line: 1 new, 0 changed, 0 unchanged");
        let troubled = Summary {
            lines: 9,
            older: 1,
            refused: 2,
            missing_organizations: vec!["acme".to_owned()],
            missing_unlisted: 3,
            ..Summary::default()
        };
        let text = render(&troubled);
        assert!(
            text.contains("1 older than what is stored, 2 refused"),
            "{text}"
        );
        assert!(
            text.contains("no organisation yet: acme and 3 more"),
            "{text}"
        );
    }
}
