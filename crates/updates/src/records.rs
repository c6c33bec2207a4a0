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
    Delete,
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
    /// A newer write of the same item won.
    Stale,
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
