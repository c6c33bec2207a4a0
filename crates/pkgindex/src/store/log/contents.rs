//! What the folder of a log holds: which files count, and everything in them, looked at from the first to the last byte.

use std::path::PathBuf;

use crate::change::{Change, Revision};
use crate::command::Malformed;
use crate::latest::Latest;
use crate::store::StoreError;
use crate::store::log::folder::{Folder, Kind};
use crate::store::log::reading::{Frames, HEADER_BYTES, SEGMENT, SNAPSHOT};
use crate::store::record;

/// The files of a log, by what they are good for.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// The newest one. Older ones do not count, nor do segments that begin before it ends.
    pub(super) snapshot: Revision,
    pub(super) has_snapshot: bool,
    /// Where the segments behind the snapshot begin, in order.
    pub(super) segments: Vec<Revision>,
    /// What nobody needs any more: a crash came before it was finished or removed.
    pub(super) leftovers: Vec<PathBuf>,
}

/// What was found in them.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// The newest revision.
    pub(super) revision: Revision,
    pub(super) snapshot_bytes: u64,
    /// Bytes of changes in all segments but the last.
    pub(super) older_bytes: u64,
    pub(super) last: Last,
}

/// How the last segment ends.
#[derive(Debug, Default)]
pub(super) struct Last {
    pub(super) first: Revision,
    /// Behind its last whole frame.
    pub(super) position: u64,
    pub(super) file_bytes: u64,
    /// What stands behind that and is no frame, without zeros at the end.
    pub(super) torn: Vec<u8>,
}

/// Decides whether reading goes on behind damage.
pub(super) type OnDamage<'d> = &'d mut dyn FnMut(StoreError) -> Result<(), StoreError>;

impl Files {
    pub(super) fn of(folder: &Folder) -> Result<Self, StoreError> {
        let found = folder.list()?;
        let newest = |(kind, _): &(Kind, PathBuf)| match kind {
            Kind::Snapshot(revision) => Some(*revision),
            _ => None,
        };
        let snapshot = found.iter().filter_map(newest).max();
        let mut files = Self {
            snapshot: snapshot.unwrap_or_default(),
            has_snapshot: snapshot.is_some(),
            ..Self::default()
        };
        for (kind, path) in found {
            match kind {
                Kind::Segment(first) if first > files.snapshot => files.segments.push(first),
                Kind::Snapshot(revision) if revision == files.snapshot => {}
                Kind::Torn(first) if first > files.snapshot => {}
                Kind::Segment(_) | Kind::Snapshot(_) | Kind::Torn(_) | Kind::Partial => {
                    files.leftovers.push(path);
                }
                Kind::Foreign => {}
            }
        }
        Ok(files)
    }

    /// Whether nothing was ever kept here.
    pub(super) fn are_none(&self) -> bool {
        self.segments.is_empty() && !self.has_snapshot
    }

    /// Reads everything into `latest`.
    pub(super) fn read(
        &self,
        folder: &Folder,
        latest: &mut Latest,
        on_damage: OnDamage,
    ) -> Result<Contents, StoreError> {
        let mut contents = Contents {
            revision: self.snapshot,
            ..Contents::default()
        };
        let mut needed = self.snapshot;
        if self.has_snapshot {
            match read_snapshot(folder, self.snapshot, latest) {
                Ok((revision, bytes)) => (needed, contents.snapshot_bytes) = (revision, bytes),
                Err(error) => on_damage(error)?,
            }
        }
        for (at, &first) in self.segments.iter().enumerate() {
            if first != contents.revision.next() {
                on_damage(missing(contents.revision, Revision(first.0 - 1)))?;
            }
            let following = self.segments.get(at + 1);
            match read_segment(folder, first, following.is_none(), latest) {
                Ok((revision, last)) => {
                    contents.revision = revision;
                    let older = std::mem::replace(&mut contents.last, last);
                    contents.older_bytes += older.position.saturating_sub(HEADER_BYTES);
                }
                Err(error) => {
                    on_damage(error)?;
                    contents.revision = following.map_or(first, |next| Revision(next.0 - 1));
                }
            }
        }
        if contents.revision < needed || (self.has_snapshot && self.segments.is_empty()) {
            on_damage(missing(contents.revision, needed))?;
        }
        Ok(contents)
    }
}

fn missing(reached: Revision, needed: Revision) -> StoreError {
    StoreError::Damaged(format!(
        "the log ends at revision {reached}, though other files need the changes behind it, up to revision {needed}: \
         a file is missing or damaged; run `haul pkgindex check` to see all that is damaged, then bring the folder back from a copy"
    ))
}

/// Returns the revision that must be reached for the snapshot to be right, and its length.
fn read_snapshot(
    folder: &Folder,
    revision: Revision,
    latest: &mut Latest,
) -> Result<(Revision, u64), StoreError> {
    let mut frames = Frames::open(&folder.snapshot(revision), SNAPSHOT, revision)?;
    while let Some(frame) = frames.next()? {
        if frame.changes.is_empty() && frames.offset() == frames.end() {
            return Ok((frame.settled, frames.end()));
        }
        for piece in frame.changes {
            apply(latest, &piece, &frames)?;
        }
    }
    Err(frames.damaged("is not a whole snapshot"))
}

/// Returns the newest revision, and how the segment ends.
fn read_segment(
    folder: &Folder,
    first: Revision,
    is_last: bool,
    latest: &mut Latest,
) -> Result<(Revision, Last), StoreError> {
    let mut frames = Frames::open(&folder.segment(first), SEGMENT, first)?;
    let mut expected = first;
    while let Some(frame) = frames.next()? {
        for change in frame.changes {
            if change.revision != expected {
                return Err(frames.damaged(&format!(
                    "has revision {} where {expected} must stand",
                    change.revision
                )));
            }
            apply(latest, &change, &frames)?;
            expected = expected.next();
        }
    }
    let torn = frames.rest()?;
    // A crash can only tear what was not yet on the disk. What is followed by a frame that says that it was there is damage.
    if !torn.is_empty() && (!is_last || record::proves_kept(&torn, expected)) {
        return Err(frames.damaged("holds something that is no whole record, before others that are"));
    }
    let last = Last {
        first,
        position: frames.offset(),
        file_bytes: frames.end(),
        torn,
    };
    Ok((Revision(expected.0 - 1), last))
}

fn apply(latest: &mut Latest, change: &Change, frames: &Frames) -> Result<(), StoreError> {
    let no_command =
        |malformed: Malformed| frames.damaged(&format!("holds a line that is no command ({malformed})"));
    latest.apply(&change.lines).map_err(no_command)
}

/// Kept changes behind `after`, up to about `limit` bytes.
pub(super) fn changes(folder: &Folder, after: Revision, limit: usize) -> Result<Vec<Change>, StoreError> {
    let segments = Files::of(folder)?.segments;
    let begins = segments.partition_point(|&first| first <= after.next());
    let Some(begins) = begins.checked_sub(1) else {
        return Err(StoreError::TooOld(after));
    };
    let (mut found, mut bytes) = (Vec::new(), 0);
    for &first in &segments[begins..] {
        let mut frames = Frames::open(&folder.segment(first), SEGMENT, first)?;
        while let Some(frame) = frames.next()? {
            let behind = frame.changes.into_iter().filter(|change| change.revision > after);
            found.extend(behind.inspect(|change| bytes += change.lines.len()));
            if bytes > limit {
                return Ok(found);
            }
        }
    }
    Ok(found)
}
