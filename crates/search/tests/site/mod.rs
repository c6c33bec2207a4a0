//! A small published site for tests.

use std::path::Path;

use archive::{Archive, Manifest, PackVersion, Swap};
use extract::{Extract, Passage};
use model::{Checksum, Host, ItemId, PageUrl, SourceId, Timestamp};
use pack::{Page, Writer, WriterOptions};
use search::{Answer, Library, LibraryOptions, Request};

pub(crate) fn host(name: &str) -> Host {
    Host::new(name).unwrap()
}

/// A page of HTML with one passage per text.
pub(crate) fn page(url: &str, title: &str, texts: &[&str]) -> Page {
    let url = PageUrl::parse(url).unwrap();
    let passage = |text: &&str| Passage {
        text: (*text).to_owned(),
        ..Passage::default()
    };
    Page {
        item: ItemId::new(url.as_str()).unwrap(),
        source: SourceId::new("test").unwrap(),
        checksum: Checksum::of(url.as_str().as_bytes()),
        fetched_at: Timestamp::from_millis(1_700_000_000_000),
        extract: Extract {
            title: title.to_owned(),
            language: Some("en".to_owned()),
            content_type: "text/html".to_owned(),
            passages: texts.iter().map(passage).collect(),
            ..Extract::default()
        },
        url,
    }
}

/// A folder for packs and libraries, and the archive between them.
pub(crate) struct Site {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) archive: Archive,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            archive: Archive::memory(),
        }
    }

    /// Publishes a new pack of `host`; gives its checksum.
    pub(crate) async fn publish(&self, host: &Host, pages: &[Page]) -> Checksum {
        let path = self.folder.path().join("new.pack");
        let summary = write_pack(&path, host, pages);
        self.archive
            .put_pack(host, &summary.checksum, &path)
            .await
            .unwrap();
        std::fs::remove_file(&path).unwrap();
        self.announce(host, summary.checksum).await;
        summary.checksum
    }

    /// Makes the pack with this checksum the current one, whatever the archive holds under it.
    pub(crate) async fn announce(&self, host: &Host, checksum: Checksum) {
        let number = self
            .archive
            .manifest(host)
            .await
            .unwrap()
            .map_or(1, |manifest| manifest.number + 1);
        let built_at = Timestamp::from_millis(number);
        let current = PackVersion {
            checksum,
            content: checksum,
            size: 0,
            pages: 0,
            passages: 0,
            built_at,
        };
        let manifest = Manifest {
            host: host.clone(),
            sources: Vec::new(),
            number,
            current,
            previous: Vec::new(),
        };
        assert_eq!(self.archive.swap_manifest(&manifest).await.unwrap(), Swap::Done);
    }

    pub(crate) fn cache(&self) -> std::path::PathBuf {
        self.folder.path().join("cache")
    }

    /// The names of the files of the library, in order.
    pub(crate) fn cached(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.cache()).unwrap();
        let mut names: Vec<String> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    pub(crate) fn library(&self) -> Library {
        Library::open(self.archive.clone(), LibraryOptions::new(self.cache())).unwrap()
    }
}

pub(crate) fn write_pack(path: &Path, host: &Host, pages: &[Page]) -> pack::Summary {
    let options = WriterOptions::new(host.clone(), Timestamp::from_millis(1_700_000_000_000));
    let mut writer = Writer::create(path, &options).unwrap();
    pages.iter().for_each(|page| writer.add(page).unwrap());
    writer.finish().unwrap()
}

/// A library with the packs of these pages, by host.
pub(crate) async fn library_of(site: &Site, pages: &[Page]) -> Library {
    let mut hosts: Vec<Host> = pages.iter().map(|page| page.url.host()).collect();
    hosts.sort();
    hosts.dedup();
    for host in hosts {
        let own: Vec<Page> = pages
            .iter()
            .filter(|page| page.url.host() == host)
            .cloned()
            .collect();
        site.publish(&host, &own).await;
    }
    let library = site.library();
    let failed = library.refresh_all().await.unwrap();
    assert!(failed.is_empty(), "{failed:?}");
    library
}

/// The answer with up to 100 results.
pub(crate) async fn ask(library: &Library, query: &str) -> std::sync::Arc<Answer> {
    library
        .search(&Request {
            per_page: 100,
            ..Request::new(query)
        })
        .await
        .unwrap()
}

/// The paths of the results, in order.
pub(crate) async fn found(library: &Library, query: &str) -> Vec<String> {
    let answer = ask(library, query).await;
    assert_eq!(answer.total, answer.results.len() as u64);
    answer
        .results
        .iter()
        .map(|hit| hit.url.splitn(4, '/').last().unwrap().to_owned())
        .collect()
}
