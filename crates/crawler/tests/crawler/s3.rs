//! A real S3 server in this process, on loopback, over a folder.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crawler::BucketAccess;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use retrieve::{Options, Retriever};
use s3s::auth::SimpleAuth;
use s3s::dto::{
    ETag, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput, ListObjectsV2Input,
    ListObjectsV2Output,
};
use s3s::service::S3ServiceBuilder;
use s3s::{S3Request, S3Response, S3Result};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;

/// What a listing says of its objects, beside key and size.
#[derive(Clone, Copy, PartialEq)]
enum Listing {
    Etags,
    Nothing,
}

/// Encodes the keys of a listing where that is asked for, as Amazon does, and gives objects entity tags.
struct Amazon {
    files: FileSystem,
    folder: PathBuf,
    listing: Listing,
}

impl Amazon {
    fn etag(&self, bucket: &str, key: &str) -> Option<ETag> {
        let bytes = std::fs::read(self.folder.join(bucket).join(key)).ok()?;
        Some(ETag::Strong(model::Checksum::of(&bytes).to_string()))
    }
}

#[async_trait::async_trait]
impl s3s::S3 for Amazon {
    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let bucket = request.input.bucket.clone();
        let is_encoded = request.input.encoding_type.is_some();
        let mut listed = self.files.list_objects_v2(request).await?;
        for object in listed.output.contents.iter_mut().flatten() {
            let key = object.key.take().unwrap_or_default();
            object.e_tag = self
                .etag(&bucket, &key)
                .filter(|_| self.listing == Listing::Etags);
            let encode = |key: &str| url::form_urlencoded::byte_serialize(key.as_bytes()).collect();
            object.key = Some(if is_encoded { encode(&key) } else { key });
        }
        Ok(listed)
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let etag = self.etag(&request.input.bucket, &request.input.key);
        let mut got = self.files.get_object(request).await?;
        got.output.e_tag = etag;
        Ok(got)
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let etag = self.etag(&request.input.bucket, &request.input.key);
        let mut head = self.files.head_object(request).await?;
        head.output.e_tag = etag;
        Ok(head)
    }
}

/// A server with one bucket, `docs`; it ends with the test's runtime.
pub(crate) struct S3 {
    port: u16,
    folder: TempDir,
    asked: Arc<Mutex<Vec<String>>>,
}

impl S3 {
    /// A server whose bucket holds these objects.
    pub(crate) async fn holding(objects: &[(&str, &str)]) -> Self {
        Self::serving(objects, Listing::Etags).await
    }

    /// One whose listings have no entity tags.
    pub(crate) async fn holding_untagged(objects: &[(&str, &str)]) -> Self {
        Self::serving(objects, Listing::Nothing).await
    }

    async fn serving(objects: &[(&str, &str)], listing: Listing) -> Self {
        let folder = TempDir::with_prefix("haul-crawled-bucket-").unwrap();
        std::fs::create_dir(folder.path().join("docs")).unwrap();
        let mut service = S3ServiceBuilder::new(Amazon {
            files: FileSystem::new(folder.path()).unwrap(),
            folder: folder.path().to_owned(),
            listing,
        });
        service.set_auth(SimpleAuth::from_single("key", "secret"));
        let service = service.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let requests = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (service, requests) = (service.clone(), Arc::clone(&requests));
                let noted = service_fn(move |request: Request<Incoming>| {
                    let asked = format!("{} {}", request.method(), request.uri().path());
                    requests.lock().unwrap().push(asked);
                    Service::call(&service, request)
                });
                tokio::spawn(async move {
                    let server = Builder::new(TokioExecutor::new());
                    // A client that hangs up is its own business.
                    let _ = server.serve_connection(TokioIo::new(socket), noted).await;
                });
            }
        });
        let s3 = Self { port, folder, asked };
        for (key, text) in objects {
            s3.put(key, text);
        }
        s3
    }

    fn file(&self, key: &str) -> PathBuf {
        self.folder.path().join("docs").join(key)
    }

    /// Writes an object.
    pub(crate) fn put(&self, key: &str, bytes: impl AsRef<[u8]>) {
        let file = self.file(key);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, bytes).unwrap();
    }

    /// Removes an object.
    pub(crate) fn remove(&self, key: &str) {
        std::fs::remove_file(self.file(key)).unwrap();
    }

    /// Objects that were asked for since the last call, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        let asked = std::mem::take(&mut *self.asked.lock().unwrap());
        let object = |asked: &String| asked.strip_prefix("GET /docs/").map(str::to_owned);
        let mut objects: Vec<String> = asked
            .iter()
            .filter_map(object)
            .filter(|key| !key.is_empty())
            .collect();
        objects.sort();
        objects
    }

    /// How the bucket is reached by who has this secret.
    pub(crate) fn access(&self, secret: &str) -> BucketAccess {
        let options = Options {
            attempts: 2,
            // A late request that is sent twice would be counted twice.
            hedge: false,
            threads: Some(2),
            ..Options::default()
        };
        let reached = [
            ("aws_endpoint", format!("http://127.0.0.1:{}", self.port)),
            ("aws_allow_http", "true".into()),
            ("aws_region", "us-east-1".into()),
            ("aws_access_key_id", "key".into()),
            ("aws_secret_access_key", secret.into()),
        ];
        BucketAccess {
            retriever: Arc::new(Retriever::new(options).unwrap()),
            options: reached.map(|(name, value)| (name.to_owned(), value)).into(),
        }
    }
}
