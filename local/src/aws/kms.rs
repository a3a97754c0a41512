//! KMS: `GenerateDataKey` and `Decrypt` under one key file.
//!
//! A ciphertext carries the key's ARN and the id of the file's material, so that a
//! foreign one is recognised. Both, and the encryption context, are authenticated.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::HeaderMap;
use rand::RngExt;
use serde::Deserialize;
use serde_json::{Value, json};

use super::protocol::{AwsError, answer_json, parse_input};

/// The first byte of every ciphertext names its format.
const FORMAT: u8 = 1;
const ID_LENGTH: usize = 16;

/// The file `kms.key` holds the material's id, then the key.
pub(crate) const MATERIAL_LENGTH: usize = ID_LENGTH + 32;

#[derive(Clone)]
pub(crate) struct Kms(Arc<KmsState>);

struct KmsState {
    /// ARNs of the template's keys.
    arns: Vec<String>,
    id: [u8; ID_LENGTH],
    key: RandomizedNonceKey,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct KmsRequest {
    key_id: Option<String>,
    key_spec: Option<String>,
    number_of_bytes: Option<usize>,
    ciphertext_blob: Option<String>,
    #[serde(default)]
    encryption_context: BTreeMap<String, String>,
}

impl Kms {
    pub(crate) fn new(arns: Vec<String>, material: &[u8; MATERIAL_LENGTH]) -> anyhow::Result<Self> {
        let (mut id, key) = ([0; ID_LENGTH], &material[ID_LENGTH..]);
        id.copy_from_slice(&material[..ID_LENGTH]);
        let key = RandomizedNonceKey::new(&AES_256_GCM, key)?;
        Ok(Self(Arc::new(KmsState { arns, id, key })))
    }

    pub(crate) fn router(self) -> Router {
        Router::new().route("/", post(serve)).with_state(self)
    }

    fn operation(&self, name: &str, request: Value) -> Result<Value, AwsError> {
        let request: KmsRequest = parse_input(request)?;
        match name {
            "GenerateDataKey" => self.generate_data_key(&request),
            "Decrypt" => self.decrypt(&request),
            other => Err(AwsError::unknown_operation(other)),
        }
    }

    /// Returns the ARN of the key that `key_id` (an id or an ARN) names.
    fn arn(&self, key_id: &str) -> Result<&str, AwsError> {
        let suffix = format!("/{key_id}");
        let arn = self.0.arns.iter();
        let mut arn = arn.filter(|arn| *arn == key_id || arn.ends_with(&suffix));
        arn.next().map(String::as_str).ok_or_else(|| {
            AwsError::new(
                "NotFoundException",
                format!("Key '{key_id}' does not exist"),
            )
        })
    }

    fn generate_data_key(&self, request: &KmsRequest) -> Result<Value, AwsError> {
        let arn = self.arn(request.key_id.as_deref().unwrap_or_default())?;
        let length = match (request.key_spec.as_deref(), request.number_of_bytes) {
            (Some("AES_256"), None) => 32,
            (Some("AES_128"), None) => 16,
            (None, Some(length @ 1..=1024)) => length,
            _ => {
                let message = "Please specify either number of bytes or key spec.";
                return Err(AwsError::new("ValidationException", message));
            }
        };
        let mut plaintext = vec![0; length];
        rand::rng().fill(&mut plaintext[..]);
        let header = self.header(arn);
        let mut sealed = plaintext.clone();
        let nonce = self
            .0
            .key
            .seal_in_place_append_tag(aad(&header, &request.encryption_context), &mut sealed)
            .map_err(|_| AwsError::new("KMSInternalException", "sealing failed"))?;
        let blob = [&header[..], nonce.as_ref(), &sealed[..]].concat();
        Ok(json!({
            "KeyId": arn,
            "Plaintext": BASE64.encode(plaintext),
            "CiphertextBlob": BASE64.encode(blob),
        }))
    }

