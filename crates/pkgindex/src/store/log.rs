//! The default store: a log of changes in a folder that one server has to itself, with snapshots.
//!
//! | file | what |
//! |---|---|
//! | `lock` | locked as long as a server has the folder |
//! | `N.log` | a segment: the changes from revision `N` on, one frame for each commit; zeros behind the last frame |
//! | `N.snapshot` | all packages; right together with the changes behind revision `N` |
//! | `*.partial` | not finished; removed at the next start |
//! | `N-B.torn` | what stood at byte `B` of `N.log` and was no whole record, cut off after a crash; goes with its segment |
//!
//! A frame is there wholly or not at all. Where the last segment ends with something else, a crash has torn a commit that nobody was
//! told of, and it is cut off. Everywhere else, and where a later frame proves that it was on the disk already, it is damage, and the log is
//! not opened.

mod check;
mod contents;
mod draft;
mod folder;
mod reading;
mod recovery;
mod segments;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::change::{Change, Revision};
use crate::store::{Commit, Finding, Loaded, Packages, Store, StoreError};

use draft::Draft;
use folder::Folder;
pub use folder::{OnStep, Step};
use segments::Segments;

/// About how many bytes [`Store::changes`] returns.
const CHANGES_BYTES: usize = 4 << 20;

/// When a commit is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Before it is confirmed. Nothing that was confirmed is lost, whatever fails.
    Always,
    /// At most about this time later. A crash of the server loses nothing, one of the system what was confirmed in that time.
    Interval(Duration),
    /// When the system writes it. A crash of the server loses nothing, one of the system some of the newest changes.
    None,
}

/// How a [`LogStore`] behaves.
#[derive(Clone, Copy, Debug)]
pub struct LogOptions {
    /// When a commit is on the disk. [`Durability::Always`] unless told otherwise.
    pub durability: Durability,
    /// How long a segment gets before the next is begun, in bytes; a commit is never split, so it may become longer. 16 MiB.
    pub segment_bytes: u64,
    /// How much room is kept ready behind the newest change, in bytes: overwriting is synced faster than growing. Only under
    /// [`Durability::Always`]. 4 MiB.
    pub prepared_bytes: u64,
    /// A snapshot is written when more bytes of changes than this stand behind the last one, and more than twice its length. 32 MiB.
    pub snapshot_after_bytes: u64,
    /// How long housekeeping rests after it failed, for instance because the disk is full. Ten seconds.
    pub retry_pause: Duration,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            durability: Durability::Always,
            segment_bytes: 16 << 20,
            prepared_bytes: 4 << 20,
            snapshot_after_bytes: 32 << 20,
            retry_pause: Duration::from_secs(10),
        }
    }
}

/// Keeps changes in a log.
pub struct LogStore {
    folder: Arc<Folder>,
    options: LogOptions,
    log: Option<Log>,
}

/// A log that was loaded.
struct Log {
    segments: Segments,
    synced_at: Instant,
    snapshot_bytes: u64,
    draft: Option<Draft>,
    resting_until: Instant,
}

impl LogStore {
    /// Takes the folder, and makes it when it is not there. [`StoreError::InUse`] says that another server has it.
    pub fn open(folder: &Path, options: LogOptions) -> Result<Self, StoreError> {
        Ok(Self::of(Folder::open(folder, None)?, options))
    }

    /// As [`LogStore::open`], and `on_step` is told of everything that is done to the folder.
    pub fn open_observed(folder: &Path, options: LogOptions, on_step: OnStep) -> Result<Self, StoreError> {
        Ok(Self::of(Folder::open(folder, Some(on_step))?, options))
    }

    fn of(folder: Folder, options: LogOptions) -> Self {
        Self {
            folder: Arc::new(folder),
            options,
            log: None,
        }
    }

    /// A snapshot that is not finished is begun anew when it is needed.
    fn discard_draft(&mut self) {
        if let Some(draft) = self.log.as_mut().and_then(|log| log.draft.take()) {
            draft.discard(&self.folder);
        }
    }
}

impl Store for LogStore {
    fn name(&self) -> &'static str {
        "log"
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn load(&mut self) -> Result<Loaded, StoreError> {
        let recovered = recovery::recover(&self.folder)?;
        let now = Instant::now();
        self.log = Some(Log {
            segments: recovered.segments,
            synced_at: now,
            snapshot_bytes: recovered.snapshot_bytes,
            draft: None,
            resting_until: now,
        });
        Ok(recovered.loaded)
    }

    fn commit(&mut self, base: Revision, changes: &[Change]) -> Result<Commit, StoreError> {
        let segments = &mut loaded(&mut self.log)?.segments;
        segments.usable()?;
        if base != segments.revision() {
            return Ok(Commit::Conflict);
        }
        if !follow(base, changes) {
            return Err(StoreError::Unsuited(format!(
                "changes that do not follow revision {base} one by one cannot be kept"
            )));
        }
        segments.append(changes)?;
        if self.options.durability == Durability::Always {
            segments.sync()?;
        }
        Ok(Commit::Done)
    }

