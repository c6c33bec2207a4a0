//! Google Cloud Storage and Azure as far as they go without their servers: an origin that is asked as they are.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use origin::{Config, Object, Origin, content};
use retrieve::{DownloadRequest, Hooks, Options, Retriever};

const SIZE: u64 = 700_000;

fn origin() -> Origin {
    let origin = Origin::start(Config::default()).unwrap();
    for (seed, key) in (0..).zip(["data/a b", "data/c+d", "other"]) {
        origin.put("bucket", key, Object::new(seed, SIZE));
    }
    origin
}

fn save(request: DownloadRequest, folder: &Path) {
    let options = Options {
        chunk_bytes: Some(100_000),
        ..Options::default()
    };
    let report = Retriever::new(options)
        .unwrap()
        .save(request, folder, Hooks::default())
        .unwrap()
        .wait();
    assert!(report.is_complete(), "{report:?}");
}

#[track_caller]
fn check(folder: &Path, name: &str, seed: u64) {
    assert!(
        std::fs::read(folder.join(name)).unwrap() == content(seed, 0..SIZE),
        "{name}"
    );
}

/// Its XML interface lists and serves as S3 does.
#[test]
fn google_cloud_storage_by_its_xml_interface() {
    let origin = origin();
    let folder = tempfile::tempdir().unwrap();
    let options = [
        ("google_endpoint", origin.url()),
        ("google_skip_signature", "true".into()),
    ];
    save(
        DownloadRequest::new("gs://bucket/data/")
            .unwrap()
            .options(options.clone()),
        folder.path(),
    );
    check(folder.path(), "a b", 0);
    check(folder.path(), "c+d", 1);
    save(
        DownloadRequest::new("gs://bucket/other")
            .unwrap()
            .options(options),
        folder.path(),
    );
    check(folder.path(), "other", 2);
}

/// Its lists are of another kind, so only an object.
#[test]
fn a_blob_of_azure() {
    let origin = origin();
    let folder = tempfile::tempdir().unwrap();
    let options = [
        ("azure_storage_account_name", "account".to_owned()),
        ("azure_storage_account_key", "bm90IGEga2V5".into()),
        ("azure_storage_endpoint", origin.url()),
    ];
    save(
        DownloadRequest::new("az://bucket/data/a b")
            .unwrap()
            .options(options),
        folder.path(),
    );
    check(folder.path(), "a b", 0);
}
