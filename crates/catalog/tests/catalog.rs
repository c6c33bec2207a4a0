//! A catalog over an archive, an index and a log, all in memory.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use archive::{Archive, Manifest, PackVersion, Swap};
use catalog::{Catalog, CatalogError, Published};
use model::{Checksum, Host, Timestamp};
use pkgindex::store::MemoryStore;
use pkgindex::{Index, Options};
use updates::{Control, Subscription, UpdateLog, topics};

struct World {
    archive: Archive,
    log: UpdateLog,
    catalog: Catalog,
}

impl World {
    async fn new() -> Self {
        let (archive, log) = (Archive::memory(), UpdateLog::memory());
        log.ensure_topic(&topics::control()).await.unwrap();
        let index = Index::open(Box::new(MemoryStore::new()), Options::default()).unwrap();
        let catalog = Catalog::new(index, archive.clone(), log.clone());
        Self {
            archive,
            log,
            catalog,
        }
    }

    /// Puts a pack of `name` in force, as a packer would.
    async fn publish(&self, name: &str) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), name).unwrap();
        let checksum = Checksum::of(name.as_bytes());
        self.archive
            .put_pack(&host(name), &checksum, file.path())
            .await
            .unwrap();
        let manifest = Manifest {
            host: host(name),
            sources: Vec::new(),
            number: 1,
            current: PackVersion {
                checksum,
                content: checksum,
                size: name.len() as u64,
                pages: 1,
                passages: 1,
                built_at: Timestamp::from_millis(0),
            },
            previous: Vec::new(),
        };
        assert_eq!(self.archive.swap_manifest(&manifest).await.unwrap(), Swap::Done);
    }

    async fn names(&self) -> Vec<String> {
        let (packages, _) = self.catalog.packages(None, 100).await.unwrap();
        packages.into_iter().map(|package| package.name).collect()
    }
}

fn host(name: &str) -> Host {
    Host::new(name).unwrap()
}

fn pack(name: &str) -> Published {
    Published::Pack(host(name))
}

#[tokio::test]
async fn a_start_brings_names_and_packs_together() {
    let world = World::new().await;
    world.publish("a.example").await;
    world.catalog.register(&host("gone.example")).await.unwrap();
    assert_eq!(world.catalog.reconcile().await.unwrap(), 2);
    assert_eq!(world.names().await, ["pack/a.example"]);
    assert_eq!(world.catalog.reconcile().await.unwrap(), 0);
}

#[tokio::test]
async fn a_pack_is_withdrawn_only_when_no_collection_needs_it() {
    let world = World::new().await;
    for name in ["a.example", "b.example"] {
        world.publish(name).await;
    }
    world.catalog.reconcile().await.unwrap();
    let both = Published::collection("both").unwrap();
    let hosts = [host("a.example"), host("b.example")];
    world.catalog.collect(&both, &hosts).await.unwrap();
    let refused = world.catalog.remove(&pack("a.example")).await.unwrap_err();
    assert!(matches!(refused, CatalogError::Needed { .. }));
    assert!(refused.to_string().contains("collection/both"), "{refused}");
    assert_eq!(world.archive.hosts().await.unwrap(), hosts);

    world.catalog.collect(&both, &hosts[1..]).await.unwrap();
    world.catalog.remove(&pack("a.example")).await.unwrap();
    assert_eq!(world.archive.hosts().await.unwrap(), hosts[1..]);
    assert_eq!(world.names().await, ["collection/both", "pack/b.example"]);
    let mut group = world
        .log
        .group("search", Subscription::Topics(vec![topics::CONTROL.into()]))
        .await
        .unwrap();
    let batch = group.poll(10, std::time::Duration::from_secs(5)).await.unwrap();
    let told = batch.records[0].decode::<Control>().unwrap();
    assert_eq!(
        told,
        Some(Control::PackWithdrawn {
            host: host("a.example")
        })
    );
}

#[tokio::test]
async fn a_collection_holds_what_is_published_and_no_nothing() {
    let world = World::new().await;
    let health = Published::collection("health").unwrap();
    let missing = world
        .catalog
        .collect(&health, &[host("a.example")])
        .await
        .unwrap_err();
    assert!(missing.to_string().contains("pack/a.example"), "{missing}");
    assert!(matches!(
        world.catalog.collect(&health, &[]).await,
        Err(CatalogError::Size(0))
    ));
    assert!(matches!(
        world.catalog.remove(&health).await,
        Err(CatalogError::Unknown(_))
    ));
}

#[test]
fn names_say_what_they_are() {
    for name in ["pack/example.gov", "collection/a-1.b"] {
        assert_eq!(Published::try_from(name.to_owned()).unwrap().to_string(), name);
    }
    for name in [
        "",
        "pack/",
        "collection/",
        "collection/A",
        "example.gov",
        "collection/a/b",
        "pack/a b",
    ] {
        assert!(Published::try_from(name.to_owned()).is_err(), "{name}");
    }
}
