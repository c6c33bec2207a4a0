//! The log of one run: lines in, one file and any number of live readers out.
//!
//! A [`Writer`] takes what a process writes, in large pieces, splits it into lines, stamps and limits them, masks secrets, and appends them to one file. Readers
//! ([`Log::follow`]) read the same lines from memory while the run goes on, and from the file what is no longer there; so a slow one misses nothing and never slows
//! the writer. No line is a task, a message or a row of a database.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let now = std::time::SystemTime::now();
//! use runlog::{LogLimits, Logs, Stream};
//!
//! let logs = Logs::open(folder.path())?;
//! let writer = logs.begin("run-1", LogLimits::default(), &["s3cret-word"])?;
//! let mut follow = writer.log().follow(0);
//! writer.write(Stream::Stdout, b"logged in with s3cret-", now)?;
//! writer.write(Stream::Stdout, b"word\n20 rows", now)?;
//! writer.finish(now)?;
//!
//! let mut texts = Vec::new();
//! while let Some(lines) = follow.next().await? {
//!     texts.extend(lines.into_iter().map(|line| line.text));
//! }
//! assert_eq!(texts, ["logged in with ****", "20 rows"]);
//! # Ok(())
//! # }
//! ```
//!
//! *Files*: `NAME.log` while a log is written, text that any program can read; `NAME.log.zst` when it is over. A process may be killed at any moment: the log
//! can be read and gone on with, up to the line that was being written.
//!
//! *Lines* end with a line feed. What follows a carriage return replaces what stood before it, so of a progress bar the last state stays. Terminal sequences are
//! removed, control characters shown as pictures, what is not UTF-8 replaced.
//!
//! *Masking* is a safety net, not a wall: a program that hides a secret on purpose (reversed, or a letter a line) prints it.

mod error;
mod line;
mod log;
mod logs;
mod mask;
mod packed;
mod page;
mod plain;
mod record;
mod split;
mod text;
mod writer;

pub use crate::error::LogError;
pub use crate::line::{Line, Stream};
pub use crate::log::{Follow, Log};
pub use crate::logs::Logs;
pub use crate::writer::{LogLimits, Summary, Writer};
