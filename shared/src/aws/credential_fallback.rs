//! The second place for a renewed credential that its row would not take: an object that
//! whoever next holds the integration finds by its key. The credential is sealed, as in the
//! row.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ServerSideEncryption;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::IntegrationKey;
use crate::aws::AwsError;
use crate::domain::refresh::Renewed;

/// We read at most this many bytes of an object; real ones are under 8 kB.
const MAX_OBJECT_BYTES: usize = 64 * 1024;

/// Characters of an id that a path must not hold: `.` and `..` would be normalised away.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'.').add(b'%').add(b'/');

/// Fallback credentials, in a bucket of their own.
#[derive(Debug, Clone)]
pub struct CredentialFallback {
    client: aws_sdk_s3::Client,
    bucket: String,
}

#[derive(Debug, thiserror::Error)]
pub enum FallbackError {
    /// S3 did not answer.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// The object is not one of ours.
    #[error("the fallback credential is damaged: {0}")]
    Damaged(String),
}

impl CredentialFallback {
    #[must_use]
    pub fn new(sdk: &aws_config::SdkConfig, bucket: impl Into<String>) -> Self {
        // The bucket in the path: the same on any endpoint, and no name of a
        // host that depends on the bucket's.
        let config = aws_sdk_s3::config::Builder::from(sdk)
            .force_path_style(true)
            .build();
        Self {
            client: aws_sdk_s3::Client::from_conf(config),
            bucket: bucket.into(),
        }
    }

    /// Stores a credential of `generation`.
    ///
    /// # Errors
    /// If S3 does not take it, or nobody knows whether it did.
    pub async fn put(
        &self,
        key: &IntegrationKey,
        generation: u64,
        renewed: &Renewed,
    ) -> Result<(), FallbackError> {
        let body =
            serde_json::to_vec(renewed).map_err(|e| FallbackError::Damaged(e.to_string()))?;
        self.client
            .put_object()
            .bucket(&self.bucket)
            .key(object(key, generation))
            .content_type("application/json")
            .server_side_encryption(ServerSideEncryption::Aes256)
            .body(ByteStream::from(body))
            .send()
            .await
            .map_err(|e| AwsError::new("s3:PutObject", e))?;
        Ok(())
    }

    /// Returns the fallback credential of `generation`, if there is one.
    ///
    /// # Errors
    /// [`FallbackError`] if that cannot be known, or the object is damaged.
    pub async fn find(
        &self,
        key: &IntegrationKey,
        generation: u64,
    ) -> Result<Option<Renewed>, FallbackError> {
        let result = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(object(key, generation))
            .send()
            .await;
        let mut body = match result {
            Ok(answer) => answer.body,
            // Only that: without the right to list, S3 would deny access instead.
            Err(error) if error.as_service_error().is_some_and(|e| e.is_no_such_key()) => {
                return Ok(None);
            }
            Err(error) => return Err(AwsError::new("s3:GetObject", error).into()),
        };
        let mut bytes = Vec::new();
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|e| AwsError::failed("s3:GetObject", &e))?;
            if bytes.len() + chunk.len() > MAX_OBJECT_BYTES {
                return Err(FallbackError::Damaged("it is too large".to_owned()));
            }
            bytes.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|e| FallbackError::Damaged(e.to_string()))
    }

    /// Removes the fallback credential of `generation`, if there is one.
    ///
    /// # Errors
    /// When S3 does not answer.
    pub async fn remove(&self, key: &IntegrationKey, generation: u64) -> Result<(), FallbackError> {
        self.client
            .delete_object()
            .bucket(&self.bucket)
            .key(object(key, generation))
            .send()
            .await
            .map_err(|e| AwsError::new("s3:DeleteObject", e))?;
        Ok(())
    }
}

/// Returns the object's key: `fallback/{org}/{integration}/{generation}`.
fn object(key: &IntegrationKey, generation: u64) -> String {
    let part = |id: &str| utf8_percent_encode(id, ESCAPED).to_string();
    format!(
        "fallback/{}/{}/{generation}",
        part(key.org_id.as_str()),
        part(key.integration_id.as_str())
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{IntegrationId, OrgId};

    #[test]
    fn no_id_can_be_normalised_away_or_imitate_another() {
        let object = |org: &str, id: &str| {
            let key = IntegrationKey {
                org_id: OrgId::new(org).unwrap(),
                integration_id: IntegrationId::new(id).unwrap(),
            };
            object(&key, 3)
        };
        assert_eq!(object("acme", "7"), "fallback/acme/7/3");
        assert_eq!(object("a|b:c@d", "x_y-1"), "fallback/a|b:c@d/x_y-1/3");
        assert_eq!(object("..a", ".b"), "fallback/%2E%2Ea/%2Eb/3");
        assert_eq!(object("a.b", "7"), "fallback/a%2Eb/7/3");
        let long = format!("{}a", ".".repeat(127));
        let longest = object(&long, &long);
        assert!(longest.len() + 20 <= 1024, "S3 takes keys of 1024 bytes");
    }
}
