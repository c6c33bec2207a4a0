use std::any::Any;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::Method;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use object_store::aws::{AmazonS3Builder, AwsAuthorizer, AwsCredential};
use object_store::client::{HttpRequest, HttpRequestBody};
use object_store::{MultipartUpload as _, ObjectStoreExt as _, PutPayload};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tests::SeaweedFs;
use tokio::runtime::Runtime;

const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// A running server that lets in `key` with `secret`.
pub(crate) struct Server {
    endpoint: String,
    differs: Differences,
    runtime: Runtime,
    _running: Box<dyn Any + Send + Sync>,
}

/// What a server does otherwise than S3 does. Both keep keys as paths of a file system, so that `a//b` is `a/b`.
struct Differences {
    /// Says that it escapes the keys of a list, and does not; a `%` or `+` in a key reads wrongly then.
    lists_keys_unescaped: bool,
    /// Takes a backslash for a slash.
    turns_backslashes: bool,
}

impl Server {
    /// A server in this process over a folder.
    pub(crate) fn s3s_fs() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let filesystem = FileSystem::new(folder.path());
        let mut service = S3ServiceBuilder::new(filesystem.map_err(|error| anyhow::anyhow!("{error:?}"))?);
        service.set_auth(SimpleAuth::from_single("key", "secret"));
        let runtime = Runtime::new()?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let listener = {
            let _entered = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        runtime.spawn(serve(listener, service.build()));
        let differs = Differences {
            lists_keys_unescaped: true,
            turns_backslashes: false,
        };
        Self::with_bucket(endpoint, differs, runtime, Box::new(folder))
    }

    pub(crate) fn seaweedfs() -> Result<Self> {
        let server = SeaweedFs::start()?;
        let differs = Differences {
            lists_keys_unescaped: false,
            turns_backslashes: true,
        };
        Self::with_bucket(server.endpoint(), differs, Runtime::new()?, Box::new(server))
    }

    fn with_bucket(
        endpoint: String,
        differs: Differences,
        runtime: Runtime,
        running: Box<dyn Any + Send + Sync>,
    ) -> Result<Self> {
        let server = Self {
            endpoint,
            differs,
            runtime,
            _running: running,
        };
        server.send(Method::PUT, "/haul", &[], &[])?;
        Ok(server)
    }

    /// How the store is reached.
    pub(crate) fn options(&self) -> Vec<(&'static str, String)> {
        vec![
            ("aws_endpoint", self.endpoint.clone()),
            ("aws_access_key_id", "key".into()),
            ("aws_secret_access_key", "secret".into()),
        ]
    }

    /// Keys that this server lists.
    pub(crate) fn odd_keys(&self) -> Vec<&'static str> {
        let mut keys = vec![
            "a b",
            "a&b=c",
            "what?",
            "a#b",
            "gr\u{fc}n/\u{65e5}\u{672c}\u{8a9e}",
            "emoji-\u{1f980}",
            "quote'\"",
            "semi;colon,comma",
            "tilde~!*()[x]{y}",
            "a=b@c:d",
            "<tag>",
            "a%20b",
            "100%",
            "%41",
            "a+b",
            "back\\slash",
        ];
        keys.retain(|key| !(self.differs.lists_keys_unescaped && key.contains(['%', '+'])));
        keys.retain(|key| !(self.differs.turns_backslashes && key.contains('\\')));
        keys
    }

    /// Puts an object into the bucket `haul`, under any key.
    pub(crate) fn put(&self, key: &str, bytes: &[u8]) -> Result<()> {
        self.put_with(key, &[], bytes)
    }

    /// The same with more headers.
    pub(crate) fn put_with(&self, key: &str, headers: &[(&'static str, String)], bytes: &[u8]) -> Result<()> {
        let target = format!("/haul/{}", utf8_percent_encode(key, PATH));
        self.send(Method::PUT, &target, headers, bytes)
            .with_context(|| format!("cannot put {key:?}"))
    }

    /// Puts an object in parts of these lengths.
    pub(crate) fn put_in_parts(&self, key: &str, parts: &[&[u8]]) -> Result<()> {
        let store = AmazonS3Builder::new()
            .with_endpoint(&self.endpoint)
            .with_allow_http(true)
            .with_region("us-east-1")
            .with_bucket_name("haul")
            .with_access_key_id("key")
            .with_secret_access_key("secret")
            .build()?;
        self.runtime.block_on(async {
            let mut upload = store.put_multipart(&key.into()).await?;
            for part in parts {
                upload.put_part(PutPayload::from(part.to_vec())).await?;
            }
            upload.complete().await?;
            store.head(&key.into()).await?;
            Ok(())
        })
    }

    fn send(
        &self,
        method: Method,
        target: &str,
        headers: &[(&'static str, String)],
        body: &[u8],
    ) -> Result<()> {
        let authority = self.endpoint.trim_start_matches("http://");
        let mut request = HttpRequest::new(HttpRequestBody::from(Bytes::copy_from_slice(body)));
        *request.method_mut() = method;
        *request.uri_mut() = format!("{}{target}", self.endpoint).parse()?;
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse()?);
        }
        let credential = AwsCredential {
            key_id: "key".into(),
            secret_key: "secret".into(),
            token: None,
        };
        AwsAuthorizer::new(&credential, "s3", "us-east-1").try_authorize(&mut request, None)?;
        let mut bytes = format!("{} {target} HTTP/1.1\r\n", request.method()).into_bytes();
        request.headers_mut().remove("host");
        for (name, value) in request.headers() {
            bytes.extend_from_slice(format!("{name}: {}\r\n", value.to_str()?).as_bytes());
        }
        let length = body.len();
        let rest = format!("host: {authority}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
        bytes.extend_from_slice(rest.as_bytes());
        bytes.extend_from_slice(body);
        let mut connection = TcpStream::connect(authority)?;
        connection.write_all(&bytes)?;
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer)?;
        if !answer.starts_with(b"HTTP/1.1 200") {
            bail!("{}", String::from_utf8_lossy(&answer));
        }
        Ok(())
    }
}

async fn serve(listener: tokio::net::TcpListener, service: S3Service) {
    while let Ok((socket, _)) = listener.accept().await {
        let service = service.clone();
        tokio::spawn(async move {
            let server = Builder::new(TokioExecutor::new());
            // A client that hangs up is its own business.
            let _ = server.serve_connection(TokioIo::new(socket), service).await;
        });
    }
}