    fn changes(&mut self, after: Revision) -> Result<Vec<Change>, StoreError> {
        let segments = &loaded(&mut self.log)?.segments;
        segments.usable()?;
        if after >= segments.revision() {
            return Ok(Vec::new());
        }
        contents::changes(&self.folder, after, CHANGES_BYTES)
    }

    fn tend(&mut self, packages: &dyn Packages) -> Result<bool, StoreError> {
        let Some(log) = &mut self.log else {
            return Ok(false);
        };
        log.sync_when_due(&self.options)?;
        if Instant::now() < log.resting_until {
            return Ok(false);
        }
        let kept = log.keep_house(&self.folder, &self.options, packages);
        if kept.is_err() {
            log.resting_until = Instant::now() + self.options.retry_pause;
        }
        kept
    }

    fn check(&mut self, repair: bool) -> Result<Vec<Finding>, StoreError> {
        self.discard_draft();
        check::check(&self.folder, repair)
    }
}

impl Drop for LogStore {
    fn drop(&mut self) {
        self.discard_draft();
        let Some(log) = &mut self.log else { return };
        if let Err(error) = log.segments.sync() {
            tracing::warn!(%error, "the newest changes may not be on the disk");
        }
    }
}

fn loaded(log: &mut Option<Log>) -> Result<&mut Log, StoreError> {
    log.as_mut()
        .ok_or_else(|| StoreError::Unsuited("the log must be loaded before it is used".to_owned()))
}

/// Whether the revisions of `changes` follow `base` one by one.
fn follow(base: Revision, changes: &[Change]) -> bool {
    let expected = std::iter::successors(Some(base.next()), |revision| Some(revision.next()));
    changes
        .iter()
        .map(|change| change.revision)
        .eq(expected.take(changes.len()))
}

impl Log {
    fn sync_when_due(&mut self, options: &LogOptions) -> Result<(), StoreError> {
        self.segments.usable()?;
        let Durability::Interval(interval) = options.durability else {
            return Ok(());
        };
        if self.synced_at.elapsed() < interval {
            return Ok(());
        }
        self.synced_at = Instant::now();
        self.segments.sync()
    }

    /// One piece of everything that is to be done. Returns whether there is more.
    fn keep_house(
        &mut self,
        folder: &Folder,
        options: &LogOptions,
        packages: &dyn Packages,
    ) -> Result<bool, StoreError> {
        if self.segments.last_bytes() > options.segment_bytes {
            self.segments.rotate()?;
        }
        let has_prepared =
            options.durability == Durability::Always && self.segments.prepare(options.prepared_bytes)?;
        let has_drafted = match self.draft.take() {
            Some(draft) => self.go_on(draft, folder, packages)?,
            None => self.begin_when_due(folder, options, packages)?,
        };
        Ok(has_prepared || has_drafted)
    }

    fn begin_when_due(
        &mut self,
        folder: &Folder,
        options: &LogOptions,
        packages: &dyn Packages,
    ) -> Result<bool, StoreError> {
        let behind = self.segments.older_bytes() + self.segments.last_bytes();
        if behind <= options.snapshot_after_bytes.max(self.snapshot_bytes * 2) {
            return Ok(false);
        }
        self.segments.rotate()?;
        let start = self.segments.revision();
        self.draft = Some(Draft::begin(
            folder,
            start,
            self.segments.older_bytes(),
            packages,
        )?);
        Ok(true)
    }

    fn go_on(
        &mut self,
        mut draft: Draft,
        folder: &Folder,
        packages: &dyn Packages,
    ) -> Result<bool, StoreError> {
        if draft.is_void(packages) {
            draft.discard(folder);
            return Ok(false);
        }
        let done = match draft.needed() {
            None => draft.advance(folder, packages).map(|()| true),
            Some(needed) if needed > self.segments.revision() => Ok(false),
            Some(_) => return self.install(draft, folder),
        };
        match done {
            Ok(_) => self.draft = Some(draft),
            Err(_) => draft.discard(folder),
        }
        done
    }

    /// What the snapshot needs must be on the disk before it takes the place of what was there.
    fn install(&mut self, mut draft: Draft, folder: &Folder) -> Result<bool, StoreError> {
        self.segments.sync()?;
        if let Err(error) = draft.publish(folder) {
            draft.discard(folder);
            return Err(error);
        }
        folder.sync_names()?;
        self.snapshot_bytes = draft.length();
        self.segments.forget_older(draft.replaced_bytes);
        tracing::info!(revision = %draft.start(), bytes = draft.length(), "a snapshot is written");
        recovery::remove_leftovers(folder, &contents::Files::of(folder)?)?;
        Ok(false)
    }
}
