//! Crawls of a bucket.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tests::{Bench, Haul};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

pub(crate) fn add(bench: &mut Bench) {
    bench.test("crawl: a bucket, and again", &[], bucket_twice);
    bench.test("crawl: what is no bucket, or cannot be listed", &[], refusals);
}

/// A real S3 server in this process over a folder of buckets; ends when dropped.
struct S3 {
    _runtime: Runtime,
    endpoint: String,
}

impl S3 {
    fn serve(folder: &Path) -> Result<Self> {
        let files = FileSystem::new(folder).map_err(|error| anyhow::anyhow!("{error:?}"))?;
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single("key", "secret"));
        let service = service.build();
        let runtime = Runtime::new()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        runtime.spawn(accept(listener, service));
        Ok(Self {
            _runtime: runtime,
            endpoint,
        })
    }

    /// The binary with credentials for this server.
    fn haul(&self, secret: &str) -> Result<Haul> {
        Ok(Haul::new()?
            .with("AWS_ENDPOINT", self.endpoint.clone())
            .with("AWS_ALLOW_HTTP", "true")
            .with("AWS_REGION", "us-east-1")
            .with("AWS_ACCESS_KEY_ID", "key")
            .with("AWS_SECRET_ACCESS_KEY", secret))
    }
}

async fn accept(listener: TcpListener, service: S3Service) {
    while let Ok((socket, _)) = listener.accept().await {
        let service = service.clone();
        tokio::spawn(async move {
            let server = Builder::new(TokioExecutor::new());
            // A client that hangs up is its own business.
            let _ = server.serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

fn bucket_twice() -> Result<()> {
    let buckets = tempfile::TempDir::with_prefix("haul-suite-buckets-")?;
    let manual = buckets.path().join("docs/manual");
    fs::create_dir_all(&manual)?;
    for lamp in 0..40 {
        let text =
            format!("<title>Lamp {lamp}</title><p>Lamp number {lamp} is lit by a keeper called Ada{lamp}.");
        fs::write(manual.join(format!("lamp {lamp}.html")), text)?;
    }
    fs::write(manual.join("lamp.png"), [0x89, b'P', b'N', b'G'])?;
    let s3 = S3::serve(buckets.path())?;
    let haul = s3.haul("secret")?;
    let crawl = [
        "crawl",
        "s3://docs/manual",
        "--base",
        "https://docs.example.org/en/",
        "--json",
    ];

    let first = haul.expect(0, &crawl)?.json()?;
    ensure!(first["crawl"]["totals"]["new"] == 41, "{first:#}");
    ensure!(first["packs"][0]["host"] == "docs.example.org", "{first:#}");
    let answer = haul.search("\"keeper called Ada17\"")?;
    ensure!(answer["total"] == 1, "{answer:#}");
    ensure!(
        answer["results"][0]["url"] == "https://docs.example.org/en/lamp%2017.html",
        "{answer:#}"
    );

    fs::write(
        manual.join("lamp 17.html"),
        "<title>Lamp 17</title><p>The lamp is out.",
    )?;
    let second = haul.expect(0, &["crawl", "s3-docs-manual", "--json"])?.json()?;
    ensure!(second["crawl"]["totals"]["changed"] == 1, "{second:#}");
    ensure!(
        haul.search("\"lamp is out\"")?["total"] == 1,
        "the new text is not found"
    );
    let shown = haul
        .expect(0, &["source", "show", "s3-docs-manual", "--json"])?
        .json()?;
    ensure!(
        shown["source"]["settings"]["place"]["address"] == "s3://docs/manual/",
        "{shown:#}"
    );
    Ok(())
}

fn refusals() -> Result<()> {
    let buckets = tempfile::TempDir::with_prefix("haul-suite-buckets-")?;
    fs::create_dir_all(buckets.path().join("docs/empty"))?;
    let s3 = S3::serve(buckets.path())?;
    let haul = s3.haul("secret")?;
    haul.expect(1, &["crawl", "s3://dogs/"])?
        .says(&["s3://dogs/ could not be listed"])?;
    haul.expect(1, &["crawl", "s3://docs/empty/"])?
        .says(&["holds no objects"])?;
    let stranger = s3.haul("wrong")?;
    let ended = stranger.expect(1, &["crawl", "s3://docs/"])?;
    ended.says(&["s3://docs/ could not be listed"])?;
    haul.expect(2, &["crawl", "s3://docs/", "https://example.org/"])?
        .says(&["name it alone"])?;
    haul.expect(
        2,
        &["crawl", "https://example.org/", "--base", "https://example.org/"],
    )?
    .says(&["--base is for buckets and folders"])?;
    haul.expect(2, &["crawl", "s3://docs/b/", "--source", "s3-dogs"])?
        .says(&["--source"])?;
    Ok(())
}
