use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;

use super::Run;
use super::file::{File, State};
use super::generator::{AHEAD, Listed};
use crate::buffers::WHOLE_BYTES;
use crate::checksum::Ranges;
use crate::entry::{Algorithm, FileMeta};
use crate::error::Error;
use crate::hooks::{FileStart, Plan};
use crate::landing::{Claim, Identity};
use crate::location::Scheme;
use crate::outcome::{Done, Outcome};

/// Files that may be open before anything is planned of them: more than there are connections, so that none waits.
const WAITING_FILES: usize = 512;
/// Files that may have ended without a reader having taken them.
const UNREAD_FILES: usize = 10_000;

/// The `FileChunker`: makes files of entries, as many as connections and budget can use, and plans their ranges.
pub(super) async fn open_files(run: Arc<Run>, mut listed: Receiver<Listed>) {
    let mut waiting = Waiting::default();
    let mut seq = 0;
    while let Some(next) = waiting.next(&mut listed).await {
        run.wait_for_room().await;
        if run.control.is_cancelled() {
            break;
        }
        run.open_entry(seq, next);
        seq += 1;
    }
    run.listed();
}

/// Entries that were listed, the most urgent first.
#[derive(Default)]
struct Waiting {
    heap: BinaryHeap<(i32, Reverse<u64>)>,
    entries: std::collections::HashMap<u64, Listed>,
    count: u64,
}

impl Waiting {
    async fn next(&mut self, listed: &mut Receiver<Listed>) -> Option<Listed> {
        while self.heap.len() < AHEAD
            && let Ok(entry) = listed.try_recv()
        {
            self.add(entry);
        }
        if self.heap.is_empty() {
            let entry = listed.recv().await?;
            self.add(entry);
        }
        let (_, Reverse(number)) = self.heap.pop()?;
        self.entries.remove(&number)
    }

    fn add(&mut self, listed: Listed) {
        self.heap.push((listed.entry.priority, Reverse(self.count)));
        self.entries.insert(self.count, listed);
        self.count += 1;
    }
}

impl Run {
    async fn wait_for_room(&self) {
        while !self.control.is_cancelled() && !self.has_room() {
            tokio::select! {
                () = self.room.notified() => {}
                () = tokio::time::sleep(Duration::from_millis(100)) => {}
            }
        }
    }

    fn has_room(&self) -> bool {
        let waiting = self.queue().waiting_files();
        let unread = self.progress().unread.len();
        let large = self.large_open.load(Ordering::Relaxed);
        waiting < WAITING_FILES && large < self.options().open_files.max(1) && unread < UNREAD_FILES
    }

    fn open_entry(self: &Arc<Self>, seq: u64, listed: Listed) {
        let Listed { entry, refused } = listed;
        let name = entry.name.clone();
        let store = match self.stores.of(&entry.location) {
            Ok(store) => store,
            Err(error) => return self.fail_unopened(error),
        };
        let is_known =
            entry.size.is_some() && (is_strong(entry.etag.as_deref()) || store.scheme() == Scheme::File);
        let file = Arc::new(File::new(seq, entry, store, self.is_read, self.longest_range()));
        let claim = match (&refused, &self.folder) {
            (Some(_), _) | (None, None) => Ok(None),
            (None, Some(folder)) => folder.claim(&name).map(Some),
        };
        let place = match &claim {
            Ok(Some(Claim::File(place))) => Some(place.clone()),
            _ => None,
        };
        self.open(&file, place.as_ref());
        match claim {
            Ok(Some(Claim::Folder(parents))) => return self.make_folder(&file, &parents),
            Err(error) => return self.end(&file, &Outcome::Failed(error)),
            Ok(_) => {}
        }
        if let Some(error) = refused {
            return self.end(&file, &Outcome::Failed(error));
        }
        match is_known {
            true => self.begin_listed(&file),
            false => {
                self.queue().offer(&file);
                self.dispatch();
            }
        }
    }

    /// An entry whose store cannot even be opened; all others of that store meet the same, so the run fails.
    fn fail_unopened(&self, error: Error) {
        self.progress().error = Some(error);
        self.control.cancel();
    }

    fn make_folder(self: &Arc<Self>, file: &Arc<File>, parents: &crate::landing::Parents) {
        let made = self.folder.as_ref().map(|folder| folder.make(parents));
        let outcome = match made {
            Some(Ok(path)) => Outcome::Done(Done {
                path: Some(path),
                ..Done::default()
            }),
            Some(Err(error)) => Outcome::Failed(error),
            None => Outcome::Skipped,
        };
        self.end(file, &outcome);
    }

