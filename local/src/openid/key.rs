//! The key pair that signs local tokens.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, anyhow};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use shared::runtime::random_id;

pub(super) fn new() -> anyhow::Result<Vec<u8>> {
    EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
        .map(|document| document.as_ref().to_vec())
        .map_err(|_| anyhow!("no key pair could be made for the issuer"))
}

/// Reads the key, making it first if there is none. The new key is written
/// aside and linked into place, so that neither a crash nor another process
/// starting at the same moment leaves half a key or two of them.
pub(super) fn stored(directory: &Path) -> anyhow::Result<Vec<u8>> {
    let path = directory.join("issuer.key");
    if !path.exists() {
        fs::create_dir_all(directory)
            .with_context(|| format!("{} cannot be made", directory.display()))?;
        let aside = directory.join(format!("issuer.key.{}", random_id()));
        let written =
            write_private(&aside, &new()?).and_then(|()| match fs::hard_link(&aside, &path) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
                _ => Ok(()),
            });
        let removed = fs::remove_file(&aside);
        written
            .and(removed)
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    let key = fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key).map_err(|rejected| {
        anyhow!(
            "{} is not a P-256 key ({rejected}); delete it to have a new one made",
            path.display()
        )
    })?;
    Ok(key)
}

fn write_private(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(content)?;
    file.sync_all()
}
