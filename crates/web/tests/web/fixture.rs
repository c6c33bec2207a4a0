//! Real parts in memory, with a small pack and a source whose items are in every state that a crawl leaves.

use std::path::{Path, PathBuf};
use std::time::Duration;

use archive::{Archive, Manifest, PackVersion};
use axum::Router;
use catalog::Catalog;
use crawldb::transition::orphan::mark;
use crawldb::{
    Attempt, Crawl, CrawlKind, CrawlStatus, Crawldb, Disposition, Finished, Item, ItemError, ItemErrorKind,
    OrphanReport, Outcome, RetryPolicy, Settings, Sighting, SiteSettings, Source, Work,
};
use crawler::{Crawler, CrawlerDeps, CrawlerOptions};
use extract::{Extract, Passage};
use ledger::Ledger;
use model::{ArchiveKey, Checksum, Host, ItemId, PageUrl, SourceId, Timestamp};
use pack::{Page, Writer, WriterOptions};
use packer::{Packer, PackerOptions};
use pkgindex::Index;
use pkgindex::store::MemoryStore;
use prometheus_client::registry::Registry;
use runner::Runner;
use search::{Library, LibraryOptions};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use updates::UpdateLog;
use web::{Access, Deps};

use crate::runner::runner;

/// 2026-02-03, 10:40 UTC.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_770_115_200_000);

/// A server's parts and its router.
pub(crate) struct Parts {
    pub(crate) ledger: Ledger,
    pub(crate) crawldb: Crawldb,
    pub(crate) crawler: Crawler,
    pub(crate) archive: Archive,
    pub(crate) catalog: Catalog,
    pub(crate) library: Library,
    pub(crate) runner: Runner,
    pub(crate) stop: CancellationToken,
    pub(crate) router: Router,
    /// Goes with the parts.
    pub(crate) folder: TempDir,
}

impl Parts {
    /// Parts in which nothing happened yet.
    pub(crate) async fn start() -> Self {
        Self::with(None, Access::default()).await
    }

    /// The same, with a crawl database that is served for other processes, and where people may do what `access` says.
    pub(crate) async fn with(store: Option<Router>, access: Access) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (archive, crawldb, log) = (Archive::memory(), Crawldb::memory(), UpdateLog::memory());
        let mut registry = Registry::default();
        let options = PackerOptions::new(folder.path().join("work"));
        let index = Index::open(Box::new(MemoryStore::new()), pkgindex::Options::default()).unwrap();
        let catalog = Catalog::new(index, archive.clone(), log.clone());
        let packer = Packer::start(
            log.clone(),
            archive.clone(),
            catalog.clone(),
            options,
            &mut registry,
        )
        .await
        .unwrap();
        let packs_folder: PathBuf = folder.path().join("packs");
        let library = Library::open(archive.clone(), LibraryOptions::new(&packs_folder)).unwrap();
        let stop = CancellationToken::new();
        let ledger = Ledger::new(crawldb.clone(), log.clone(), "test");
        let crawler = crawler(&ledger, &archive);
        let sealed = registry::Registry::memory(registry::Keyring::random()).unwrap();
        let runner = runner(folder.path(), &sealed, &archive);
        let deps = Deps {
            ledger: ledger.clone(),
            crawler: crawler.clone(),
            packer,
            library: library.clone(),
            archive: archive.clone(),
            catalog: catalog.clone(),
            runner: runner.clone(),
            access,
            registry,
            names: vec!["haul.test".into()],
            folders: vec![folder.path().join("open")],
            store,
            stop: stop.clone(),
        };
        let router = web::router(deps);
        Self {
            ledger,
            crawldb,
            crawler,
            archive,
            catalog,
            library,
            runner,
            stop,
            router,
            folder,
        }
    }

    /// Parts with the pack of `forms.example.gov` and the source `forms`.
    pub(crate) async fn with_content() -> Self {
        let parts = Self::start().await;
        parts.publish("forms.example.gov", &forms()).await;
        crawled(&parts.crawldb).await;
        parts
    }

    /// Publishes a pack of `host` in the place of the one before.
    pub(crate) async fn publish(&self, host: &str, pages: &[Page]) {
        let host = Host::new(host).unwrap();
        self.catalog.register(&host).await.unwrap();
        let before = self.archive.manifest(&host).await.unwrap();
        let version = self.pack(&host, pages, self.folder.path()).await;
        let manifest = Manifest {
            host: host.clone(),
            sources: vec![SourceId::new("forms").unwrap()],
            number: before.as_ref().map_or(1, |before| before.number + 1),
            current: version,
            previous: before.into_iter().map(|before| before.current).collect(),
        };
        self.archive.swap_manifest(&manifest).await.unwrap();
        self.library.refresh(&host).await.unwrap();
    }

    async fn pack(&self, host: &Host, pages: &[Page], folder: &Path) -> PackVersion {
        let path = folder.join("built.sqlite");
        let mut writer = Writer::replace(&path, &WriterOptions::new(host.clone(), NOW)).unwrap();
        for page in pages {
            writer.add(page).unwrap();
        }
        let summary = writer.finish().unwrap();
        self.archive
            .put_pack(host, &summary.checksum, &path)
            .await
            .unwrap();
        PackVersion {
            checksum: summary.checksum,
            content: summary.checksum,
            size: summary.file_bytes,
            pages: summary.pages,
            passages: summary.passages,
            built_at: NOW,
        }
    }
}

