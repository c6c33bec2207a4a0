//! What can be said about sources.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::ValueHint;
use clap::{Args, Subcommand, ValueEnum};

use super::Site;

/// A source in a process of its own, or what is done with sources.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    arg_required_else_help = true
)]
pub(crate) struct Source {
    /// Look after this source until Ctrl-C: its crawls, schedule, live updates and orphans
    #[arg(required = true)]
    pub(crate) name: Option<String>,
    /// Serve /metrics and /healthz here
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) metrics: Option<SocketAddr>,
    #[command(subcommand)]
    pub(crate) action: Option<SourceAction>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SourceAction {
    /// Add a site, a bucket, a folder or a feed, without crawling it yet
    Add {
        /// Its name: a-z, 0-9, '-' and '.'
        name: String,
        /// Addresses to begin at, a bucket (s3://bucket/folder/, gs:// or az://), or a folder (./docs)
        #[arg(required = true, value_name = "URL|BUCKET|FOLDER")]
        start: Vec<String>,
        /// Where the objects of a bucket, or the files of a folder, are read [default: https://BUCKET/FOLDER/]
        #[arg(long, value_name = "URL")]
        base: Option<String>,
        /// Nothing is crawled: what lies below the addresses is told through the API or with `haul source tell`
        #[arg(long)]
        feed: bool,
        #[command(flatten)]
        site: Site,
        #[command(flatten)]
        rules: Rules,
    },
    /// Change what is said; the rest stays
    Set {
        /// Its name
        name: String,
        #[command(flatten)]
        site: Site,
        #[command(flatten)]
        rules: Rules,
    },
    /// List all sources
    List,
    /// Show one source and its last crawls; with --json its configurations, too
    Show {
        /// Its name
        name: String,
    },
    /// Tell what happened to an item: a live update
    Tell(Told),
    /// Remove a source by reference: documents that no other source has go, too
    Rm {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Told {
    /// The source's name
    pub(crate) name: String,
    /// The item's address
    pub(crate) url: String,
    /// It is this now; without it, and without --gone, it is fetched
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "gone")]
    pub(crate) content: Option<PathBuf>,
    /// The media type of the content, such as text/html
    #[arg(long, value_name = "TYPE", requires = "content")]
    pub(crate) media_type: Option<String>,
    /// It is gone
    #[arg(long)]
    pub(crate) gone: bool,
}

/// What holds for a source, whatever it is.
#[derive(Debug, Args, Clone)]
pub(crate) struct Rules {
    /// When it is crawled by itself: "every 6h", "daily", "cron 0 3 * * * Europe/Oslo", or "never" [default: never]
    #[arg(long, value_name = "SCHEDULE")]
    pub(crate) schedule: Option<String>,
    /// How it can tell that an item is gone [default: enumerate, of feeds explicit]
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) deletion: Option<Deletion>,
    /// What becomes of a crawl while another one runs [default: exclusive]
    #[arg(long, value_enum, value_name = "MODE")]
    pub(crate) crawls: Option<Mode>,
    /// Attempts after the first [default: 3]
    #[arg(long, value_name = "N")]
    pub(crate) max_retries: Option<u32>,
    /// Before the first retry [default: 1000]
    #[arg(long, value_name = "MS")]
    pub(crate) retry_initial_ms: Option<u64>,
    /// The longest wait between retries [default: 60000]
    #[arg(long, value_name = "MS")]
    pub(crate) retry_max_ms: Option<u64>,
    /// What each wait grows by [default: 2]
    #[arg(long, value_name = "FACTOR")]
    pub(crate) retry_multiplier: Option<f64>,
    /// Complete crawls that must have missed an item before it is deleted [default: 1]
    #[arg(long, value_name = "N")]
    pub(crate) grace_crawls: Option<u32>,
    /// How long ago the first of them must have started [default: 0]
    #[arg(long, value_name = "MS")]
    pub(crate) grace_ms: Option<u64>,
    /// Whether the source is asked for an item before it is deleted [default: true]
    #[arg(long, value_name = "BOOL")]
    pub(crate) verify: Option<bool>,
    /// More orphans than this part of the live items wait for a person [default: 10]
    #[arg(long, value_name = "PERCENT")]
    pub(crate) guard_percent: Option<f64>,
    /// So few orphans never wait for a person [default: 20]
    #[arg(long, value_name = "N")]
    pub(crate) guard_items: Option<u64>,
    /// Whether live updates are taken [default: true]
    #[arg(long, value_name = "BOOL")]
    pub(crate) live: Option<bool>,
    /// Whether the times that live updates carry are their versions [default: false]
    #[arg(long, value_name = "BOOL")]
    pub(crate) trust_clock: Option<bool>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Deletion {
    /// Only its explicit word deletes
    Explicit,
    /// A complete crawl shows everything that exists
    Enumerate,
    /// Only fetching an item shows whether it exists
    FetchOnly,
    /// It cannot: a person decides
    None,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Mode {
    /// It is refused
    Exclusive,
    /// It waits
    Queue,
    /// It runs beside it
    Concurrent,
}
