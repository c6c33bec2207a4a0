//! Many objects out of S3, other buckets, the web or a disk: in parallel, in order, in bounded memory, with hooks.
//!
//! ```text
//! DownloadRequest -> FileListGenerator -> FileChunker -> ParallelChunkDownloader -> ChunkSequencer -> reader
//!  s3:// gs:// az://   many LISTs side      ranges, in      many connections,          in order        and, or
//!  https:// file://    by side, in key      delivery        pooled buffers                             folder
//!  glob, manifest      order                order
//! ```
//!
//! A [`DownloadRequest`] says what is wanted: objects, prefixes, globs, manifests. A [`Retriever`] gets it:
//! [`Retriever::save`] into a folder, [`Retriever::read`] as [`Files`], an iterator of [`FileReader`]s, which are
//! iterators of bytes (both are also asynchronous), [`Retriever::read_and_save`] as both, [`Retriever::list`] only the
//! names. [`Options`] has a sentence for each setting; without any it finds its own speed. [`Control`] steers a run while
//! it goes, [`Stats`] are its figures, and a [`Report`] says how it ended. [`hooks`] see and decide on the way;
//! [`profile`] measures run and machine.
//!
//! # What holds
//!
//! - *Memory*: bytes that wait for a reader or are on their way to one are never more than
//!   [`Options::memory_bytes`]; ranges are begun in the order of delivery, so the next byte is always on its way. What
//!   hooks keep, such as the window of a decompression, is their own.
//! - *Order*: the bytes of a file come in theirs; files in that of the request or of completion ([`Order`]).
//! - *Never a wrong file*: all ranges of a file are of one version (`If-Match`, and the entity tag of every answer); lengths
//!   and `Content-Range` are checked, and the checksum of the whole where the server declares one; a file gets its name
//!   when all of that is done, in one step. A reader learns of damage by an error instead of the end.
//! - *Every file ends once*, in one [`Outcome`]; a run whose [`Report::is_complete`] is false has not got everything.
//! - *Resume*: what a run that saves has got stays when it is cut off, and the next one of the same object goes on
//!   there. Files that an ordered hook rewrites begin anew, and so does what is read.
//! - *Failures* are tried again where that may help, with pauses that grow and are drawn; there is no limit on the time of
//!   a whole file, only on silence ([`Options::stall`]). [`ErrorKind`] is for programs, the message says what to do.
//! - *Keys are text*: any UTF-8 as a key of S3. What would lead out of the folder, or onto another file of the run, fails.
//!
//! # Example
//!
//! ```
//! use retrieve::{DownloadRequest, Hooks, Options, Retriever};
//!
//! # let folder = tempfile::tempdir()?;
//! # let (from, to) = (folder.path().join("from"), folder.path().join("to"));
//! # std::fs::create_dir(&from)?;
//! # std::fs::write(from.join("one.txt"), "first")?;
//! # std::fs::write(from.join("two.txt"), "second")?;
//! # let address = format!("file://{}/*.txt", from.display());
//! // Here `address` is file:///.../*.txt; s3://bucket/data/*.txt works alike.
//! let retriever = Retriever::new(Options::default())?;
//! let request = DownloadRequest::new(&address)?.options(std::env::vars());
//!
//! // Into a folder:
//! let report = retriever.save(request.clone(), &to, Hooks::default())?.wait();
//! for (file, error) in &report.failed {
//!     println!("{}: {error}", file.name);
//! }
//! assert!(report.is_complete());
//! assert_eq!(std::fs::read_to_string(to.join("two.txt"))?, "second");
//!
//! // Or piece by piece, in order:
//! let mut text = Vec::new();
//! for file in retriever.read(request, Hooks::default())? {
//!     let file = file.map_err(|(_, error)| error)?;
//!     for piece in file {
//!         text.extend_from_slice(&piece?);
//!     }
//! }
//! assert_eq!(text, b"firstsecond");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answer;
mod buffers;
mod checksum;
mod control;
mod entry;
mod error;
pub mod hooks;
mod landing;
mod list;
mod location;
mod options;
mod outcome;
pub mod profile;
mod request;
mod retriever;
mod run;
mod sources;
mod stats;
mod store;
mod wire;

pub use crate::control::Control;
pub use crate::entry::{Algorithm, Declared, Entry, FileMeta};
pub use crate::error::{Error, ErrorKind};
pub use crate::hooks::Hooks;
pub use crate::location::{Location, Scheme};
pub use crate::options::{OnChange, Options, Order};
pub use crate::outcome::{Done, FileEnd, Outcome, Report};
pub use crate::request::{DownloadRequest, Source};
pub use crate::retriever::{Entries, Retriever, Saving};
pub use crate::run::{FileReader, Files};
pub use crate::stats::Stats;

/// Its examples are compiled with those of this documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
