//! A run that was killed is gone on with: the file is right, and little comes twice.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use origin::{Config, Object, Origin, Shaping};
use retrieve::{DownloadRequest, Hooks, Location, Options, Retriever, Scheme, Source};

const SIZE: u64 = 48 << 20;
const CHUNK: u64 = 1 << 20;
const CONNECTIONS: usize = 4;
/// What the process that will be killed is told.
const ENDPOINT: &str = "RETRIEVE_TEST_ENDPOINT";
const FOLDER: &str = "RETRIEVE_TEST_FOLDER";

fn request(endpoint: &str) -> DownloadRequest {
    DownloadRequest::default()
        .with(Source::Prefix(Location::object(Scheme::S3, "bucket", "")))
        .options([
            ("aws_endpoint", endpoint),
            ("aws_access_key_id", "key"),
            ("aws_secret_access_key", "secret"),
            ("aws_allow_http", "true"),
        ])
}

fn retriever() -> Retriever {
    let options = Options {
        chunk_bytes: Some(CHUNK),
        start_connections: Some(CONNECTIONS),
        adaptive: false,
        ..Options::default()
    };
    Retriever::new(options).unwrap()
}

/// No test, but the process that is killed: it saves until then.
#[test]
fn a_process_that_saves() {
    let (Ok(endpoint), Ok(folder)) = (std::env::var(ENDPOINT), std::env::var(FOLDER)) else {
        return;
    };
    let retriever = retriever();
    let saving = retriever
        .save(request(&endpoint), folder, Hooks::default())
        .unwrap();
    saving.wait();
}

fn process(endpoint: &str, folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["a_process_that_saves", "--exact"])
        .env(ENDPOINT, endpoint)
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn a_killed_process_is_gone_on_with() {
    let origin = Origin::start(Config::default()).unwrap();
    origin.put("bucket", "file", Object::new(5, SIZE));
    let shaping = Shaping {
        rate: Some(12 << 20),
        ..Shaping::default()
    };
    origin.set_shaping("bucket", shaping);
    let folder = tempfile::tempdir().unwrap();
    for part in 1..=3 {
        let mut child = process(&origin.url(), folder.path());
        let enough = Instant::now() + Duration::from_secs(20);
        while origin.stats().bytes_sent < part * SIZE / 5 && Instant::now() < enough {
            std::thread::sleep(Duration::from_millis(5));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(
            !folder.path().join("file").exists(),
            "a part of a file has its name"
        );
    }
    origin.set_shaping("bucket", Shaping::default());
    let report = retriever()
        .save(request(&origin.url()), folder.path(), Hooks::default())
        .unwrap()
        .wait();
    assert!(report.is_complete(), "{report:?}");
    let saved = std::fs::read(folder.path().join("file")).unwrap();
    assert_eq!((saved.len() as u64, origin::verify(5, 0, &saved)), (SIZE, Ok(())));
    // Each kill costs the ranges that were under way; the last run may read a few bytes more where it splits ranges.
    let window = CONNECTIONS as u64 * CHUNK;
    let sent = origin.stats().bytes_sent;
    assert!(sent <= SIZE + 4 * window, "{sent} bytes were sent for {SIZE}");
    assert_eq!(report.stats.resumed_bytes + report.stats.bytes, SIZE);
}
