//! What people decide about items.

use clap::{Args, Subcommand};

/// Why, and who says so.
#[derive(Debug, Args, Clone)]
pub(crate) struct Because {
    /// Why; it is kept with the item
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// Who decides
    #[arg(long, value_name = "NAME", env = "USER", default_value = "unknown")]
    pub(crate) by: String,
}

/// Which items.
#[derive(Debug, Args)]
pub(crate) struct Chosen {
    /// The source's name
    pub(crate) source: String,
    /// The items; all that are listed where none is named
    #[arg(value_name = "ITEM")]
    pub(crate) items: Vec<String>,
    #[command(flatten)]
    pub(crate) because: Because,
}

/// Items whose retries are spent, or that failed for good.
#[derive(Debug, Subcommand)]
pub(crate) enum Escalation {
    /// List them, with what went wrong
    List {
        /// Only of this source
        source: Option<String>,
    },
    /// Try them again
    Requeue(Chosen),
    /// Leave them as they are: crawls pass them by
    Ignore(Chosen),
    /// Take them for gone
    Delete(Chosen),
}

/// Items that their source no longer shows.
#[derive(Debug, Subcommand)]
pub(crate) enum Orphan {
    /// List them, and crawls whose deletions wait for a word
    List {
        /// Only of this source
        source: Option<String>,
    },
    /// Let a crawl delete what its guard blocked
    Approve {
        /// The crawl, as SOURCE@MILLISECONDS
        crawl: String,
        #[command(flatten)]
        because: Because,
    },
    /// They are there: the source only does not show them
    Keep(Chosen),
    /// Take them for gone
    Delete(Chosen),
}
