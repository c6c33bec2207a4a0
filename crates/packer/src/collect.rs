use std::collections::BTreeSet;

use model::{Checksum, Host, SourceId, Timestamp, Version};
use rustc_hash::FxHashMap;
use updates::{Applied, Change, LogError, Partition, Record, UpdateLog, topics};

/// Records that are read from the log at a time.
const READ: usize = 1_000;

/// Which records of the log are the newest of a host's items: what a pack of the host is made of.
///
/// It holds 64 bytes per item and no record, so a host of a million pages takes 64 MB.
pub(crate) struct Collection {
    partitions: Vec<Partition>,
    newest: FxHashMap<Key, Newest>,
    /// When the oldest and the newest record that it read were applied.
    pub(crate) window: Option<(Timestamp, Timestamp)>,
}

/// The first half of the SHA-256 of source and item.
type Key = [u8; 16];

struct Newest {
    version: Version,
    partition: usize,
    offset: u64,
    /// What the item's page is made of; none for an item that is gone.
    content: Option<Key>,
}

impl Collection {
    /// Reads everything that the log holds of `host` from `sources`.
    pub(crate) async fn read(
        log: &UpdateLog,
        host: &Host,
        sources: &BTreeSet<SourceId>,
    ) -> Result<Self, LogError> {
        let mut collection = Self {
            partitions: Vec::new(),
            newest: FxHashMap::default(),
            window: None,
        };
        let wanted: BTreeSet<String> = sources.iter().map(topics::applied).collect();
        for topic in log
            .topics()
            .await?
            .into_iter()
            .filter(|topic| wanted.contains(&topic.name))
        {
            let number = updates::partition_of(host.as_str(), topic.partitions);
            collection.partitions.push(Partition {
                topic: topic.name,
                number,
            });
        }
        for (at, partition) in collection.partitions.clone().into_iter().enumerate() {
            let mut reader = Reader::new(log, &partition, host);
            while let Some(batch) = reader.next().await? {
                for (offset, applied) in batch {
                    collection.note(at, offset, &applied);
                }
            }
        }
        Ok(collection)
    }

    fn note(&mut self, partition: usize, offset: u64, applied: &Applied) {
        let (start, end) = self.window.unwrap_or((applied.at, applied.at));
        self.window = Some((start.min(applied.at), end.max(applied.at)));
        let content = match &applied.change {
            Change::Upsert { extract, url, .. } => Some(key(url.as_str(), extract.as_str())),
            Change::Delete { .. } => None,
        };
        let record = Newest {
            version: applied.version,
            partition,
            offset,
            content,
        };
        let newest = self
            .newest
            .entry(key(applied.source.as_str(), applied.item.as_str()));
        newest
            .and_modify(|newest| {
                if record.version >= newest.version {
                    *newest = Newest { ..record };
                }
            })
            .or_insert(record);
    }

    /// Items that have a page.
    pub(crate) fn pages(&self) -> u64 {
        self.newest
            .values()
            .filter(|newest| newest.content.is_some())
            .count() as u64
    }

    /// Equal where the pages and their extracts are, in whatever order they came.
    pub(crate) fn digest(&self) -> Checksum {
        let contents = self.newest.values().filter_map(|newest| newest.content);
        let sum = contents.map(u128::from_be_bytes).fold(0, u128::wrapping_add);
        let text = format!(
            "pack format {}: {} pages, {sum:032x}",
            pack::FORMAT_VERSION,
            self.pages()
        );
        Checksum::of(text.as_bytes())
    }

    /// The pages, in the order of the log, which is the order in which the archive holds their extracts.
    pub(crate) fn pages_in_order<'a>(&'a self, log: &'a UpdateLog, host: &'a Host) -> Pages<'a> {
        Pages {
            collection: self,
            log,
            host,
            partition: 0,
            reader: None,
        }
    }
}

fn key(a: &str, b: &str) -> Key {
    let [half, _]: [Key; 2] = split(*Checksum::of(format!("{a}\n{b}").as_bytes()).as_bytes());
    half
}

fn split(digest: [u8; 32]) -> [Key; 2] {
    let mut halves = [Key::default(); 2];
    for (half, bytes) in halves.iter_mut().zip(digest.chunks_exact(16)) {
        half.copy_from_slice(bytes);
    }
    halves
}

/// A second pass over the log that yields only the newest record of each item that has a page.
pub(crate) struct Pages<'a> {
    collection: &'a Collection,
    log: &'a UpdateLog,
    host: &'a Host,
    partition: usize,
    reader: Option<Reader<'a>>,
}

impl Pages<'_> {
    /// The next pages, some at a time; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Applied>>, LogError> {
        while let Some(partition) = self.collection.partitions.get(self.partition) {
            let reader = self
                .reader
                .get_or_insert_with(|| Reader::new(self.log, partition, self.host));
            let Some(batch) = reader.next().await? else {
                self.partition += 1;
                self.reader = None;
                continue;
            };
            let (at, newest) = (self.partition, &self.collection.newest);
            let is_newest = |offset: u64, applied: &Applied| {
                let newest = newest.get(&key(applied.source.as_str(), applied.item.as_str()));
                newest.is_some_and(|newest| newest.partition == at && newest.offset == offset)
            };
            let has_page = |applied: &Applied| matches!(applied.change, Change::Upsert { .. });
            let pages = batch
                .into_iter()
                .filter(|(offset, applied)| has_page(applied) && is_newest(*offset, applied));
            return Ok(Some(pages.map(|(_, applied)| applied).collect()));
        }
        Ok(None)
    }
}

/// Reads the records of one host in one partition.
struct Reader<'a> {
    log: &'a UpdateLog,
    partition: Partition,
    host: &'a Host,
    next: u64,
}

impl<'a> Reader<'a> {
    fn new(log: &'a UpdateLog, partition: &Partition, host: &'a Host) -> Self {
        Self {
            log,
            partition: partition.clone(),
            host,
            next: 0,
        }
    }

    async fn next(&mut self) -> Result<Option<Vec<(u64, Applied)>>, LogError> {
        let records = self.log.read(&self.partition, self.next, READ).await?;
        let Some(last) = records.last() else {
            return Ok(None);
        };
        self.next = last.position.offset + 1;
        let of_host = |record: &&Record| record.scope == self.host.as_str();
        let mut applied = Vec::new();
        for record in records.iter().filter(of_host) {
            applied.extend(record.decode()?.map(|decoded| (record.position.offset, decoded)));
        }
        Ok(Some(applied))
    }
}
