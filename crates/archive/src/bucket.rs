//! Objects of a bucket, fetched over many connections.

use std::ops::Range;
use std::path::Path;

use bytes::Bytes;
use retrieve::{DownloadRequest, Entry, Error, ErrorKind, Hooks, Location, Options, Retriever, Source};

use crate::bundle::Part;

/// Parts of one object that are nearer than this are fetched together, with what lies between them: another request
/// would take longer.
const NEAR_BYTES: u64 = 256 << 10;

/// A bucket prefix.
pub(crate) struct Bucket {
    retriever: Retriever,
    options: Vec<(String, String)>,
    /// Where keys begin: empty, or ending in `/`.
    prefix: Location,
}

/// What could not be fetched, and why.
pub(crate) struct FetchError {
    pub(crate) object: String,
    pub(crate) source: Error,
}

impl Bucket {
    pub(crate) fn open(address: &str, options: Vec<(String, String)>) -> Result<Self, Error> {
        let place = Location::parse(address)?;
        let folder = place.key().trim_matches('/');
        let prefix = match folder {
            "" => place.with_key(""),
            folder => place.with_key(format!("{folder}/")),
        };
        Ok(Self {
            retriever: Retriever::new(Options::default())?,
            options,
            prefix,
        })
    }

    fn entry(&self, object: &str) -> Entry {
        let key = format!("{}{object}", self.prefix.key());
        Entry::new(self.prefix.with_key(key))
    }

    fn request(&self, entries: impl Iterator<Item = Entry>) -> DownloadRequest {
        let empty = DownloadRequest::default().options(self.options.iter().cloned());
        entries.fold(empty, |request, entry| request.with(Source::Object(entry)))
    }

    /// Saves an object as a file.
    pub(crate) async fn save(&self, object: &str, to: &Path) -> Result<(), FetchError> {
        let failed = |source| FetchError {
            object: object.to_owned(),
            source,
        };
        let request = self.request(std::iter::once(self.entry(object)));
        let saving = self
            .retriever
            .save_as(request, to, Hooks::default())
            .map_err(failed)?;
        let report = saving.finished().await;
        let failure = report
            .failed
            .first()
            .map(|(_, error)| error)
            .or(report.error.as_ref());
        match failure {
            Some(error) => Err(failed(error.clone())),
            None => Ok(()),
        }
    }

    /// The bytes of each part, in their order: in few requests, many at a time.
    pub(crate) async fn ranges(&self, parts: &[Part]) -> Result<Vec<Bytes>, FetchError> {
        let runs: Vec<&[Part]> = parts.chunk_by(near).collect();
        let entries = runs.iter().filter_map(|run| {
            let range = spanned(run);
            run.first().map(|first| Entry {
                range: Some(range),
                ..self.entry(&first.object)
            })
        });
        let object = |index: usize| {
            runs.get(index)
                .and_then(|run| run.first())
                .map_or("", |part| &part.object)
        };
        let failed = |index: usize, source: Error| FetchError {
            object: object(index).to_owned(),
            source,
        };
        let request = self.request(entries);
        let mut files = self
            .retriever
            .read(request, Hooks::default())
            .map_err(|error| failed(0, error))?;
        let mut all = Vec::with_capacity(parts.len());
        for (index, run) in runs.iter().enumerate() {
            let file = files.next_file().await;
            let mut file = file
                .ok_or_else(|| failed(index, gone()))?
                .map_err(|(_, error)| failed(index, error))?;
            let range = spanned(run);
            let bytes = file.read_to_end(range.end - range.start).await;
            let bytes = Bytes::from(bytes.map_err(|error| failed(index, error))?);
            for part in *run {
                let place =
                    (part.range.start - range.start) as usize..(part.range.end - range.start) as usize;
                if place.end > bytes.len() {
                    return Err(failed(index, gone()));
                }
                all.push(bytes.slice(place));
            }
        }
        Ok(all)
    }
}

/// Whether one request should fetch both.
fn near(a: &Part, b: &Part) -> bool {
    a.object == b.object && b.range.start >= a.range.end && b.range.start - a.range.end <= NEAR_BYTES
}

fn spanned(run: &[Part]) -> Range<u64> {
    let start = run.first().map_or(0, |part| part.range.start);
    start..run.last().map_or(start, |part| part.range.end)
}

fn gone() -> Error {
    Error::new(ErrorKind::Damaged, "it is shorter than the key says")
}
