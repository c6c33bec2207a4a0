use model::{ArchiveKey, Checksum, CrawlId, Host, ItemId, PageUrl, SourceId, Timestamp, Version};
use serde::{Deserialize, Serialize};

/// `<source>.crawl`: process this item for this crawl. Only a hint that there is work: the item's record decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrawlRequest {
    /// The item.
    pub item: ItemId,
    /// The crawl that wants it.
    pub crawl: CrawlId,
}

/// `<source>.applied`: what became of an item, by whoever won the write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// The source.
    pub source: SourceId,
    /// The item; its key in the log.
    pub item: ItemId,
    /// The crawl that wrote it.
    pub crawl: CrawlId,
    /// Which write this is.
    pub version: Version,
    /// The revision of the item's record: orders writes of one version.
    #[serde(default)]
    pub write: u64,
    /// The pack that the item belongs to.
    pub host: Host,
    /// When the item was applied (its `last_updated`).
    pub at: Timestamp,
    /// What it is now.
    pub change: Change,
}

/// What an applied item is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// The item exists with this content.
    Upsert {
        /// Its address.
        url: PageUrl,
        /// Of the bytes as fetched.
        checksum: Checksum,
        /// Where the archive keeps the extract.
        extract: ArchiveKey,
    },
    /// The item is not, or no longer, part of what is searched.
    Delete {
        /// Its address; records of the first version of Haul do not have it.
        #[serde(default)]
        url: Option<PageUrl>,
    },
}

/// `<source>.receipts`: how a listener tells the crawler what came of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The item.
    pub item: ItemId,
    /// The crawl that asked.
    pub crawl: CrawlId,
    /// What came of it.
    pub outcome: ReceiptOutcome,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptOutcome {
    /// Applied, or found unchanged.
    Success,
    /// Failed, with the error; it will be retried or is escalated.
    Failure(String),
    /// A newer request for the same item was read with it, and answered instead.
    Superseded,
    /// A newer write of the same item won.
    Stale,
}

/// `<source>.live`: the source itself tells of an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveUpdate {
    /// The item.
    pub item: ItemId,
    /// Its address.
    pub url: PageUrl,
    /// When it happened, by the clock of whoever tells; the log's time counts unless the source's clock is trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// What happened.
    pub change: LiveChange,
}

/// What happened to an item, as its source tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum LiveChange {
    /// It was created or changed, and this is it.
    Upsert {
        /// Its bytes in the archive.
        content: ArchiveKey,
        /// Its media type as in `Content-Type`; guessed from the bytes where it is missing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        media_type: Option<String>,
    },
    /// It was created or changed: fetch it.
    Fetch,
    /// It is gone.
    Delete,
}

/// `<source>.escalated`: an item that a person must decide about. A tombstone: somebody did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escalated {
    /// The item.
    pub item: ItemId,
    /// Its address.
    pub url: PageUrl,
    /// The crawl that gave up on it.
    pub crawl: CrawlId,
    /// Failed attempts in that crawl.
    pub retry_count: u32,
    /// Failed attempts in a row, over crawls.
    pub consecutive_failures: u32,
    /// What went wrong last, with its causes.
    pub error: String,
    /// When.
    pub at: Timestamp,
}

/// `control`: what stages tell each other about crawls and packs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Control {
    /// A full rebuild of the source's hosts is coming. Key: the crawl id.
    CrawlStarted {
        /// The crawl.
        crawl: CrawlId,
        /// Its hosts so far.
        hosts: Vec<Host>,
    },
    /// All items of this host that the crawl knows are terminal. Key: crawl id, space, host.
    HostDone {
        /// The crawl.
        crawl: CrawlId,
        /// The host.
        host: Host,
        /// How many items of it the crawl has handled.
        items: u64,
    },
    /// The crawl is over. Key: the crawl id.
    CrawlEnded {
        /// The crawl.
        crawl: CrawlId,
        /// How.
        ended: Ended,
    },
    /// A new pack of this host is in the archive. Key: `pack/<host>`.
    PackPublished {
        /// The host.
        host: Host,
        /// The number of its manifest.
        manifest: u64,
        /// Of the pack file.
        checksum: Checksum,
    },
    /// There is no pack of this host in the archive any more. Key: `pack/<host>`.
    PackWithdrawn {
        /// The host.
        host: Host,
    },
}

/// How a crawl ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// Every item that it enumerated is terminal.
    Completed,
    /// It could not go on.
    Failed,
    /// Somebody stopped it for good.
    Cancelled,
}