    fn decrypt(&self, request: &KmsRequest) -> Result<Value, AwsError> {
        let invalid = || AwsError::new("InvalidCiphertextException", "");
        let blob = request.ciphertext_blob.as_deref().unwrap_or_default();
        let blob = BASE64.decode(blob).map_err(|_| invalid())?;
        let made_by = |arn: &&String| blob.starts_with(&self.header(arn));
        let arn = self.0.arns.iter().find(made_by).ok_or_else(invalid)?;
        if let Some(key_id) = &request.key_id
            && self.arn(key_id)? != arn
        {
            let message =
                "The key ID in the request does not identify the key that made this ciphertext.";
            return Err(AwsError::new("IncorrectKeyException", message));
        }
        let (header, rest) = blob.split_at(self.header(arn).len());
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN).ok_or_else(invalid)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| invalid())?;
        let mut sealed = sealed.to_vec();
        let aad = aad(header, &request.encryption_context);
        let plaintext = self.0.key.open_in_place(nonce, aad, &mut sealed);
        let plaintext = plaintext.map_err(|_| invalid())?;
        Ok(json!({
            "KeyId": arn,
            "Plaintext": BASE64.encode(plaintext),
            "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        }))
    }

    fn header(&self, arn: &str) -> Vec<u8> {
        let length = u8::try_from(arn.len()).unwrap_or(u8::MAX);
        [&[FORMAT, length][..], arn.as_bytes(), &self.0.id].concat()
    }
}

/// Encodes the header, then the encryption context, unambiguously and in order.
fn aad(header: &[u8], context: &BTreeMap<String, String>) -> Aad<Vec<u8>> {
    let context = json!(context).to_string();
    Aad::from([header, context.as_bytes()].concat())
}

async fn serve(State(kms): State<Kms>, headers: HeaderMap, body: Bytes) -> Response {
    answer_json(&headers, &body, |name, input| kms.operation(name, input))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "arn:aws:kms:us-east-1:000000000000:key/one";

    fn kms(fill: u8) -> Kms {
        Kms::new(vec![KEY.to_owned()], &[fill; MATERIAL_LENGTH]).unwrap()
    }

    fn blob_of(kms: &Kms, context: Value) -> (Value, Value) {
        let made = kms
            .operation(
                "GenerateDataKey",
                json!({"KeyId": KEY, "KeySpec": "AES_256", "EncryptionContext": context}),
            )
            .unwrap();
        (made["CiphertextBlob"].clone(), made["Plaintext"].clone())
    }

    #[test]
    fn a_data_key_comes_back_only_under_its_key_and_context() {
        let (blob, plaintext) = blob_of(&kms(1), json!({"org": "acme"}));
        let decrypt = |kms: Kms, context: Value, key_id: Value| {
            let request =
                json!({"CiphertextBlob": blob, "EncryptionContext": context, "KeyId": key_id});
            kms.operation("Decrypt", request)
                .map_err(|error| error.code)
        };
        let right = json!({"org": "acme"});
        let opened = decrypt(kms(1), right.clone(), json!("one")).unwrap();
        assert_eq!(opened["Plaintext"], plaintext);
        let invalid = Err("InvalidCiphertextException");
        assert_eq!(
            decrypt(kms(1), json!({"org": "other"}), Value::Null),
            invalid
        );
        assert_eq!(decrypt(kms(2), right.clone(), Value::Null), invalid);
        assert_eq!(
            decrypt(kms(1), right, json!("two")),
            Err("NotFoundException")
        );
    }

    #[test]
    fn the_key_id_must_be_the_one_that_made_the_ciphertext() {
        let arns = vec![KEY.to_owned(), KEY.replace("/one", "/two")];
        let kms = Kms::new(arns, &[1; MATERIAL_LENGTH]).unwrap();
        let (blob, _) = blob_of(&kms, json!({}));
        let request = json!({"CiphertextBlob": blob, "KeyId": "two"});
        let error = kms.operation("Decrypt", request).unwrap_err();
        assert_eq!(error.code, "IncorrectKeyException");
        let request = json!({"CiphertextBlob": "AQID"});
        let error = kms.operation("Decrypt", request).unwrap_err();
        assert_eq!(error.code, "InvalidCiphertextException");
    }
}
