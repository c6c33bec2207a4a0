use std::collections::BTreeMap;
use std::mem;

use model::Timestamp;
use updates::{Partition, Position};

use crate::PackerOptions;

/// What came for one host and is not in a published pack: offsets, not records.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    waiting: Load,
    /// What the build that runs now will publish.
    building: Option<Load>,
    /// The crawl said that all items of the host are terminal.
    done: bool,
    /// After a failed build: not before this.
    not_before: Timestamp,
}

#[derive(Debug, Default)]
struct Load {
    /// The first unpublished offset of each partition.
    first: BTreeMap<Partition, u64>,
    records: u64,
    oldest: Option<Timestamp>,
    newest: Timestamp,
}

impl Load {
    fn note(&mut self, position: &Position, at: Timestamp) {
        let first = self
            .first
            .entry(position.partition.clone())
            .or_insert(position.offset);
        *first = position.offset.min(*first);
        self.records += 1;
        self.oldest = Some(self.oldest.map_or(at, |oldest| oldest.min(at)));
        self.newest = self.newest.max(at);
    }

    fn merge(&mut self, other: Self) {
        for (partition, offset) in other.first {
            let first = self.first.entry(partition).or_insert(offset);
            *first = offset.min(*first);
        }
        self.records += other.records;
        self.oldest = [self.oldest, other.oldest].into_iter().flatten().min();
        self.newest = self.newest.max(other.newest);
    }
}

impl Mailbox {
    /// A record came.
    pub(crate) fn note(&mut self, position: &Position, at: Timestamp) {
        self.waiting.note(position, at);
    }

    /// The crawl says that all items of the host are terminal.
    pub(crate) fn all_terminal(&mut self) {
        self.done = true;
    }

    /// Records that wait for a build.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting.records
    }

    /// When the oldest record that waits was appended.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        self.waiting.oldest
    }

    /// A failed build is not to be tried again yet.
    pub(crate) fn is_delayed(&self, now: Timestamp) -> bool {
        self.not_before > now
    }

    pub(crate) fn is_building(&self) -> bool {
        self.building.is_some()
    }

    /// Nothing waits and nothing is being built.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.records == 0 && self.building.is_none()
    }

    /// When the host is to be packed; never while nothing waits or a build runs.
    pub(crate) fn due_at(&self, crawled_now: bool, options: &PackerOptions) -> Option<Timestamp> {
        let oldest = self.waiting.oldest.filter(|_| self.building.is_none())?;
        let too_old = oldest.after(options.max_age);
        let due = match (self.done, crawled_now) {
            (true, _) => Timestamp::default(),
            (false, true) => too_old,
            (false, false) => too_old.min(self.waiting.newest.after(options.idle)),
        };
        Some(due.max(self.not_before))
    }

    /// A build of everything that waits begins.
    pub(crate) fn start(&mut self) {
        self.building = Some(mem::take(&mut self.waiting));
        self.done = false;
    }

    /// The build's pack is published.
    pub(crate) fn published(&mut self) {
        self.building = None;
        self.not_before = Timestamp::default();
    }

    /// The build failed; what it had taken waits again, until `not_before` at least.
    pub(crate) fn failed(&mut self, not_before: Timestamp) {
        if let Some(load) = self.building.take() {
            self.waiting.merge(load);
        }
        self.done = true;
        self.not_before = not_before;
    }

    /// The first offset in `partition` that is in no published pack.
    pub(crate) fn first_unpublished(&self, partition: &Partition) -> Option<u64> {
        let loads = [Some(&self.waiting), self.building.as_ref()];
        loads
            .into_iter()
            .flatten()
            .filter_map(|load| load.first.get(partition))
            .min()
            .copied()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn options() -> PackerOptions {
        let mut options = PackerOptions::new("unused".into());
        options.idle = Duration::from_millis(100);
        options.max_age = Duration::from_millis(1_000);
        options
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn partition() -> Partition {
        Partition {
            topic: "a.applied".into(),
            number: 3,
        }
    }

    fn mailbox(records: &[(u64, u64)]) -> Mailbox {
        let mut mailbox = Mailbox::default();
        for &(offset, millis) in records {
            mailbox.note(
                &Position {
                    partition: partition(),
                    offset,
                },
                at(millis),
            );
        }
        mailbox
    }

    #[test]
    fn a_quiet_host_is_due_after_the_idle_time_and_a_busy_one_at_the_maximum_age() {
        assert_eq!(mailbox(&[]).due_at(false, &options()), None);
        assert_eq!(mailbox(&[(7, 500)]).due_at(false, &options()), Some(at(600)));
        assert_eq!(
            mailbox(&[(7, 500), (8, 590)]).due_at(false, &options()),
            Some(at(690))
        );
        assert_eq!(
            mailbox(&[(7, 500), (8, 1_450)]).due_at(false, &options()),
            Some(at(1_500))
        );
    }

    #[test]
    fn a_crawled_host_is_due_when_all_its_items_are_terminal() {
        let mut mailbox = mailbox(&[(7, 500)]);
        assert_eq!(mailbox.due_at(true, &options()), Some(at(1_500)));
        mailbox.all_terminal();
        assert_eq!(mailbox.due_at(true, &options()), Some(at(0)));
    }

    #[test]
    fn what_a_failed_build_took_waits_again() {
        let mut mailbox = mailbox(&[(7, 500), (9, 510)]);
        mailbox.start();
        assert_eq!(mailbox.due_at(false, &options()), None);
        mailbox.note(
            &Position {
                partition: partition(),
                offset: 12,
            },
            at(520),
        );
        assert_eq!(mailbox.first_unpublished(&partition()), Some(7));
        assert_eq!(mailbox.due_at(false, &options()), None, "one writer per host");
        mailbox.failed(at(2_000));
        assert_eq!((mailbox.waiting(), mailbox.oldest()), (3, Some(at(500))));
        assert_eq!(mailbox.due_at(false, &options()), Some(at(2_000)));
    }

    #[test]
    fn what_came_during_a_build_is_left_for_the_next() {
        let mut mailbox = mailbox(&[(7, 500)]);
        mailbox.start();
        mailbox.note(
            &Position {
                partition: partition(),
                offset: 12,
            },
            at(520),
        );
        mailbox.published();
        assert_eq!(mailbox.first_unpublished(&partition()), Some(12));
        assert!(!mailbox.is_empty() && !mailbox.is_building());
        mailbox.start();
        mailbox.published();
        assert!(mailbox.is_empty());
        assert_eq!(mailbox.first_unpublished(&partition()), None);
    }
}
