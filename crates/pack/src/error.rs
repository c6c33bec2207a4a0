use std::io;

use model::PageUrl;

/// What went wrong with a pack.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The file is not a pack: no SQLite database, or one of another program.
    #[error("this is not a pack: {0}")]
    NotAPack(String),
    /// The file was written by a newer Haul.
    #[error("the pack has format {found}, this program reads up to {supported}: use a newer one")]
    NewerFormat {
        /// The format of the file.
        found: u32,
        /// The newest format that this crate reads.
        supported: u32,
    },
    /// The file was a pack once, and is damaged or was tampered with.
    #[error("the pack is damaged, fetch or build it again: {0}")]
    Corrupt(String),
    /// A pack stands where the new one is to go.
    #[error("{0} exists: remove it first, or replace it on purpose")]
    Exists(std::path::PathBuf),
    /// The page was added before.
    #[error("{0} was added twice: a pack has each page once")]
    Duplicate(PageUrl),
    /// A page breaks a limit of the format.
    #[error("{url} does not fit into a pack: {reason}")]
    TooLarge {
        /// The page.
        url: PageUrl,
        /// Which limit.
        reason: String,
    },
    /// An earlier write to this pack failed, so what there is cannot be finished.
    #[error("an earlier write to this pack failed: start it again")]
    Unfinished,
    /// The file could not be read or written.
    #[error("cannot access the pack: {0}")]
    Io(#[from] io::Error),
    /// The database engine failed otherwise, such as for a full disk.
    #[error("the pack's database failed: {0}")]
    Database(rusqlite::Error),
}

impl PackError {
    /// Whether the file itself is at fault, so that another copy may be good.
    pub fn is_bad_file(&self) -> bool {
        matches!(
            self,
            Self::NotAPack(_) | Self::NewerFormat { .. } | Self::Corrupt(_)
        )
    }
}

impl From<rusqlite::Error> for PackError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{CannotOpen, DatabaseCorrupt, NotADatabase};
        match error.sqlite_error_code() {
            Some(NotADatabase) => Self::NotAPack(error.to_string()),
            Some(DatabaseCorrupt) => Self::Corrupt(error.to_string()),
            Some(CannotOpen) => Self::Io(io::Error::other(error)),
            _ => Self::Database(error),
        }
    }
}
