//! The data directory: one running stack at a time, and files with mode 0600.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::addresses::Addresses;

const ADDRESSES: &str = "local.json";
const FUNCTIONS_ENV: &str = "functions.env";
const LOCK: &str = "lock";

/// A data directory, locked until this is dropped or the process ends.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Locks the directory, makes it if it is missing, and deletes what a killed stack
    /// published there.
    pub(crate) async fn open(path: &Path) -> anyhow::Result<Self> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        builder.mode(0o700);
        builder
            .create(path)
            .with_context(|| format!("cannot make the data directory {}", path.display()))?;
        let lock = lock_file(path)
            .with_context(|| format!("cannot write to the data directory {}", path.display()))?;
        // A command that looks for a running stack holds the lock for an instant.
        for attempt in 1.. {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if attempt < 3 => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(TryLockError::WouldBlock) => bail!(
                    "the data directory {} is in use by another running stack; \
                     stop that one, or choose another with --data-dir",
                    path.display()
                ),
                Err(TryLockError::Error(error)) => {
                    return Err(error).context("cannot lock the data directory");
                }
            }
        }
        let directory = Self {
            path: path.to_owned(),
            _lock: lock,
        };
        directory.withdraw_addresses();
        Ok(directory)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Returns the content of a file with mode 0600, which `make` makes the first time.
    pub(crate) fn secret(
        &self,
        name: &str,
        make: impl FnOnce() -> Vec<u8>,
    ) -> anyhow::Result<Vec<u8>> {
        let file = self.file(name);
        if !file.exists() {
            self.write(name, &make())?;
        }
        fs::read(&file).with_context(|| format!("cannot read {}", file.display()))
    }

    /// Writes the addresses, and the environment of functions that run elsewhere.
    pub(crate) fn publish_addresses(
        &self,
        addresses: &Addresses,
        functions_env: &str,
    ) -> anyhow::Result<()> {
        let mut text = serde_json::to_string_pretty(addresses)?;
        text.push('\n');
        self.write(FUNCTIONS_ENV, functions_env.as_bytes())?;
        self.write(ADDRESSES, text.as_bytes()) // the last: its presence means that the stack is ready
    }

    /// Deletes what `publish_addresses` wrote.
    pub(crate) fn withdraw_addresses(&self) {
        for name in [ADDRESSES, FUNCTIONS_ENV] {
            let _ = fs::remove_file(self.file(name)); // mostly it is not there
        }
    }

    /// Writes a file whole or not at all.
    fn write(&self, name: &str, content: &[u8]) -> anyhow::Result<()> {
        let (file, new) = (self.file(name), self.file(&format!("{name}.new")));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options
            .open(&new)
            .and_then(|mut open| open.write_all(content).and_then(|()| open.sync_all()))
            .and_then(|()| fs::rename(&new, &file))
            .with_context(|| format!("cannot write {}", file.display()))
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        self.withdraw_addresses();
    }
}

impl Addresses {
    /// Returns the addresses of the stack that runs in `data_dir`.
    ///
    /// # Errors
    /// If no stack runs there, or its file cannot be read.
    pub fn from_data_dir(data_dir: &Path) -> anyhow::Result<Self> {
        let file = data_dir.join(ADDRESSES);
        if !file.exists() || !is_locked(data_dir) {
            bail!(
                "no local stack is running in {}; start one with `warden local`, or name its \
                 directory with --data-dir",
                data_dir.display()
            );
        }
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is damaged", file.display()))
    }
}

/// Whether a stack runs in `path`.
fn is_locked(path: &Path) -> bool {
    let lock = OpenOptions::new().read(true).open(path.join(LOCK));
    lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

fn lock_file(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    options.open(path.join(LOCK))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn what_is_published_is_private_and_deleted_at_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let addresses: Addresses = serde_json::from_value(serde_json::json!({
            "gateway": "", "dynamodb": "", "sns": "", "sqs": "", "kms": "", "s3": "", "lambda": "",
            "secretsmanager": "", "issuer": "", "platforms": "",
        }))
        .unwrap();
        let names = [ADDRESSES, FUNCTIONS_ENV];
        // Left behind by one that was killed, for all to read.
        for name in names {
            fs::write(directory.path().join(name), "old").unwrap();
        }
        let data_dir = DataDir::open(directory.path()).await.unwrap();
        assert!(names.iter().all(|name| !data_dir.file(name).exists()));
        data_dir
            .publish_addresses(&addresses, "NAME='value'\n")
            .unwrap();
        for name in names {
            let mode = fs::metadata(data_dir.file(name)).unwrap().permissions();
            assert_eq!(mode.mode() & 0o777, 0o600, "{name}");
        }
        let env = fs::read_to_string(data_dir.file(FUNCTIONS_ENV)).unwrap();
        assert_eq!(env, "NAME='value'\n");
        drop(data_dir);
        let left = fs::read_dir(directory.path()).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, [LOCK]);
    }
}
