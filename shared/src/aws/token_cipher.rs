//! Sealing of tokens: AES-256-GCM under a data key from KMS.
//!
//! The sealed form carries the wrapped data key:
//! `1 | length of wrapped key (2 bytes, big endian) | wrapped key | nonce (12) | ciphertext and tag`.
//! Organisation, integration, field and generation are associated data, so that
//! no sealed token opens in another row, field or generation.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::DataKeySpec;
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

use crate::aws::AwsError;
use crate::domain::integration::Sealed;
use crate::{Clock, IntegrationId, OrgId};

const FORMAT: u8 = 1;
/// For how long a data key stays in memory, and for how many sealings.
const MAX_KEY_AGE: TimeDelta = TimeDelta::minutes(5);
const MAX_KEY_USES: u32 = 10_000;
/// How many data keys are held for opening.
const CACHE_CAPACITY: usize = 512;

/// Where a sealed value belongs.
#[derive(Debug, Clone, Copy)]
pub struct EncryptionContext<'a> {
    pub org_id: &'a OrgId,
    pub integration_id: &'a IntegrationId,
    pub field: SealedField,
    pub generation: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealedField {
    AccessToken,
    RefreshToken,
    /// The digest of the credential last imported. It outlives generations, so its own is 0.
    Imported,
}

#[derive(Debug, thiserror::Error)]
pub enum CipherError {
    /// KMS did not give or unwrap a data key.
    #[error(transparent)]
    Kms(#[from] AwsError),
    /// The sealed value was damaged, or belongs to another row, field or generation.
    #[error("the sealed {0} cannot be opened: damaged, or moved from another row or generation")]
    NotOpenable(&'static str),
    /// There was no data key to seal an answer with, so nothing was sent.
    #[error("KMS gave no data key, so nothing was sent to the platform")]
    NoKey,
    /// The cryptographic library refused, which it never should.
    #[error("sealing failed")]
    Cipher,
}

impl SealedField {
    const fn name(self) -> &'static str {
        match self {
            Self::AccessToken => "access_token",
            Self::RefreshToken => "refresh_token",
            Self::Imported => "imported",
        }
    }
}

impl EncryptionContext<'_> {
    fn associated_data(&self) -> Aad<Vec<u8>> {
        let Self {
            org_id,
            integration_id,
            field,
            generation,
        } = self;
        Aad::from(format!("{org_id}#{integration_id}#{}#{generation}", field.name()).into_bytes())
    }
}

/// Seals and opens under data keys of one KMS key.
#[derive(Debug, Clone)]
pub struct TokenCipher {
    kms: aws_sdk_kms::Client,
    key_id: String,
    clock: Clock,
    keys: Arc<Mutex<Keys>>,
}

/// A data key, and the header that begins every value sealed with it.
#[derive(Debug, Clone)]
pub struct DataKey {
    header: Vec<u8>,
    key: Arc<LessSafeKey>,
}

#[derive(Debug, Default)]
struct Keys {
    sealing: Option<SealingKey>,
    opening: HashMap<Vec<u8>, (Arc<LessSafeKey>, DateTime<Utc>)>,
}

#[derive(Debug)]
struct SealingKey {
    wrapped: Vec<u8>,
    key: Arc<LessSafeKey>,
    made: DateTime<Utc>,
    uses: u32,
}

impl TokenCipher {
    #[must_use]
    pub fn new(kms: aws_sdk_kms::Client, key_id: impl Into<String>, clock: Clock) -> Self {
        Self {
            kms,
            key_id: key_id.into(),
            clock,
            keys: Arc::default(),
        }
    }

    /// Seals `secret` for `context`.
    ///
    /// # Errors
    /// [`CipherError::Kms`] when KMS gives no data key.
    pub async fn seal(
        &self,
        context: EncryptionContext<'_>,
        secret: &SecretString,
    ) -> Result<Sealed, CipherError> {
        self.seal_bytes(context, secret.expose_secret().as_bytes())
            .await
    }

    /// Opens what was sealed for `context`.
    ///
    /// # Errors
    /// [`CipherError::NotOpenable`] when it was damaged or belongs elsewhere.
    pub async fn open(
        &self,
        context: EncryptionContext<'_>,
        sealed: &Sealed,
    ) -> Result<SecretString, CipherError> {
        let bytes = self.open_bytes(context, sealed).await?;
        String::from_utf8(bytes)
            .map(SecretString::from)
            .map_err(|_| CipherError::NotOpenable(context.field.name()))
    }

    /// Returns a data key. What it seals needs nothing more from KMS.
    ///
    /// # Errors
    /// [`CipherError::Kms`] when KMS gives none.
    pub async fn data_key(&self) -> Result<DataKey, CipherError> {
        let (wrapped, key) = self.sealing_key().await?;
        // Checked here, so that a key at hand is one that can be written down.
        let length = u16::try_from(wrapped.len()).map_err(|_| CipherError::Cipher)?;
        Ok(DataKey {
            header: [&[FORMAT][..], &length.to_be_bytes(), &wrapped].concat(),
            key,
        })
    }

