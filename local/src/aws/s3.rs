//! S3: `PutObject`, `GetObject` and `DeleteObject`, the bucket in the path.
//! Objects are files under the data directory where there is one.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use shared::domain::digest::hex;

use crate::uuid::random_uuid;

/// Objects here stay far below this size.
const MAX_OBJECT_BYTES: usize = 1024 * 1024;

#[derive(Clone)]
pub(crate) struct S3 {
    buckets: Arc<Vec<String>>,
    objects: Arc<Objects>,
}

enum Objects {
    Memory(Mutex<BTreeMap<(String, String), Bytes>>),
    Directory(PathBuf),
}

impl S3 {
    /// Opens `buckets` with their objects in `directory` or, without one, in memory.
    pub(crate) fn open(buckets: Vec<String>, directory: Option<PathBuf>) -> anyhow::Result<Self> {
        let objects = match directory {
            None => Objects::Memory(Mutex::default()),
            Some(directory) => {
                for bucket in &buckets {
                    fs::create_dir_all(directory.join(bucket))?;
                }
                Objects::Directory(directory)
            }
        };
        Ok(Self {
            buckets: Arc::new(buckets),
            objects: Arc::new(objects),
        })
    }

    pub(crate) fn router(self) -> Router {
        let object = get(get_object).put(write).delete(remove);
        Router::new()
            .route("/{bucket}/{*key}", object)
            .layer(DefaultBodyLimit::max(MAX_OBJECT_BYTES))
            .with_state(self)
    }

    /// Returns the error answer if the bucket does not exist.
    fn no_such(&self, bucket: &str) -> Option<Response> {
        let message = "The specified bucket does not exist";
        let unknown = !self.buckets.iter().any(|known| known == bucket);
        unknown.then(|| error(StatusCode::NOT_FOUND, "NoSuchBucket", message))
    }
}

impl Objects {
    fn get(&self, bucket: &str, key: &str) -> std::io::Result<Option<Bytes>> {
        match self {
            Self::Memory(objects) => {
                let objects = objects.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(objects.get(&(bucket.to_owned(), key.to_owned())).cloned())
            }
            Self::Directory(directory) => match fs::read(file(directory, bucket, key)) {
                Ok(content) => Ok(Some(content.into())),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            },
        }
    }

    fn write(&self, bucket: &str, key: &str, content: Bytes) -> std::io::Result<()> {
        match self {
            Self::Memory(objects) => {
                let mut objects = objects.lock().unwrap_or_else(PoisonError::into_inner);
                objects.insert((bucket.to_owned(), key.to_owned()), content);
                Ok(())
            }
            // Whole or not at all.
            Self::Directory(directory) => {
                let file = file(directory, bucket, key);
                let new = file.with_extension(random_uuid());
                fs::write(&new, &content)?;
                fs::File::open(&new)?.sync_all()?;
                fs::rename(&new, &file)
            }
        }
    }

    fn remove(&self, bucket: &str, key: &str) -> std::io::Result<()> {
        match self {
            Self::Memory(objects) => {
                let mut objects = objects.lock().unwrap_or_else(PoisonError::into_inner);
                objects.remove(&(bucket.to_owned(), key.to_owned()));
                Ok(())
            }
            Self::Directory(directory) => match fs::remove_file(file(directory, bucket, key)) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        }
    }
}

/// Hashes the key, which may hold what a file's name cannot.
fn file(directory: &std::path::Path, bucket: &str, key: &str) -> PathBuf {
    directory.join(bucket).join(hash(key.as_bytes()))
}

fn hash(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// Returns a quoted hash, opaque to clients. S3's own is not always an MD5 either.
fn etag(content: &[u8]) -> [(header::HeaderName, String); 1] {
    [(header::ETAG, format!("\"{}\"", hash(content)))]
}

async fn get_object(State(s3): State<S3>, Path((bucket, key)): Path<(String, String)>) -> Response {
    if let Some(response) = s3.no_such(&bucket) {
        return response;
    }
    match s3.objects.get(&bucket, &key) {
        Ok(Some(content)) => (StatusCode::OK, etag(&content), content).into_response(),
        Ok(None) => error(
            StatusCode::NOT_FOUND,
            "NoSuchKey",
            "The specified key does not exist.",
        ),
        Err(problem) => internal(&problem),
    }
}

async fn write(
    State(s3): State<S3>,
    Path((bucket, key)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Some(response) = s3.no_such(&bucket) {
        return response;
    }
    let encoding = headers.get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|value| value.as_bytes().starts_with(b"aws-chunked")) {
        let message = "streamed uploads are not served on this machine";
        return error(StatusCode::NOT_IMPLEMENTED, "NotImplemented", message);
    }
    let etag = etag(&body);
    match s3.objects.write(&bucket, &key, body) {
        Ok(()) => (StatusCode::OK, etag).into_response(),
        Err(problem) => internal(&problem),
    }
}

async fn remove(State(s3): State<S3>, Path((bucket, key)): Path<(String, String)>) -> Response {
    if let Some(response) = s3.no_such(&bucket) {
        return response;
    }
    match s3.objects.remove(&bucket, &key) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(problem) => internal(&problem),
    }
}

