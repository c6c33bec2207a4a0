//! Foreign descriptions of packages, read as INDEX lines for one [`Index::batch`](crate::Index::batch), and the index's own dump.
//!
//! | reader | reads | an edge is |
//! |---|---|---|
//! | [`read_dump`] | what [`write_dump`] has written | what it was |
//! | [`read_debian`] | `Packages` of a Debian archive, as `apt-cache dumpavail` prints it | for each clause of `Pre-Depends` and `Depends`, the package that an installer would choose |
//! | [`read_crates`], [`read_crates_folder`] | the index of crates.io | a normal or build dependency that is not optional |
//!
//! Input is read as a stream, once, and may be compressed with gzip, which is seen by its first byte. What it describes need not be
//! complete: dependencies on what is nowhere in it are left out and counted in the [`Report`], as every edge of a batch has two ends.

mod crates_io;
mod debian;
mod dump;
mod entries;
mod input;

use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use thiserror::Error;

use crate::change::Revision;
use crate::command::Malformed;
use crate::name::NameError;

pub use crates_io::{read_crates, read_crates_folder};
pub use debian::read_debian;
pub use dump::{read_dump, write_dump};

/// The longest line of a foreign file, and the longest field of several lines, in bytes.
pub const MAX_FIELD_BYTES: usize = 4 << 20;

/// The longest line of a dump, in bytes: a package with a million dependencies, all with the longest names.
pub const MAX_DUMP_LINE_BYTES: usize = 256 << 20;

/// The most that is kept of one input, in bytes: names, edges and the lines that are made of them.
pub const MAX_KEPT_BYTES: usize = 1 << 30;

/// The most unresolved names that a [`Report`] lists.
pub const MAX_UNRESOLVED_LISTED: usize = 20;

/// What was read.
#[derive(Clone, Debug)]
pub struct Read {
    /// INDEX lines, by name, each with its newline, for one [`Index::batch`](crate::Index::batch).
    pub lines: Bytes,
    /// What is in them and what is not.
    pub report: Report,
}

/// Counts of what was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The revision of a dump; other formats have none.
    pub revision: Option<Revision>,
    /// Packages in the lines.
    pub packages: usize,
    /// Edges in the lines, each once.
    pub edges: usize,
    /// Dependencies that were left out, because what they name is nowhere in the input.
    pub unresolved: usize,
    /// The first of their names by name, at most [`MAX_UNRESOLVED_LISTED`].
    pub unresolved_names: Vec<String>,
}

/// Why an input cannot be read.
#[derive(Debug, Error)]
pub enum FormatError {
    /// What the input says is not what it should.
    #[error("line {line}: {fault}")]
    Line {
        /// Counted from one.
        line: u64,
        /// What is wrong.
        #[source]
        fault: Fault,
    },
    /// The input cannot be read or decompressed.
    #[error("the input cannot be read behind line {line}: {source}")]
    Io {
        /// The last line that was read.
        line: u64,
        /// What the system said.
        source: io::Error,
    },
    /// One of the files of a folder cannot be read.
    #[error("{}: {source}", file.display())]
    File {
        /// Which one.
        file: PathBuf,
        /// Why.
        source: Box<FormatError>,
    },
}

/// What is wrong with a line.
#[derive(Debug, Error)]
pub enum Fault {
    /// It is longer than so many bytes, or a field of several lines is.
    #[error("it is longer than {0} bytes")]
    TooLong(usize),
    /// With it the input has more than [`MAX_KEPT_BYTES`] worth keeping.
    #[error("the input has more than {MAX_KEPT_BYTES} bytes of names and dependencies; load it in parts")]
    TooLarge,
    /// It is not text.
    #[error("it is not UTF-8")]
    Encoding,
    /// A package has a name that no package can have.
    #[error("`{name}` is no name: {source}")]
    Name {
        /// What stands there.
        name: String,
        /// What is wrong with it.
        source: NameError,
    },
    /// It is not the first line of a dump.
    #[error("a dump begins with `pkgindex dump 1 revision NUMBER packages NUMBER`")]
    Header,
    /// It is no INDEX line of a dump.
    #[error("a dump has INDEX lines only: {0}")]
    Command(#[from] Malformed),
    /// It is a line of the protocol, but not INDEX.
    #[error("a dump has INDEX lines only")]
    Verb,
    /// It does not come behind the line before it.
    #[error("the packages of a dump are in the order of their names, each once")]
    Order,
    /// The dump ends too early.
    #[error("the dump ends without its last line; it was cut off")]
    Cut,
    /// The last line of a dump does not fit the others.
    #[error("the checksum or the number of packages is not that of the dump; it was changed")]
    Checksum,
    /// A dump goes on behind its last line.
    #[error("something follows the last line of the dump")]
    Trailing,
    /// Not a `Field: value`.
    #[error(
        "a paragraph has lines `Field: value`, and its longer values go on in lines that begin with a space"
    )]
    Field,
    /// A paragraph has a field twice.
    #[error("the paragraph has this field already")]
    Repeated,
    /// A paragraph of a `Packages` file does not say what it describes.
    #[error("the paragraph that ends here has no field `Package`")]
    NoPackage,
    /// Not a line of the crates.io index.
    #[error("it does not describe a version of a crate: {0}")]
    Json(#[from] serde_json::Error),
    /// A version of a crate is none.
    #[error("the version is none: {0}")]
    Version(#[from] semver::Error),
}

impl Fault {
    /// For `map_err`: this, found in that line.
    fn at(line: u64) -> impl Fn(Self) -> FormatError {
        move |fault| FormatError::Line { line, fault }
    }
}
