//! One suite over every kind of store: memory, a folder, and S3 as a real server speaks it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod s3;

use archive::{Archive, ArchiveError, Artifact, Kind, Manifest, PackVersion, Swap};
use model::{ArchiveKey, Checksum, Host, RunId, ScraperId, Timestamp};
use tempfile::TempDir;

async fn on_every_store<F: AsyncFn(Archive)>(check: F) {
    let folder = TempDir::new().unwrap();
    check(Archive::memory()).await;
    let address = format!("file://{}/new/archive", folder.path().display());
    check(Archive::open(&address, [("", "")]).unwrap()).await;
    let server = s3::S3::start().await;
    check(Archive::open("s3://haul/some/prefix", server.options()).unwrap()).await;
}

fn manifest(host: &Host, number: u64, pages: u64) -> Manifest {
    let current = PackVersion {
        checksum: Checksum::of(&pages.to_be_bytes()),
        content: Checksum::of(b""),
        size: 1,
        pages,
        passages: pages,
        built_at: Timestamp::from_millis(1),
    };
    Manifest {
        host: host.clone(),
        sources: Vec::new(),
        number,
        current,
        previous: Vec::new(),
    }
}

#[tokio::test]
async fn parts_come_back_in_the_order_asked() {
    on_every_store(async |archive| {
        let parts: Vec<Vec<u8>> = (0..50_u8).map(|n| vec![n; usize::from(n) * 100]).collect();
        let keys = archive.put_bundle(Kind::Content, parts.clone()).await.unwrap();
        let other = archive
            .put_bundle(Kind::Extract, vec![b"text".to_vec()])
            .await
            .unwrap();
        assert_eq!(archive.get_many(&keys).await.unwrap(), parts);
        let mixed = [keys[7].clone(), other[0].clone(), keys[3].clone()];
        let expected = [parts[7].clone(), b"text".to_vec(), parts[3].clone()];
        assert_eq!(archive.get_many(&mixed).await.unwrap(), expected);
        assert_eq!(archive.get(&keys[49]).await.unwrap(), parts[49]);
    })
    .await;
}

