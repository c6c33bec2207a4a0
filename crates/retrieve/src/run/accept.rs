//! What an answer must be before its body is read: about the bytes that were asked for, of the object that the file began
//! with.

use http::header::{ETAG, LAST_MODIFIED};

use super::Run;
use super::chunker::is_strong;
use super::file::File;
use super::span::{Shape, Span};
use crate::answer::{Failure, Remedy};
use crate::error::ErrorKind;
use crate::wire::{ContentRange, Head};

impl Run {
    /// What a 206 brings: it must begin where it was asked to. Says the length of the object.
    pub(super) fn part(&self, span: &Span, head: &Head) -> Result<Option<u64>, Failure> {
        let file = &span.job.file;
        let range = &span.job.range;
        let wrong = |what: &str| {
            let text = format!("{}: the server sends {what}", file.entry.location);
            Failure::new(ErrorKind::Server, Remedy::Again, text)
        };
        let Some(ContentRange {
            part: Some(part),
            total,
        }) = head.content_range()
        else {
            return Err(wrong("a part and does not say which"));
        };
        if part.start != range.start || part.end > range.end || total.is_some_and(|total| part.end > total) {
            return Err(wrong("another part than it was asked for"));
        }
        if head
            .content_length()
            .is_some_and(|length| length != part.end - part.start)
        {
            return Err(wrong("another length than it says"));
        }
        if span.job.shape != Shape::Discovery {
            self.refuse_change(file, head, total)?;
            return Ok(total);
        }
        // The first answer is believed, so it must not contradict itself.
        match total {
            Some(total) if part.end == range.end.min(total) => Ok(Some(total)),
            None if part.end < range.end => Ok(Some(part.end)),
            Some(_) => Err(wrong("less than it was asked for")),
            None => Err(wrong("a part and does not say of how much")),
        }
    }

    /// What a 200 brings: all bytes, which is right only where the first one was asked for.
    pub(super) fn all(&self, span: &Span, head: &Head) -> Result<Option<u64>, Failure> {
        let file = &span.job.file;
        let size = head.content_length();
        if span.job.shape != Shape::Discovery {
            self.refuse_change(file, head, size)?;
        }
        let is_all = span.job.shape != Shape::Part || span.job.range.end >= file.meta().range.end;
        if is_all && (span.job.range.start == 0 || span.job.is_open) {
            return Ok(size);
        }
        let text = format!("{}: the server ignores ranges", file.entry.location);
        Err(Failure::new(ErrorKind::Server, Remedy::Again, text))
    }

    /// The object must be the one that the file began with.
    pub(super) fn refuse_change(&self, file: &File, head: &Head, size: Option<u64>) -> Result<(), Failure> {
        let meta = file.meta();
        let location = &meta.location;
        let etag = head.text(ETAG.as_str());
        let other_tag = match (is_strong(meta.etag.as_deref()), etag) {
            (true, Some(etag)) => Some(meta.etag.as_deref() != Some(etag)),
            _ => None,
        };
        let other_size = matches!((meta.size, size), (Some(a), Some(b)) if a != b);
        let other_time = other_tag.is_none()
            && matches!((meta.last_modified, modified(head)), (Some(a), Some(b)) if seconds(a) != seconds(b));
        if other_tag == Some(true) || other_time || (other_size && other_tag.is_none()) {
            let text = format!("{location}: it was overwritten while it was retrieved");
            return Err(Failure::new(ErrorKind::Changed, Remedy::BeginAnew, text));
        }
        if other_size {
            let text = format!("{location}: the server says another length than before");
            return Err(Failure::new(ErrorKind::Server, Remedy::Again, text));
        }
        Ok(())
    }
}

pub(super) fn modified(head: &Head) -> Option<std::time::SystemTime> {
    httpdate::parse_http_date(head.text(LAST_MODIFIED.as_str())?).ok()
}

/// Listings tell milliseconds, headers only seconds.
fn seconds(time: std::time::SystemTime) -> Option<u64> {
    Some(time.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs())
}
