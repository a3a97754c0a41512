//! `warden import`.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Args;
use shared::Clock;
use shared::registration::import::{Importer, Position, Progress, RawRecord, Summary};
use tokio::fs::File;
use tokio::io::{AsyncRead, BufReader};

use crate::output::{Outcome, Output};
use crate::progress;
use crate::stack::StackArguments;
use crate::target::Target;

const BUFFER_BYTES: usize = 256 * 1024;
/// How many problems are printed by default.
const MAX_ERRORS: u64 = 100;

/// Take over organisations, members and integrations from another system
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// JSON Lines, one record a line, or a JSON array of records; - for standard input
    file: PathBuf,
    /// How many problems are printed, each on a line; the rest is counted, and 0 prints none
    #[arg(long, value_name = "N", default_value_t = MAX_ERRORS)]
    max_errors: u64,
    /// Write the refused records there, one a line. The file holds their tokens: only you can
    /// read it, and one that exists is not overwritten
    #[arg(long, value_name = "FILE")]
    rejected: Option<PathBuf>,
    #[command(flatten)]
    stack: StackArguments,
}

impl Import {
    pub(crate) async fn run(self, output: &Output) -> anyhow::Result<Outcome> {
        // Before anything else is looked for: the likeliest mistakes.
        let source = ImportFile::open(&self.file).await?;
        let target = Target::from_arguments(&self.stack, &Target::IMPORTER_NEEDS).await?;
        let importer = target.importer(Clock::system())?;
        let rejected = self.rejected.as_deref().map(Rejected::create).transpose()?;
        let mut problems = Problems::printing(self.max_errors, rejected);
        let result = source
            .import_reporting(&importer, output, &mut problems)
            .await;
        problems.end(output)?;
        let summary = result?;
        output.answer(&summary, || render(&summary))?;
        Ok(Outcome::fine_if(summary.is_clean()))
    }
}

/// Prints the records with a problem, or counts them.
struct Problems {
    /// How many more problems may be printed.
    left: u64,
    unprinted: u64,
    rejected: Option<Rejected>,
}

impl Problems {
    fn printing(most: u64, rejected: Option<Rejected>) -> Self {
        Self {
            left: most,
            unprinted: 0,
            rejected,
        }
    }

    fn tell(&mut self, at: Position, reason: &str, output: &Output) {
        if self.left == 0 {
            self.unprinted += 1;
        } else {
            self.left -= 1;
            output.note(format_args!("{at}: {reason}"));
        }
    }

    fn end(&mut self, output: &Output) -> anyhow::Result<()> {
        if self.unprinted > 0 {
            let unprinted = self.unprinted;
            output.note(format_args!(
                "{unprinted} more with a problem, not printed (--max-errors)"
            ));
        }
        match self.rejected.take() {
            Some(rejected) => rejected.end(),
            None => Ok(()),
        }
    }
}

/// The file of the refused records. It holds tokens.
struct Rejected {
    path: PathBuf,
    file: fs::File,
    written: u64,
    failed: Option<std::io::Error>,
}

impl Rejected {
    fn create(path: &Path) -> anyhow::Result<Self> {
        let created = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path);
        match created {
            Ok(file) => Ok(Self {
                path: path.to_owned(),
                file,
                written: 0,
                failed: None,
            }),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                bail!("{} exists already, and is not overwritten", path.display())
            }
            Err(error) => Err(error).with_context(|| format!("{} cannot be made", path.display())),
        }
    }

    fn write(&mut self, record: RawRecord<'_>) {
        let mut line = record.expose_line();
        line.push(b'\n');
        // The import itself goes on; a failure is reported at its end.
        match self.file.write_all(&line) {
            Ok(()) => self.written += 1,
            Err(error) => self.failed = Some(error),
        }
    }

    /// Removes the file if it holds no records.
    fn end(self) -> anyhow::Result<()> {
        let name = self.path.display();
        if let Some(error) = self.failed {
            return Err(error).with_context(|| format!("{name} does not hold all refused records"));
        }
        if self.written == 0 {
            fs::remove_file(&self.path).with_context(|| format!("{name} cannot be removed"))?;
        }
        Ok(())
    }
}

/// An open file to import, or standard input.
pub(crate) struct ImportFile {
    name: String,
    size: Option<u64>,
    reader: Box<dyn AsyncRead + Unpin>,
}

impl ImportFile {
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

    #[cfg(feature = "local")]
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Imports the file, and prints the problems as they come.
    #[cfg(feature = "local")]
    pub(crate) async fn import(
        self,
        importer: &Importer,
        output: &Output,
    ) -> anyhow::Result<Summary> {
        let mut problems = Problems::printing(MAX_ERRORS, None);
        let result = self.import_reporting(importer, output, &mut problems).await;
        problems.end(output)?;
        result
    }

    async fn import_reporting(
        self,
        importer: &Importer,
        output: &Output,
        problems: &mut Problems,
    ) -> anyhow::Result<Summary> {
        let bar = progress::bytes(self.size);
        let file = BufReader::with_capacity(BUFFER_BYTES, self.reader);
        let summary = importer
            .import(file, |progress| match progress {
                Progress::Read(bytes) => bar.set_position(bytes),
                Progress::Problem {
                    at,
                    reason,
                    refused,
                } => {
                    if let (Some(rejected), Some(record)) = (&mut problems.rejected, refused) {
                        rejected.write(record);
                    }
                    bar.suspend(|| problems.tell(at, reason, output));
                }
            })
            .await;
        bar.finish_and_clear();
        summary.context(self.name)
    }
}

/// Says what an import did.
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
        format!("{lines} record{plural}: {created} new, {changed} changed, {unchanged} unchanged");
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
        text += "\nnobody can see their integrations or be told about them: \
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
        assert_eq!(render(&clean), "1 record: 1 new, 0 changed, 0 unchanged");
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
