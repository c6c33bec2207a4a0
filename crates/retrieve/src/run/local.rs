use std::fs::File as Disk;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;
use std::task::{Context, Poll};

use super::Run;
use super::fetch::Ended;
use super::receive::{Body, Received, Receiver};
use super::span::{Shape, Span};
use crate::answer::{Failure, Remedy};
use crate::entry::FileMeta;
use crate::error::{Error, ErrorKind};
use crate::location::Location;

/// A file of this machine, read at any place.
struct Local(Disk);

impl Body for Local {
    fn poll_read(
        &mut self,
        _cx: &mut Context<'_>,
        position: u64,
        room: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.0.read_at(room, position))
    }
}

impl Run {
    /// Reads a range of a local file.
    pub(super) async fn read_local(self: &Arc<Self>, span: &Span) -> Result<Ended, Failure> {
        let file = &span.job.file;
        let meta = file.meta();
        let path = meta.location.key();
        let disk = Disk::open(path).map_err(|error| unreadable(&meta.location, error))?;
        let found = disk
            .metadata()
            .map_err(|error| unreadable(&meta.location, error))?;
        if found.is_dir() {
            let text = format!("{path}: this is a folder: end the address with / to have what is in it");
            return Err(Error::new(ErrorKind::Invalid, text).into());
        }
        span.head_came();
        let tag = tag(&found);
        if span.job.shape == Shape::Discovery {
            let end = meta.range.end.min(found.len());
            let meta = FileMeta {
                size: Some(found.len()),
                range: meta.range.start.min(end)..end,
                etag: Some(tag),
                last_modified: found.modified().ok(),
                ..FileMeta::clone(&meta)
            };
            return Ok(self.begin_discovered(span, meta));
        }
        let is_other = meta.size.is_some_and(|size| size != found.len())
            || meta.etag.as_ref().is_some_and(|etag| *etag != tag)
            || meta
                .last_modified
                .is_some_and(|time| found.modified().ok() != Some(time));
        if is_other {
            let text = format!("{path}: it was changed while it was read");
            return Err(Failure::new(ErrorKind::Changed, Remedy::BeginAnew, text));
        }
        let receiver = Receiver::new(self, span);
        let mut body = Local(disk);
        if span.job.shape == Shape::Whole {
            if let Some((buffer, length)) = receiver.whole(&mut body).await? {
                self.take_whole(span, buffer, length).await;
                return Ok(Ended::Done);
            }
            return Ok(Ended::Stopped);
        }
        match receiver.parts(&mut body).await? {
            Received::All | Received::End => Ok(Ended::Done),
            Received::Stopped => Ok(Ended::Stopped),
        }
    }

    /// A discovery that brought no bytes: all of the file is still to be planned.
    fn begin_discovered(self: &Arc<Self>, span: &Span, meta: FileMeta) -> Ended {
        let file = &span.job.file;
        let goes_on = self.begin(file, meta, None);
        self.queue().settle(file, span.job.cost, 0);
        if goes_on {
            self.queue().offer(file);
            self.dispatch();
        }
        span.skip_rest();
        Ended::Done
    }
}

fn tag(found: &std::fs::Metadata) -> String {
    format!(
        "\"{:x}-{:x}-{:x}\"",
        found.ino(),
        found.mtime(),
        found.mtime_nsec()
    )
}

fn unreadable(location: &Location, error: io::Error) -> Failure {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied => ErrorKind::Permission,
        _ => ErrorKind::Disk,
    };
    Error::new(kind, format!("{location}: it cannot be read: {error}"))
        .caused_by(error)
        .into()
}
