use crawldb::ItemErrorKind;
use retrieve::hooks::{FileStart, StatefulHook};
use retrieve::{Entry, Error, ErrorKind, FileMeta, FileReader, Files, Hooks, Source};

use super::disk::{Disk, Read};
use super::listed::Said;
use super::{Bucket, BucketAccess, Store};
use crate::fetch::{Body, FetchError, Reply, Request, SNIFFED_BYTES, kept};

/// What a bucket calls an object of which nobody said what it is.
const BYTES: &str = "application/octet-stream";
const FOLDER: &str = "application/x-directory";
const GZIP: [u8; 2] = [0x1F, 0x8B];
/// Longer ones are not file extensions.
const MAX_EXTENSION_BYTES: usize = 10;

impl Bucket {
    /// Fetches the object of a URL: as a web server would answer, without a request where the listing told enough.
    pub(crate) async fn fetch(&self, request: &Request<'_>) -> Result<Reply, FetchError> {
        let Some(key) = self.address.key(request.url) else {
            let message = format!("no object of {} has this URL", self.address);
            return Err(FetchError::permanent(ItemErrorKind::Address, message));
        };
        let said = self.listed().take(request.url);
        if said.etag.is_some() && said.etag.as_deref() == request.etag {
            return Ok(unchanged(request));
        }
        if let Some(reply) = self.unwanted(&key, said.size, request) {
            return Ok(reply);
        }
        let access = match &self.store {
            Store::Remote(access) => access,
            Store::Disk(disk) => return self.read_file(disk, key, request).await,
        };
        let reading = self.read_newest(access, &key, said, request);
        let read = tokio::time::timeout(self.timeout, reading).await;
        match read {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(error)) => refused(&error),
            Err(_) => Err(FetchError::passing(
                ItemErrorKind::Timeout,
                "not the whole object in time",
            )),
        }
    }

    /// What an object is that is not fetched.
    fn unwanted(&self, key: &str, size: Option<u64>, request: &Request<'_>) -> Option<Reply> {
        if key.ends_with('/') {
            return Some(Reply::Unwanted(FOLDER.to_owned()));
        }
        let too_large = size.filter(|&size| size > request.max_bytes);
        let what = match too_large {
            Some(size) => Some(format!("{size} bytes")),
            None => (request.unwanted)(media_type(key), &[], request.url),
        };
        what.map(Reply::Unwanted)
    }

    /// Reads the object that was listed: what is known needs not be asked for. If it is another one by now, reads that.
    async fn read_newest(
        &self,
        access: &BucketAccess,
        key: &str,
        said: Said,
        request: &Request<'_>,
    ) -> Result<Reply, Error> {
        let unknown = Entry::new(self.address.folder().with_key(key));
        let listed = Entry {
            size: said.size,
            etag: said.etag.map(String::from),
            ..unknown.clone()
        };
        match self.read(access, key, listed, request).await {
            Err(error) if error.kind() == ErrorKind::Changed => {
                self.read(access, key, unknown, request).await
            }
            read => read,
        }
    }

    async fn read(
        &self,
        access: &BucketAccess,
        key: &str,
        entry: Entry,
        request: &Request<'_>,
    ) -> Result<Reply, Error> {
        let download = access.request(Source::Object(entry));
        let hooks = match request.etag {
            Some(etag) => Hooks::default().stateful(Unchanged {
                etag: etag.to_owned(),
            }),
            None => Hooks::default(),
        };
        let mut files = access.retriever.read(download, hooks)?;
        match files.next_file().await {
            Some(Ok(file)) => self.take(key, file, request).await,
            Some(Err((_, error))) => Err(error),
            None => unread(files, request).await,
        }
    }

    async fn read_file(&self, disk: &Disk, key: String, request: &Request<'_>) -> Result<Reply, FetchError> {
        let reading = disk.read(key.clone(), request.etag.map(str::to_owned), request.max_bytes);
        let late = || FetchError::passing(ItemErrorKind::Timeout, "not the whole file in time");
        let read = tokio::time::timeout(self.timeout, reading)
            .await
            .map_err(|_| late())??;
        let (bytes, etag) = match read {
            Read::File { bytes, etag } => (bytes, etag),
            Read::Unchanged => return Ok(unchanged(request)),
            Read::TooLarge(size) => return Ok(Reply::Unwanted(format!("{size} bytes"))),
            Read::Gone => return Ok(Reply::Gone(404)),
        };
        let content_type = media_type(&key);
        let is_gzip = bytes.starts_with(&GZIP);
        let sniffed = if is_gzip {
            &[]
        } else {
            &bytes[..bytes.len().min(SNIFFED_BYTES)]
        };
        if let Some(what) = (request.unwanted)(content_type, sniffed, request.url) {
            return Ok(Reply::Unwanted(what));
        }
        Ok(Reply::Page(Body {
            is_gzip,
            bytes,
            content_type: content_type.map(str::to_owned),
            etag: Some(etag),
            last_modified: None,
            robots_tags: Vec::new(),
        }))
    }

    async fn take(&self, key: &str, mut file: FileReader, request: &Request<'_>) -> Result<Reply, Error> {
        let meta = file.meta();
        if let Some(reply) = self.unwanted(key, meta.size, request) {
            return Ok(reply);
        }
        let content_type = media_type(key);
        let mut bytes = Vec::with_capacity(usize::try_from(meta.size.unwrap_or(0)).unwrap_or(0));
        let mut is_sniffed = false;
        while let Some(piece) = file.next_piece().await {
            bytes.extend_from_slice(&piece?);
            if bytes.len() as u64 > request.max_bytes {
                return Ok(Reply::Unwanted(format!("more than {} bytes", request.max_bytes)));
            }
            if !is_sniffed && bytes.len() >= SNIFFED_BYTES && !bytes.starts_with(&GZIP) {
                is_sniffed = true;
                if let Some(what) = (request.unwanted)(content_type, &bytes, request.url) {
                    return Ok(Reply::Unwanted(what));
                }
            }
        }
        Ok(Reply::Page(Body {
            is_gzip: bytes.starts_with(&GZIP),
            bytes,
            content_type: content_type.map(str::to_owned),
            etag: meta.etag.and_then(kept),
            last_modified: None,
            robots_tags: Vec::new(),
        }))
    }
}