    fn begin_listed(self: &Arc<Self>, file: &Arc<File>) {
        let mut meta = FileMeta::clone(&file.meta());
        if let (Some(size), Some(range)) = (meta.size, &file.entry.range) {
            meta.range = range.start.min(size)..range.end.min(size);
        }
        if self.begin(file, meta, None) {
            self.queue().offer(file);
            self.dispatch();
        }
    }

    /// A file's first bytes may flow: asks the hooks, opens what is written, plans. `planned` is the end of the range
    /// that is under way already. False where nothing is to be fetched (any more); the file has ended then, or will.
    pub(super) fn begin(self: &Arc<Self>, file: &Arc<File>, meta: FileMeta, planned: Option<u64>) -> bool {
        let is_small = meta.wanted().is_some_and(|wanted| wanted <= WHOLE_BYTES as u64);
        // After a restart of the machine, what an earlier run left is read again first; and hooks may take long.
        let begun = match is_small && self.hooks.is_quick() {
            true => self.try_begin(file, meta, planned),
            false => tokio::task::block_in_place(|| self.try_begin(file, meta, planned)),
        };
        match begun {
            Ok(goes_on) => goes_on,
            Err(error) => {
                self.end(file, &Outcome::Failed(error));
                false
            }
        }
    }

    fn try_begin(
        self: &Arc<Self>,
        file: &Arc<File>,
        mut meta: FileMeta,
        planned: Option<u64>,
    ) -> Result<bool, Error> {
        match self.hooks.file_start(&meta)? {
            FileStart::Fetch => {}
            FileStart::Skip => return Ok(self.end_unfetched(file, meta, &Outcome::Skipped)),
            FileStart::UseCache => return Ok(self.end_unfetched(file, meta, &Outcome::Cached)),
            FileStart::Range(range) => {
                let end = meta.size.unwrap_or(u64::MAX);
                meta.range = range.start.min(end)..range.end.min(end).max(range.start.min(end));
            }
        }
        let ordered = self.hooks.ordered(&meta)?;
        let is_transformed = !ordered.is_empty();
        let plan = self.hooks.plan(&meta, self.default_plan(&meta, is_transformed))?;
        let small = meta.wanted().is_some_and(|wanted| wanted <= WHOLE_BYTES as u64);
        let mut state = file.state();
        if state.has_ended() {
            return Ok(false);
        }
        if is_transformed {
            state.longest = state.longest.min(self.options().memory_bytes / 2);
        }
        state.is_whole = small && planned.is_none() && matches!(plan, Plan::Every(_)) && fits(&plan, &meta);
        state.plan = plan;
        state.next = planned.unwrap_or(meta.range.start).max(meta.range.start);
        state.position = meta.range.start;
        state.arrived = 0;
        state.crcs = Some(Ranges::new(self.algorithm(&meta)));
        state.is_transformed = is_transformed;
        state.ordered = is_transformed.then_some(ordered);
        let wanted = meta.wanted();
        state.meta = Arc::new(meta);
        if !state.is_whole && !is_transformed {
            self.land(file, &mut state)?;
        }
        if !state.is_whole {
            self.large_open.fetch_add(1, Ordering::Relaxed);
        }
        state.started = true;
        File::wake(&mut state);
        let is_complete = state.is_complete();
        state.finishing |= is_complete;
        let has_resumed = state.resumed > 0;
        drop(state);
        self.expect(file, wanted.unwrap_or(0));
        self.progress().wake();
        if is_transformed {
            self.transform(file);
        }
        // What an earlier run left may be all there is: then no answer would tell.
        if file.is_streamed() || has_resumed {
            self.ask_checksum(file);
        }
        if is_complete {
            let (run, file) = (Arc::clone(self), Arc::clone(file));
            self.engine
                .runtime
                .spawn(async move { run.finish(&file, None).await });
        }
        Ok(!is_complete)
    }

    /// Corrects what the run's figures expect of a file.
    pub(super) fn expect(&self, file: &File, bytes: u64) {
        let before = file.expect(bytes);
        self.counters.expected.add(bytes);
        self.counters.expected.take(before);
    }

    fn end_unfetched(self: &Arc<Self>, file: &Arc<File>, meta: FileMeta, outcome: &Outcome) -> bool {
        file.state().meta = Arc::new(meta);
        self.expect(file, 0);
        self.end(file, outcome);
        false
    }

