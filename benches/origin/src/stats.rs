//! What the server counts.

use crate::Fault;
use crate::config::Duplicates;
use crate::locks::lock;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

/// What was counted since the start or the last reset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Requests read, by kind.
    pub requests: Requests,
    /// Answers by the status that they told; an answer that never came or was garbage has none.
    pub statuses: BTreeMap<u16, u64>,
    /// Faults drawn or told by a rule, also those that found no place in the answer (a wrong range of an error).
    pub faults: BTreeMap<Fault, u64>,
    /// Pages of lists answered.
    pub list_pages: u64,
    /// Bytes of bodies handed to the kernel.
    pub bytes_sent: u64,
    /// Bytes of object versions sent again; 0 unless [`Duplicates::Counted`].
    pub duplicate_bytes: u64,
    /// Connections accepted.
    pub connections_opened: u64,
    /// Connections accepted, by the local address.
    pub connections_by_address: BTreeMap<String, u64>,
    /// Connections open now; a reset keeps it.
    pub connections_open: u64,
    /// The most that were open at a time.
    pub connections_peak: u64,
    /// Requests being answered now; a reset keeps it.
    pub requests_open: u64,
    /// The most that were being answered at a time.
    pub requests_peak: u64,
}

/// Requests by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Requests {
    /// `GET` of an object.
    pub get: u64,
    /// Those of them that asked for a range.
    pub ranged: u64,
    /// `HEAD` of an object.
    pub head: u64,
    /// Pages of lists.
    pub list: u64,
    /// Anything else, except the server's own pages.
    pub other: u64,
}

/// The kinds that are counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Get,
    RangedGet,
    Head,
    List,
    Other,
    /// The server's own pages, which are not counted.
    Own,
}

/// The counters of a running server.
pub(crate) struct Counters {
    stats: Mutex<Stats>,
    bytes_sent: AtomicU64,
    sent: Option<Mutex<HashMap<Version, Sent>>>,
}

/// Bucket, key, and content seed.
type Version = (String, String, u64);

/// Which bytes of a version were sent, and how many of them again.
#[derive(Default)]
struct Sent {
    once: Intervals,
    again_bytes: u64,
}

impl Counters {
    pub(crate) fn new(duplicates: Duplicates) -> Self {
        Self {
            stats: Mutex::default(),
            bytes_sent: AtomicU64::new(0),
            sent: (duplicates == Duplicates::Counted).then(Mutex::default),
        }
    }

    pub(crate) fn read(&self) -> Stats {
        let bytes_sent = self.bytes_sent.load(Ordering::Relaxed);
        Stats {
            bytes_sent,
            ..self.lock().clone()
        }
    }

    pub(crate) fn reset(&self) {
        let mut stats = self.lock();
        let (connections, requests) = (stats.connections_open, stats.requests_open);
        *stats = Stats {
            connections_open: connections,
            connections_peak: connections,
            requests_open: requests,
            requests_peak: requests,
            ..Stats::default()
        };
        self.bytes_sent.store(0, Ordering::Relaxed);
        if let Some(sent) = &self.sent {
            lock(sent).clear();
        }
    }

    pub(crate) fn connection_opened(&self, address: &str) {
        let mut stats = self.lock();
        stats.connections_opened += 1;
        stats.connections_open += 1;
        stats.connections_peak = stats.connections_peak.max(stats.connections_open);
        match stats.connections_by_address.get_mut(address) {
            Some(count) => *count += 1,
            None => _ = stats.connections_by_address.insert(address.to_owned(), 1),
        }
    }

    pub(crate) fn connection_closed(&self) {
        self.lock().connections_open -= 1;
    }

    /// Counts an answer that is about to begin.
    pub(crate) fn answer_begins(&self, kind: Kind, status: Option<u16>, fault: Option<Fault>) {
        let mut stats = self.lock();
        stats.requests_open += 1;
        stats.requests_peak = stats.requests_peak.max(stats.requests_open);
        if kind == Kind::Own {
            return;
        }
        stats.requests.count(kind);
        stats.list_pages += u64::from(kind == Kind::List && status == Some(200));
        if let Some(status) = status {
            *stats.statuses.entry(status).or_default() += 1;
        }
        if let Some(fault) = fault {
            *stats.faults.entry(fault).or_default() += 1;
        }
    }

    pub(crate) fn answer_ended(&self) {
        self.lock().requests_open -= 1;
    }

    pub(crate) fn bytes_sent(&self, count: u64) {
        self.bytes_sent.fetch_add(count, Ordering::Relaxed);
    }

    /// Notes that `range` of a version was sent.
    pub(crate) fn range_sent(&self, bucket: &str, key: &str, seed: u64, range: Range<u64>) {
        let Some(sent) = &self.sent else { return };
        let again = {
            let mut sent = lock(sent);
            let version = sent.entry((bucket.to_owned(), key.to_owned(), seed)).or_default();
            let again = version.once.add(range);
            version.again_bytes += again;
            again
        };
        self.lock().duplicate_bytes += again;
    }

    /// The bytes sent again of all versions of an object.
    pub(crate) fn duplicate_bytes(&self, bucket: &str, key: &str) -> u64 {
        let Some(sent) = &self.sent else { return 0 };
        let sent = lock(sent);
        let versions = sent
            .iter()
            .filter(|((in_bucket, of_key, _), _)| in_bucket == bucket && of_key == key);
        versions.map(|(_, sent)| sent.again_bytes).sum()
    }

    fn lock(&self) -> MutexGuard<'_, Stats> {
        lock(&self.stats)
    }
}

impl Requests {
    fn count(&mut self, kind: Kind) {
        match kind {
            Kind::Get => self.get += 1,
            Kind::RangedGet => {
                self.get += 1;
                self.ranged += 1;
            }
            Kind::Head => self.head += 1,
            Kind::List => self.list += 1,
            Kind::Other => self.other += 1,
            Kind::Own => {}
        }
    }
}

/// A set of positions, as intervals that neither touch nor overlap: begin to end.
#[derive(Default)]
struct Intervals(BTreeMap<u64, u64>);

impl Intervals {
    /// Adds a range and tells how many of its positions were there.
    fn add(&mut self, range: Range<u64>) -> u64 {
        if range.is_empty() {
            return 0;
        }
        let (mut start, mut end, mut again) = (range.start, range.end, 0);
        while let Some((&from, &to)) = self
            .0
            .range(..=range.end)
            .next_back()
            .filter(|(_, to)| **to >= range.start)
        {
            again += to.min(range.end).saturating_sub(from.max(range.start));
            (start, end) = (start.min(from), end.max(to));
            self.0.remove(&from);
        }
        self.0.insert(start, end);
        again
    }
}

#[cfg(test)]
mod tests {
    use super::Intervals;
    use proptest::prelude::*;
    use std::collections::HashSet;

    proptest! {
        #[test]
        fn intervals_count_what_a_set_of_positions_counts(ranges in prop::collection::vec((0_u64..60, 0_u64..20), 0..20)) {
            let (mut intervals, mut positions) = (Intervals::default(), HashSet::new());
            for (start, length) in ranges {
                let again = (start..start + length).filter(|position| !positions.insert(*position)).count();
                prop_assert_eq!(intervals.add(start..start + length), again as u64);
            }
            let lengths: u64 = intervals.0.iter().map(|(from, to)| to - from).sum();
            prop_assert_eq!(lengths, positions.len() as u64);
        }
    }
}