#[tokio::test]
async fn writing_the_same_parts_twice_changes_nothing() {
    on_every_store(async |archive| {
        let parts = vec![b"one".to_vec(), Vec::new()];
        let first = archive.put_bundle(Kind::Content, parts.clone()).await.unwrap();
        assert_eq!(
            archive.put_bundle(Kind::Content, parts.clone()).await.unwrap(),
            first
        );
        assert_eq!(archive.get_many(&first).await.unwrap(), parts);
        assert_eq!(archive.put_bundle(Kind::Content, Vec::new()).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn a_key_to_nothing_is_an_error_that_names_it() {
    on_every_store(async |archive| {
        for key in [
            "content/none.bundle#0+10",
            "content/none.bundle",
            "content/none.bundle#1+x",
        ] {
            let error = archive
                .get(&ArchiveKey::new(key).unwrap())
                .await
                .unwrap_err()
                .to_string();
            assert!(error.contains("content/none.bundle"), "{error}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_pack_arrives_whole_or_not_at_all() {
    on_every_store(async |archive| {
        let folder = TempDir::new().unwrap();
        let host = Host::new("[::1]:8080").unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to.sqlite"));
        let bytes: Vec<u8> = (0..20_000_000_u32).map(|n| (n / 7) as u8).collect();
        std::fs::write(&from, &bytes).unwrap();
        let checksum = Checksum::of(&bytes);
        archive.put_pack(&host, &checksum, &from).await.unwrap();
        archive.fetch_pack(&host, &checksum, &to).await.unwrap();
        assert!(std::fs::read(&to).unwrap() == bytes);

        let wrong = Checksum::of(b"other");
        archive.put_pack(&host, &wrong, &from).await.unwrap();
        let target = folder.path().join("wrong.sqlite");
        let error = archive.fetch_pack(&host, &wrong, &target).await.unwrap_err();
        assert!(matches!(error, ArchiveError::Damaged { .. }), "{error}");
        archive.delete_pack(&host, &checksum).await.unwrap();
        archive.delete_pack(&host, &checksum).await.unwrap();
        let error = archive.fetch_pack(&host, &checksum, &target).await.unwrap_err();
        assert!(matches!(error, ArchiveError::NotFound { .. }), "{error}");
        let left: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(left.len(), 2, "only what was whole is left: {left:?}");
    })
    .await;
}

fn scraper() -> ScraperId {
    "ann/bus".parse().unwrap()
}

#[tokio::test]
async fn what_runs_leave_is_kept_apart_and_can_be_removed() {
    on_every_store(async |archive| {
        let folder = TempDir::new().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        std::fs::write(&from, b"code").unwrap();
        let checksum = Checksum::of(b"code");
        let all = [
            Artifact::Dataset(checksum),
            Artifact::Upload(checksum),
            Artifact::Sent(checksum),
            Artifact::Log(RunId(7)),
            Artifact::Cassette(RunId(7)),
            Artifact::Rejected(RunId(7)),
        ];
        for artifact in &all {
            archive.put_artifact(&scraper(), artifact, &from).await.unwrap();
        }
        for artifact in &all {
            archive.fetch_artifact(&scraper(), artifact, &to).await.unwrap();
            assert_eq!(std::fs::read(&to).unwrap(), b"code");
            archive.delete_artifact(&scraper(), artifact).await.unwrap();
            let error = archive
                .fetch_artifact(&scraper(), artifact, &to)
                .await
                .unwrap_err();
            assert!(matches!(error, ArchiveError::NotFound { .. }), "{error}");
        }
    })
    .await;
}

/// In a folder a fetched file is the archive's own by a second name: whoever writes to it destroys the only copy.
#[tokio::test(flavor = "multi_thread")]
async fn many_may_fetch_one_object_to_one_place() {
    on_every_store(async |archive| {
        let folder = TempDir::new().unwrap();
        let bytes = vec![7; 300_000];
        let (from, checksum) = (folder.path().join("from"), Checksum::of(&bytes));
        std::fs::write(&from, &bytes).unwrap();
        let artifact = Artifact::Dataset(checksum);
        archive.put_artifact(&scraper(), &artifact, &from).await.unwrap();
        for round in 0..20 {
            let to = folder.path().join(format!("{round}.sqlite"));
            let fetching: Vec<_> = (0..8)
                .map(|_| {
                    let (archive, artifact, to) = (archive.clone(), artifact.clone(), to.clone());
                    tokio::spawn(async move { archive.fetch_artifact(&scraper(), &artifact, &to).await })
                })
                .collect();
            for fetched in fetching {
                fetched.await.unwrap().unwrap();
            }
            assert!(std::fs::read(&to).unwrap() == bytes);
        }
    })
    .await;
}

#[tokio::test]
async fn of_two_who_write_one_manifest_the_second_learns_it() {
    on_every_store(async |archive| {
        let host = Host::new("example.gov:8080").unwrap();
        assert_eq!(archive.manifest(&host).await.unwrap(), None);
        for number in 1..=12 {
            assert_eq!(
                archive
                    .swap_manifest(&manifest(&host, number, number))
                    .await
                    .unwrap(),
                Swap::Done
            );
            assert_eq!(
                archive.swap_manifest(&manifest(&host, number, 99)).await.unwrap(),
                Swap::Lost
            );
            assert_eq!(
                archive.manifest(&host).await.unwrap(),
                Some(manifest(&host, number, number))
            );
        }
        let other = Host::new("[::1]:80").unwrap();
        archive.swap_manifest(&manifest(&other, 1, 1)).await.unwrap();
        assert_eq!(archive.hosts().await.unwrap(), [other, host]);
    })
    .await;
}

#[tokio::test]
async fn a_store_that_honours_conditions_passes_the_probe() {
    on_every_store(async |archive| {
        archive.probe().await.unwrap();
        archive.probe().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn wrong_credentials_are_told_apart_from_an_empty_archive() {
    let server = s3::S3::start().await;
    let wrong = server
        .options()
        .into_iter()
        .map(|(name, value)| (name, value.replace("secret", "wrong")));
    let archive = Archive::open("s3://haul/some/prefix", wrong).unwrap();
    let error = archive.probe().await.unwrap_err().to_string();
    assert!(
        error.contains("s3://haul/some/prefix") && !error.contains("wrong"),
        "{error}"
    );
}

#[test]
fn an_address_that_is_none_is_refused_with_the_forms_that_are() {
    let error = Archive::open("/some/folder", [("", "")]).unwrap_err().to_string();
    assert!(error.contains("file:///folder"), "{error}");
}
