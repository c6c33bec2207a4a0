use model::{ArchiveKey, Checksum, CrawlId, ItemId, PageUrl, SourceId, Timestamp, Version};

use crate::records::{
    Crawl, CrawlKind, CrawlStatus, CrawlTotals, Decision, Disposition, Enumeration, Item, ItemError,
    ItemErrorKind, ItemState, Lease, LogMarks, Orphan, OrphanReport, Revision, Ruling, Settings, Source,
};
use crate::transition::Sighting;

const VALID: &str = "the samples are valid";

/// Settings with this name, the rest by default.
pub fn sample_settings(name: &str) -> Settings {
    Settings {
        name: name.to_owned(),
        ..Settings::default()
    }
}

/// A source of this name that was never crawled.
pub fn sample_source(name: &str) -> Source {
    let id = SourceId::new(name).expect(VALID);
    Source::new(id, sample_settings(name), Timestamp::default())
}

/// A crawl of the source that started at this millisecond.
pub fn sample_crawl(source: &str, start: u64) -> Crawl {
    let started_at = Timestamp::from_millis(start);
    Crawl {
        id: CrawlId::at(&SourceId::new(source).expect(VALID), started_at),
        revision: Revision::NEW,
        status: CrawlStatus::Processing,
        started_at,
        ended_at: None,
        configuration: 1,
        epoch: 1,
        service: "testkit".into(),
        alive_until: started_at,
        totals: CrawlTotals::default(),
        fetched_bytes: 0,
        fetches: 0,
        processing_ms: 0,
        indexed: 0,
        reason: None,
        kind: CrawlKind::Full,
        enumeration: Enumeration::default(),
        marks: LogMarks::default(),
        orphans: OrphanReport::default(),
    }
}

/// The page with this number on a host.
pub fn sample_sighting(host: &str, number: u32) -> Sighting {
    let url = PageUrl::parse(&format!("https://{host}/page-{number:04}")).expect(VALID);
    Sighting {
        id: ItemId::new(url.as_str()).expect(VALID),
        url,
        scope: host.to_owned(),
        parent: None,
        depth: 1,
        alias: None,
    }
}

/// An item in this state, due and last updated at the start of its crawl, with every field filled that may be.
pub fn sample_item(crawl: &Crawl, host: &str, number: u32, state: ItemState) -> Item {
    let Sighting { id, url, scope, .. } = sample_sighting(host, number);
    let at = crawl.started_at;
    let lease = Lease {
        owner: "testkit".into(),
        epoch: 3,
        until: at,
    };
    Item {
        source: crawl.id.source(),
        id,
        url,
        scope,
        state,
        version: Version::from_u64(7),
        revision: Revision::NEW,
        crawl: crawl.id.clone(),
        configuration: 1,
        seen_crawl_at: at,
        first_seen_at: at,
        last_updated: Some(at),
        next_attempt_at: at,
        lease: (state == ItemState::InFlight).then_some(lease),
        epoch: 3,
        retry_count: 1,
        consecutive_failures: 2,
        last_error: Some(ItemError {
            kind: ItemErrorKind::Timeout,
            message: "too slow".into(),
            at,
        }),
        checksum: Some(Checksum::of(host.as_bytes())),
        disposition: Some(Disposition::Unsupported("image/png".into())),
        content: Some(ArchiveKey::new("content/a#0+9").expect(VALID)),
        extract: Some(ArchiveKey::new("extract/a#0+9").expect(VALID)),
        etag: Some("\"1\"".into()),
        last_modified: Some("yesterday".into()),
        parent: Some(ItemId::new("https://a.example/").expect(VALID)),
        depth: 2,
        aliases: vec![ItemId::new("https://a.example/old").expect(VALID)],
        orphan: Some(Orphan {
            since: at,
            misses: 1,
            last: at,
        }),
        ruling: Some(Ruling {
            decision: Decision::Requeue,
            reason: "try once more".into(),
            by: "testkit".into(),
            at,
        }),
        unread: Some(Version::from_u64(9)),
    }
}
