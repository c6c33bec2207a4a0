use archive::ArchiveError;
use model::{Checksum, Host};
use pack::PackError;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// No pack of this host is here.
    #[error("no pack of {0} is published here: see which hosts there are, or pack this one first")]
    UnknownHost(Host),
    /// The query took longer than allowed.
    #[error("the query took longer than {limit_ms} ms: use rarer words, longer prefixes or fewer hosts")]
    TimedOut {
        /// The limit, in milliseconds.
        limit_ms: u64,
    },
    /// A pack could not be read.
    #[error("a pack could not be searched: {0}")]
    Pack(#[from] PackError),
    /// A thread could not do its work; only at shutdown.
    #[error("the search was interrupted: the server is stopping")]
    Stopped,
}

impl From<rusqlite::Error> for SearchError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Pack(error.into())
    }
}

/// Why a newer pack is not in force. What was in force before stays so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RefreshError {
    /// The archive could not be read; trying again may help.
    #[error("cannot fetch the pack of {host}: {source}")]
    Archive {
        /// The host.
        host: Host,
        /// The cause.
        #[source]
        source: ArchiveError,
    },
    /// The archive could not list its hosts.
    #[error("cannot learn which packs there are: {0}")]
    List(#[source] ArchiveError),
    /// The file is not a good pack of that host. Its copy was removed; publish a good one.
    #[error("refused pack {checksum} of {host}: {reason}; the one before stays in force, build it again")]
    Refused {
        /// The host.
        host: Host,
        /// Of the file.
        checksum: Checksum,
        /// What is wrong with it.
        reason: String,
    },
    /// The cache folder could not be used.
    #[error("cannot use the folder of packs {}: {source}", path.display())]
    Folder {
        /// The file or folder.
        path: std::path::PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}
