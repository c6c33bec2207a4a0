//! Where files come to lie: names, temporary files, the journal.
//!
//! A run opens its [`Destination`] once, as a [`Folder`]. Every entry [`claim`](Folder::claim)s its name there, which
//! touches no disk; then its bytes come in one of two ways:
//!
//! - [`Folder::begin`]: a [`Landing`] that many threads write at their offsets and that a later run can resume.
//! - [`Folder::stream`]: a [`Stream`] of bytes in their order, of unknown length, that is not resumed; a small
//!   file is one append.
//!
//! In both the bytes go to `.NAME.haul-partial` beside the target and a rename makes them the file, so that a
//! reader sees the old file or all of the new one. The partial file is locked while it is written: a second process
//! gets an error. A process may be killed at any point; what the journal (`.NAME.haul-journal`) names by then is not
//! fetched again. Nothing is flushed to the medium, so a power cut can take what the journal names; that is why it also
//! names the boot, and after another one every range is read and compared with its checksum before it is used.
//!
//! A file of known length gets its room on the disk when it is begun; what is kept of it for the next run holds that room.
//!
//! Symbolic links below the destination are never followed; each folder is opened from the one above, so nobody can
//! exchange one in between.

mod disk;
mod file;
mod folder;
mod journal;
mod names;
mod stream;
mod temporary;
#[cfg(test)]
mod tests;

pub(crate) use file::{Identity, Landing};
pub(crate) use folder::{Destination, Folder};
pub(crate) use names::{Claim, Parents, Place};
pub(crate) use stream::Stream;