/// Lets an object that has this entity tag still be.
struct Unchanged {
    etag: String,
}

impl StatefulHook for Unchanged {
    fn name(&self) -> &str {
        "unchanged"
    }

    fn is_quick(&self) -> bool {
        true
    }

    fn on_file_start(&mut self, meta: &FileMeta) -> FileStart {
        match meta.etag.as_deref() == Some(self.etag.as_str()) {
            true => FileStart::Skip,
            false => FileStart::Fetch,
        }
    }
}

fn unchanged(request: &Request<'_>) -> Reply {
    Reply::NotModified {
        etag: request.etag.map(str::to_owned),
        last_modified: None,
    }
}

/// Why a run brought no file: it was skipped, or the run itself failed.
async fn unread(files: Files, request: &Request<'_>) -> Result<Reply, Error> {
    let report = files.report().await;
    match &report.error {
        Some(error) => Err(error.clone()),
        None if report.stats.files_skipped > 0 => Ok(unchanged(request)),
        None => Err(Error::new(ErrorKind::Cancelled, "the object was not fetched")),
    }
}

/// What an error means for the item: the object is gone, or the attempt has failed for now or for good.
fn refused(error: &Error) -> Result<Reply, FetchError> {
    use ErrorKind as Kind;
    let (kind, retryable) = match error.kind() {
        Kind::NotFound => return Ok(Reply::Gone(404)),
        Kind::NoBucket | Kind::Denied | Kind::Invalid => (ItemErrorKind::Client, false),
        Kind::Unreachable => (ItemErrorKind::Connect, true),
        Kind::Server => (ItemErrorKind::Server, true),
        Kind::Stalled => (ItemErrorKind::Timeout, true),
        Kind::Damaged => (ItemErrorKind::Transfer, true),
        // It speaks against nobody: somebody wrote the object meanwhile.
        Kind::Changed => (ItemErrorKind::Content, true),
        _ => (ItemErrorKind::Internal, true),
    };
    Err(FetchError {
        kind,
        message: crate::patience::with_causes(error),
        retryable,
        retry_after: None,
    })
}

/// The media type that a name tells; none where it has no extension, so that the bytes have to tell.
fn media_type(key: &str) -> Option<&'static str> {
    let name = key.rsplit('/').next().unwrap_or(key);
    let (_, extension) = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty())?;
    let is_extension = extension.len() <= MAX_EXTENSION_BYTES
        && extension.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && extension.bytes().any(|byte| byte.is_ascii_alphabetic());
    match is_extension {
        true if extension.eq_ignore_ascii_case("pdf") => Some("application/pdf"),
        true => Some(BYTES),
        false => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_an_extension_tells_nothing() {
        for (key, told) in [
            ("a/page.html", Some(BYTES)),
            ("a.b/page", None),
            ("release-1.2", None),
            ("a/.hidden", None),
            ("Report.PDF", Some("application/pdf")),
            ("Mr. Smith went home", None),
            ("film.mp4", Some(BYTES)),
        ] {
            assert_eq!(media_type(key), told, "{key}");
        }
    }
}