fn internal(problem: &std::io::Error) -> Response {
    tracing::error!(error = %problem, "an object's file cannot be used");
    error(
        StatusCode::INTERNAL_SERVER_ERROR,
        "InternalError",
        "We encountered an internal error. Please try again.",
    )
}

fn error(status: StatusCode, code: &str, message: &str) -> Response {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>\
         <Message>{message}</Message><RequestId>{}</RequestId></Error>",
        random_uuid()
    );
    (status, [(header::CONTENT_TYPE, "application/xml")], body).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::{Method, Request};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn send(s3: &S3, request: Request<Body>) -> (StatusCode, HeaderMap, String) {
        let answer = s3.clone().router().oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        (parts.status, parts.headers, body)
    }

    fn request(method: Method, path: &str, body: &'static str) -> Request<Body> {
        let request = Request::builder().method(method).uri(path);
        request.body(Body::from(body)).unwrap()
    }

    async fn call(s3: &S3, method: Method, path: &str, body: &'static str) -> (u16, String) {
        let (status, _, body) = send(s3, request(method, path, body)).await;
        (status.as_u16(), body)
    }

    #[tokio::test]
    async fn objects_are_kept_by_key_in_memory_and_in_files_alike() {
        let directory = tempfile::tempdir().unwrap();
        for place in [None, Some(directory.path().to_owned())] {
            let buckets = || vec!["one".to_owned(), "two".to_owned()];
            let s3 = S3::open(buckets(), place.clone()).unwrap();
            let keys = [
                "/one/a/b",
                "/two/a/b",
                "/one/a",
                "/one/a/%252E%252E/b",
                "/one/a%7Cb:c@d",
            ];
            for key in keys {
                let (status, body) = call(&s3, Method::GET, key, "").await;
                assert_eq!(status, 404, "{key}");
                assert!(body.contains("<Code>NoSuchKey</Code>"), "{body}");
            }
            for key in keys {
                assert_eq!(call(&s3, Method::PUT, key, "old").await.0, 200);
                assert_eq!(call(&s3, Method::PUT, key, key).await.0, 200);
            }
            // Files are there for the next stack; a memory is not.
            let s3 = place.map_or(s3, |place| S3::open(buckets(), Some(place)).unwrap());
            for key in keys {
                let found = call(&s3, Method::GET, key, "").await;
                assert_eq!(found, (200, key.to_owned()));
            }
            for _ in 0..2 {
                assert_eq!(call(&s3, Method::DELETE, keys[0], "").await.0, 204);
            }
            assert_eq!(call(&s3, Method::GET, keys[0], "").await.0, 404);
            assert_eq!(call(&s3, Method::GET, keys[1], "").await.0, 200);
        }
    }

    #[tokio::test]
    async fn the_etag_names_the_content() {
        let s3 = S3::open(vec!["one".to_owned()], None).unwrap();
        let mut tags = Vec::new();
        for (method, body) in [
            (Method::PUT, "first"),
            (Method::GET, ""),
            (Method::PUT, "second"),
        ] {
            let (_, headers, _) = send(&s3, request(method, "/one/key", body)).await;
            tags.push(headers[header::ETAG].to_str().unwrap().to_owned());
        }
        assert_eq!(tags[0], tags[1]);
        assert_ne!(tags[0], tags[2]);
        assert!(tags[0].starts_with('"') && tags[0].ends_with('"'));
    }

    #[tokio::test]
    async fn a_bucket_that_the_template_lacks_is_told_from_a_missing_key() {
        let s3 = S3::open(vec!["one".to_owned()], None).unwrap();
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let (status, body) = call(&s3, method, "/three/key", "").await;
            assert_eq!(status, 404);
            assert!(body.contains("<Code>NoSuchBucket</Code>"), "{body}");
        }
    }

    #[tokio::test]
    async fn a_streamed_upload_is_refused_rather_than_stored_with_its_framing() {
        let s3 = S3::open(vec!["one".to_owned()], None).unwrap();
        let mut streamed = request(Method::PUT, "/one/key", "3\r\nabc\r\n0\r\n\r\n");
        let encoding = header::HeaderValue::from_static("aws-chunked");
        streamed
            .headers_mut()
            .insert(header::CONTENT_ENCODING, encoding);
        let (status, _, body) = send(&s3, streamed).await;
        assert_eq!(status, StatusCode::NOT_IMPLEMENTED);
        assert!(body.contains("<Code>NotImplemented</Code>"), "{body}");
        assert_eq!(call(&s3, Method::GET, "/one/key", "").await.0, 404);
    }
}