    pub(crate) async fn seal_bytes(
        &self,
        context: EncryptionContext<'_>,
        bytes: &[u8],
    ) -> Result<Sealed, CipherError> {
        self.data_key().await?.seal_bytes(context, bytes)
    }

    pub(crate) async fn open_bytes(
        &self,
        context: EncryptionContext<'_>,
        sealed: &Sealed,
    ) -> Result<Vec<u8>, CipherError> {
        let damaged = || CipherError::NotOpenable(context.field.name());
        let (wrapped, nonce, text) = split(&sealed.0).ok_or_else(damaged)?;
        let key = self.opening_key(wrapped).await?;
        let mut text = text.to_vec();
        let opened = key
            .open_in_place(
                Nonce::assume_unique_for_key(nonce),
                context.associated_data(),
                &mut text,
            )
            .map_err(|_| damaged())?;
        Ok(opened.to_vec())
    }

    /// Returns a data key. The lock is held while KMS is asked, so that a burst asks once.
    async fn sealing_key(&self) -> Result<(Vec<u8>, Arc<LessSafeKey>), CipherError> {
        let now = self.clock.now();
        let mut keys = self.keys.lock().await;
        if let Some(held) = &mut keys.sealing
            && held.uses < MAX_KEY_USES
            && now - held.made < MAX_KEY_AGE
        {
            held.uses += 1;
            return Ok((held.wrapped.clone(), Arc::clone(&held.key)));
        }
        let answer = self
            .kms
            .generate_data_key()
            .key_id(&self.key_id)
            .key_spec(DataKeySpec::Aes256)
            .send()
            .await
            .map_err(|e| AwsError::new("kms:GenerateDataKey", e))?;
        let (Some(wrapped), Some(plain)) = (answer.ciphertext_blob, answer.plaintext) else {
            return Err(AwsError::incomplete("kms:GenerateDataKey", "key").into());
        };
        let (wrapped, key) = (wrapped.into_inner(), cipher(plain.as_ref())?);
        keys.sealing = Some(SealingKey {
            wrapped: wrapped.clone(),
            key: Arc::clone(&key),
            made: now,
            uses: 1,
        });
        keys.remember(wrapped.clone(), Arc::clone(&key), now);
        Ok((wrapped, key))
    }

    async fn opening_key(&self, wrapped: &[u8]) -> Result<Arc<LessSafeKey>, CipherError> {
        let now = self.clock.now();
        if let Some((key, held)) = self.keys.lock().await.opening.get(wrapped)
            && now - *held < MAX_KEY_AGE
        {
            return Ok(Arc::clone(key));
        }
        let answer = self
            .kms
            .decrypt()
            .key_id(&self.key_id)
            .ciphertext_blob(Blob::new(wrapped))
            .send()
            .await
            .map_err(|e| AwsError::new("kms:Decrypt", e))?;
        let plain = answer
            .plaintext
            .ok_or_else(|| AwsError::incomplete("kms:Decrypt", "plaintext"))?;
        let key = cipher(plain.as_ref())?;
        self.keys
            .lock()
            .await
            .remember(wrapped.to_vec(), Arc::clone(&key), now);
        Ok(key)
    }
}

impl DataKey {
    /// Seals `secret` for `context`.
    ///
    /// # Errors
    /// [`CipherError::Cipher`], which never happens.
    pub fn seal(
        &self,
        context: EncryptionContext<'_>,
        secret: &SecretString,
    ) -> Result<Sealed, CipherError> {
        self.seal_bytes(context, secret.expose_secret().as_bytes())
    }

    fn seal_bytes(
        &self,
        context: EncryptionContext<'_>,
        bytes: &[u8],
    ) -> Result<Sealed, CipherError> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|_| CipherError::Cipher)?;
        let mut text = bytes.to_vec();
        self.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                context.associated_data(),
                &mut text,
            )
            .map_err(|_| CipherError::Cipher)?;
        Ok(Sealed([&self.header[..], &nonce, &text].concat()))
    }
}

impl Keys {
    fn remember(&mut self, wrapped: Vec<u8>, key: Arc<LessSafeKey>, now: DateTime<Utc>) {
        if self.opening.len() >= CACHE_CAPACITY {
            self.opening
                .retain(|_, (_, held)| now - *held < MAX_KEY_AGE);
        }
        if self.opening.len() >= CACHE_CAPACITY {
            self.opening.clear();
        }
        self.opening.insert(wrapped, (key, now));
    }
}

fn cipher(key: &[u8]) -> Result<Arc<LessSafeKey>, CipherError> {
    let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| CipherError::Cipher)?;
    Ok(Arc::new(LessSafeKey::new(key)))
}

fn split(sealed: &[u8]) -> Option<(&[u8], [u8; NONCE_LEN], &[u8])> {
    let (&[FORMAT, high, low], rest) = sealed.split_first_chunk()? else {
        return None;
    };
    let (wrapped, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
    let (nonce, text) = rest.split_first_chunk()?;
    Some((wrapped, *nonce, text))
}