fn crawler(ledger: &Ledger, archive: &Archive) -> Crawler {
    let deps = CrawlerDeps {
        ledger: ledger.clone(),
        archive: archive.clone(),
        pdf: None,
        buckets: None,
        service: "test".into(),
    };
    // What is told must still be there when a test looks.
    let options = CrawlerOptions {
        listens: false,
        upkeep: false,
        ..CrawlerOptions::default()
    };
    Crawler::new(deps, options)
}

/// A page of `forms.example.gov`.
pub(crate) fn page(path: &str, title: &str, passages: &[(&str, &str)]) -> Page {
    let url = PageUrl::parse(&format!("https://forms.example.gov/{path}")).unwrap();
    let is_pdf = path.ends_with(".pdf");
    let passages = passages.iter().enumerate().map(|(at, (heading, text))| Passage {
        heading: (*heading).to_owned(),
        anchor: (!heading.is_empty() && !is_pdf).then(|| heading.to_lowercase().replace(' ', "-")),
        pdf_page: is_pdf.then_some(at as u32 + 1),
        text: (*text).to_owned(),
    });
    Page {
        source: SourceId::new("forms").unwrap(),
        item: ItemId::new(url.as_str()).unwrap(),
        checksum: Checksum::of(path.as_bytes()),
        fetched_at: NOW,
        extract: Extract {
            title: title.to_owned(),
            language: Some("en".into()),
            content_type: if is_pdf { "application/pdf" } else { "text/html" }.into(),
            modified_at: Some(NOW),
            passages: passages.collect(),
            ..Extract::default()
        },
        url,
    }
}

/// The pages of `forms.example.gov`; one of them is hostile.
pub(crate) fn forms() -> Vec<Page> {
    let mut pages = vec![
        page(
            "passport/renew",
            "Renew your passport",
            &[
                (
                    "",
                    "You can renew your passport by mail or online when it was issued within the last 15 years.",
                ),
                (
                    "What you need",
                    "Bring the old passport, one photo, and form DS-82. The form must be signed in ink.",
                ),
            ],
        ),
        page(
            "passport/ds-82.pdf",
            "DS-82: U.S. Passport Renewal Application",
            &[
                ("", "Instructions. Read all of this form before you begin."),
                ("Fees", "Fees for the passport renewal form."),
            ],
        ),
        page(
            "taxes/w-9",
            "About Form W-9, Request for Taxpayer Identification Number",
            &[(
                "",
                "Use this form to provide your correct taxpayer identification number.",
            )],
        ),
        page(
            "hostile",
            "<script>alert('title')</script> form",
            &[(
                "<b>heading</b>",
                "A form with <img src=x onerror=alert(1)> and \"quotes\" & ampersands.",
            )],
        ),
    ];
    for number in 1..=30 {
        let text = format!("Archived notice number {number} about a discontinued form of the department.");
        pages.push(page(
            &format!("notices/{number}"),
            &format!("Notice {number}"),
            &[("", &text)],
        ));
    }
    pages
}

/// Adds the source that tests look at.
pub(crate) async fn add(crawldb: &Crawldb, id: &str) -> Source {
    let settings = Settings {
        name: "Forms of Example".into(),
        site: SiteSettings {
            start: vec![PageUrl::parse("https://forms.example.gov/").unwrap()],
            ..SiteSettings::default()
        },
        ..Settings::default()
    };
    let id = SourceId::new(id).unwrap();
    crawldb.add_source(id, settings, NOW).await.unwrap()
}

/// Starts a crawl that `service` runs.
pub(crate) async fn start(crawldb: &Crawldb, source: &SourceId, service: &str) -> Crawl {
    let started = crawldb.start_crawl(source, CrawlKind::Full, service, NOW).await;
    started.unwrap().crawl().unwrap()
}