    /// A transformed file is read in order, by its reader or by a task that saves it.
    fn transform(self: &Arc<Self>, file: &Arc<File>) {
        file.stream();
        if !self.is_read {
            super::save::spawn(Arc::clone(self), Arc::clone(file));
        }
    }

    /// Opens the file that is written, and what an earlier run left of it.
    fn land(&self, file: &File, state: &mut State) -> Result<(), Error> {
        let (Some(folder), Some(place)) = (&self.folder, self.place(file)) else {
            return Ok(());
        };
        let identity = Identity::of(&state.meta, self.algorithm(&state.meta));
        // What a reader gets begins at the beginning, and what the first answer brings anyway needs nothing else.
        let is_coming = state.next >= state.meta.range.end;
        let resume = self.options().resume && !self.is_read && !is_coming;
        let begun = folder.begin(&place, &identity, resume)?;
        let resumed: u64 = begun.have.iter().map(|range| range.end - range.start).sum();
        if resumed > 0 {
            let first = state.meta.range.start;
            state.skip = begun
                .have
                .iter()
                .map(|have| have.start + first..have.end + first)
                .collect();
            state.next = first;
            state.arrived = resumed;
            state.resumed = resumed;
            self.counters.resumed.add(resumed);
        }
        state.crcs = Some(begun.crcs);
        state.landing = Some(Arc::new(begun.landing));
        Ok(())
    }

    pub(super) fn algorithm(&self, meta: &FileMeta) -> Option<Algorithm> {
        if !self.options().verify {
            return None;
        }
        let usual = match meta.location.scheme() {
            Scheme::Gcs => Algorithm::Crc32C,
            _ => Algorithm::Crc64Nvme,
        };
        Some(meta.checksum.map_or(usual, |declared| declared.algorithm))
    }

    /// Ranges that wait for a reader must fit the budget, the one that is read and the next.
    fn longest_range(&self) -> u64 {
        match self.is_read {
            true => self.options().memory_bytes / 2,
            false => u64::MAX,
        }
    }

    /// Long ranges where they are written; where they wait for a reader, ranges of which the budget holds many.
    pub(super) fn default_plan(&self, meta: &FileMeta, is_transformed: bool) -> Plan {
        if let Some(bytes) = self.options().chunk_bytes {
            return Plan::Every(bytes.max(1));
        }
        let bytes = match self.is_read || is_transformed {
            true => (self.options().memory_bytes / 32).clamp(256 << 10, 8 << 20),
            false => (meta.wanted().unwrap_or(0) / 32).clamp(8 << 20, 64 << 20),
        };
        Plan::Every(align(bytes, part_bytes(meta)))
    }
}

/// Whether the plan cuts nothing.
fn fits(plan: &Plan, meta: &FileMeta) -> bool {
    matches!(plan, Plan::Every(bytes) if meta.wanted().is_some_and(|wanted| *bytes >= wanted))
}

/// A tag that tells one version of the bytes from all others (RFC 9110, section 8.8.1).
pub(super) fn is_strong(etag: Option<&str>) -> bool {
    etag.is_some_and(|etag| etag.len() > 2 && etag.starts_with('"'))
}

/// The size of the parts that an object of S3 was uploaded in, as far as its tag tells: it ends in `-` and their number.
/// The usual tools take a whole number of MiB.
fn part_bytes(meta: &FileMeta) -> Option<u64> {
    let (size, etag) = (meta.size?, meta.etag.as_deref()?);
    let parts: u64 = etag.trim_matches('"').rsplit_once('-')?.1.parse().ok()?;
    if parts < 2 {
        return None;
    }
    let part = size.div_ceil(parts).next_multiple_of(1 << 20);
    (size.div_ceil(part) == parts).then_some(part)
}

/// A length near `bytes` whose multiples fall on the borders of the stored parts.
fn align(bytes: u64, part: Option<u64>) -> u64 {
    match part {
        Some(part) if part <= bytes => bytes / part * part,
        // Parts are whole MiB, so a power of two divides them down to one.
        Some(part) => {
            let pieces = part.div_ceil(bytes).next_power_of_two();
            if part.is_multiple_of(pieces) {
                part / pieces
            } else {
                bytes
            }
        }
        None => bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_fall_on_stored_parts() {
        const MIB: u64 = 1 << 20;
        assert_eq!(align(8 * MIB, None), 8 * MIB);
        assert_eq!(align(8 * MIB, Some(5 * MIB)), 5 * MIB);
        assert_eq!(align(8 * MIB, Some(64 * MIB)), 8 * MIB);
        assert_eq!(align(4 * MIB, Some(10 * MIB)), 10 * MIB / 4);
    }
}
