//! The changes: one file per commit.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::change::{Change, Revision};
use crate::store::shared_disk::{disk, sealed};
use crate::store::{Commit, StoreError};

const KIND: &str = "haul-changes";

/// Commits as files, each named by the first revision in it, so that two commits on the same base want the same name.
pub(super) struct History {
    folder: PathBuf,
    /// What this server writes before it has a name.
    draft: PathBuf,
}

impl History {
    pub(super) fn new(folder: PathBuf) -> Self {
        let draft = folder.join(format!(".{:016x}", disk::random()));
        Self { folder, draft }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn path(&self, first: Revision) -> PathBuf {
        self.folder.join(format!("{:020}", first.0))
    }

    /// Keeps changes that follow `base`, unless somebody has changes there.
    ///
    /// What decides is what stands under the name afterwards, not what the system says of the link: over NFS an answer may get lost, and
    /// the question that is sent again finds the link that it made.
    pub(super) fn append(&self, base: Revision, changes: &[Change]) -> Result<Commit, StoreError> {
        let path = self.path(base.next());
        let text = sealed::seal(KIND, &body(changes));
        disk::write_synced(&self.draft, &text)?;
        let linked = fs::hard_link(&self.draft, &path).map_err(disk::failed("cannot make", &path));
        disk::remove(&self.draft)?;
        match disk::read(&path)? {
            Some(found) if found == text => {
                disk::sync_folder(&self.folder)?;
                Ok(Commit::Done)
            }
            Some(_) => Ok(Commit::Conflict),
            None => linked.map(|()| Commit::Conflict),
        }
    }

    /// The commit that begins with revision `first`, or `None` when there is none.
    pub(super) fn read(&self, first: Revision) -> Result<Option<Vec<Change>>, StoreError> {
        let path = self.path(first);
        let Some(text) = disk::read(&path)? else {
            return Ok(None);
        };
        let changes = sealed::unseal(KIND, &text).and_then(|body| parse(first, body));
        match changes {
            Some(changes) => Ok(Some(changes)),
            None => Err(StoreError::Damaged(format!(
                "{} is damaged; run `check`",
                path.display()
            ))),
        }
    }

    /// What follows `after`, which is within a commit.
    pub(super) fn rest(&self, after: Revision) -> Result<Vec<Change>, StoreError> {
        let first = self.firsts()?.into_iter().rfind(|&first| first <= after);
        let changes = match first {
            Some(first) => self.read(first)?.unwrap_or_default(),
            None => Vec::new(),
        };
        Ok(changes
            .into_iter()
            .filter(|change| change.revision > after)
            .collect())
    }

    /// The first revisions of all commits that are there, in order.
    pub(super) fn firsts(&self) -> Result<Vec<Revision>, StoreError> {
        let paths = disk::list(&self.folder)?;
        let mut firsts: Vec<_> = paths
            .iter()
            .filter_map(|path| disk::last_name(path).parse().ok().map(Revision))
            .collect();
        firsts.sort_unstable();
        Ok(firsts)
    }

    pub(super) fn remove(&self, first: Revision) -> Result<(), StoreError> {
        disk::remove(&self.path(first))
    }

    /// Waits until no crash can take back what was read: whoever made a commit may not have come so far.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        disk::sync_folder(&self.folder)
    }

    /// Tries whether the file system can do what [`History::append`] rests on.
    pub(super) fn probe(&self) -> Result<(), StoreError> {
        let linked = self.draft.with_extension("linked");
        disk::write_synced(&self.draft, b"")?;
        let result = fs::hard_link(&self.draft, &linked);
        disk::remove(&self.draft)?;
        disk::remove(&linked)?;
        result.map_err(|error| {
            StoreError::Unsuited(format!(
                "{} has no hard links, without which two servers may both think that they have committed: {error}; \
                 use a local file system or NFS, or another store",
                self.folder.display()
            ))
        })
    }
}

fn body(changes: &[Change]) -> Vec<u8> {
    let mut body = Vec::new();
    for change in changes {
        let head = format!(
            "{} {:016x} {}\n",
            change.revision,
            change.origin,
            change.lines.len()
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(&change.lines);
    }
    body
}

fn parse(first: Revision, mut body: Bytes) -> Option<Vec<Change>> {
    let mut changes = Vec::new();
    let mut revision = first;
    while !body.is_empty() {
        let (head, rest) = sealed::split_line(&body)?;
        let mut numbers = head.split(' ');
        let is_next = numbers.next()?.parse() == Ok(revision.0);
        let origin = u64::from_str_radix(numbers.next()?, 16).ok()?;
        let length: usize = numbers.next()?.parse().ok()?;
        if !is_next || length > rest.len() {
            return None;
        }
        let lines = rest.slice(..length);
        changes.push(Change {
            revision,
            origin,
            lines,
        });
        revision = revision.next();
        body = rest.slice(length..);
    }
    (!changes.is_empty()).then_some(changes)
}