/// A finished crawl of the source `forms` with items of every outcome.
pub(crate) async fn crawled(crawldb: &Crawldb) -> Crawl {
    let source = add(crawldb, "forms").await;
    let crawl = start(crawldb, &source.id, "test").await;
    see(crawldb, &crawl, 40).await;
    let items = crawldb
        .claim(&crawl, None, "test", Duration::from_secs(60), 36, NOW)
        .await
        .unwrap();
    let attempts = items.into_iter().enumerate().map(|(at, item)| Attempt {
        outcome: outcome(at, &item),
        item,
    });
    let retry = RetryPolicy::default();
    let finished = crawldb
        .finish(&crawl, attempts.collect(), NOW, &retry, &mut || 0.5)
        .await
        .unwrap();
    let told: Vec<Item> = finished.iter().filter_map(Finished::told).cloned().collect();
    crawldb.project(&told).await.unwrap();
    let work = Work {
        fetches: 36,
        fetched_bytes: 1_234_567,
        processing_ms: 9_000,
        indexed: 24,
    };
    crawldb.add_work(&crawl, work, NOW).await.unwrap();
    let end = NOW.after(Duration::from_secs(200));
    crawldb
        .end_crawl(&crawl, CrawlStatus::Completed, None, end)
        .await
        .unwrap()
}

/// A blocked crawl of the source `old`, which missed all that the crawl before it saw.
pub(crate) async fn missed(crawldb: &Crawldb) -> Crawl {
    let source = add(crawldb, "old").await;
    let first = start(crawldb, &source.id, "test").await;
    see(crawldb, &first, 5).await;
    let items = crawldb
        .claim(&first, None, "test", Duration::from_secs(60), 5, NOW)
        .await
        .unwrap();
    let attempts = items.into_iter().map(|item| Attempt {
        outcome: outcome(3, &item),
        item,
    });
    let retry = RetryPolicy::default();
    let finished = crawldb.finish(&first, attempts.collect(), NOW, &retry, &mut || 0.5);
    let ids: Vec<ItemId> = finished
        .await
        .unwrap()
        .iter()
        .map(|item| item.item().unwrap().id.clone())
        .collect();
    let end = crawldb.end_crawl(&first, CrawlStatus::Completed, None, NOW);
    end.await.unwrap();
    let later = NOW.after(Duration::from_secs(1_000));
    let second = crawldb
        .start_crawl(&source.id, CrawlKind::Full, "test", later)
        .await;
    let second = second.unwrap().crawl().unwrap();
    let mark = |_: usize, item: Option<&Item>| Finished::Unchanged(mark(item.unwrap(), &second).unwrap());
    crawldb.change_items(&source.id, &ids, mark).await.unwrap();
    let report = OrphanReport {
        candidates: 5,
        blocked: Some("5 of 5 items would be deleted, more than 10 %".into()),
        swept_at: Some(later),
        ..OrphanReport::default()
    };
    let note = crawldb.update_crawl(&second, |crawl| crawl.orphans = report.clone());
    let second = note.await.unwrap();
    let end = crawldb.end_crawl(
        &second,
        CrawlStatus::Blocked,
        Some("a guard stopped it".into()),
        later,
    );
    end.await.unwrap()
}

/// Makes `count` items known to the crawl.
pub(crate) async fn see(crawldb: &Crawldb, crawl: &Crawl, count: usize) {
    let sightings: Vec<Sighting> = (0..count).map(sighting).collect();
    crawldb.seen(crawl, &sightings, NOW).await.unwrap();
}

fn sighting(number: usize) -> Sighting {
    let url = PageUrl::parse(&format!("https://forms.example.gov/page/{number:03}?a=1&b=%22")).unwrap();
    Sighting {
        id: ItemId::new(url.as_str()).unwrap(),
        url,
        scope: "forms.example.gov".into(),
        parent: None,
        depth: 1,
        alias: None,
    }
}

fn outcome(at: usize, item: &Item) -> Outcome {
    let failed = |kind, message: &str, retryable| Outcome::Failed {
        error: ItemError {
            kind,
            message: message.into(),
            at: NOW,
        },
        retry_after: None,
        retryable,
    };
    match at % 9 {
        0 => failed(ItemErrorKind::Timeout, "no answer within 30 s <script>", true),
        1 => failed(ItemErrorKind::Client, "the server answered 403 Forbidden", false),
        2 => Outcome::Gone {
            reason: "the server answered 410 Gone".into(),
        },
        _ => Outcome::Applied {
            checksum: Some(Checksum::of(item.id.as_str().as_bytes())),
            disposition: Disposition::Indexed,
            content: ArchiveKey::new(format!("content/{at}#0+10")).ok(),
            extract: ArchiveKey::new(format!("extract/{at}#0+10")).ok(),
            etag: Some("\"abc\"".into()),
            last_modified: None,
        },
    }
}
