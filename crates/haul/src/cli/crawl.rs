//! What can be said about crawls, and about the indexes that they fill.

use clap::{Args, Subcommand};

use super::Site;

/// Crawls, or what is done with a crawl that was.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Crawl {
    /// Addresses to begin at, a bucket (s3://bucket/folder/, gs:// or az://), a folder (./docs), or the name of a source
    #[arg(required = true, value_name = "URL|BUCKET|FOLDER|SOURCE")]
    pub(crate) targets: Vec<String>,
    /// The name of the source [default: the host, or the address of the bucket or folder in words]
    #[arg(long = "source", value_name = "NAME")]
    pub(crate) source: Option<String>,
    /// Where the objects of a bucket, or the files of a folder, are read [default: https://BUCKET/FOLDER/]
    #[arg(long, value_name = "URL")]
    pub(crate) base: Option<String>,
    /// Only what the source says has changed since its last crawl; deletes nothing
    #[arg(long)]
    pub(crate) incremental: bool,
    #[command(flatten)]
    pub(crate) site: Site,
    #[command(subcommand)]
    pub(crate) action: Option<CrawlAction>,
}

/// What is done with a crawl that was.
#[derive(Debug, Subcommand)]
pub(crate) enum CrawlAction {
    /// Make the index again from what was applied
    Replay(Replay),
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// A crawl, as SOURCE@MILLISECONDS; a source; or "all" sources
    #[arg(value_name = "CRAWL|SOURCE|all")]
    pub(crate) what: String,
    /// Where to begin: the crawl's start or end, the beginning, a time (RFC 3339), or offsets per partition (5,0,17)
    #[arg(
        long,
        value_name = "start|end|beginning|TIME|OFFSETS",
        default_value = "beginning"
    )]
    pub(crate) from: String,
    /// Into this index, made where it does not exist [default: the one in force]
    #[arg(long, value_name = "INDEX")]
    pub(crate) into: Option<String>,
    /// Put the index in force when it is level
    #[arg(long, requires = "into")]
    pub(crate) switch: bool,
}

/// Indexes of documents.
#[derive(Debug, Subcommand)]
pub(crate) enum Index {
    /// Say which index is in force, and how many documents it has
    Show {
        /// Another index
        name: Option<String>,
    },
    /// Put an index in force
    Switch {
        /// The index
        name: String,
    },
    /// Remove an index that is not in force, with its documents
    Drop {
        /// The index
        name: String,
    },
}
