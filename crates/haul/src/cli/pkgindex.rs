//! What can be said to and about a package index.

use std::net::SocketAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::ValueHint;
use clap::{Args, Subcommand, ValueEnum};

use crate::quantity;

const STORES: &str = "\
Stores:
  memory                   nothing is kept
  log:FOLDER               a log and snapshots in a folder of one server (the default, log:pkgindex)
  shared-disk:FOLDER       a folder that several servers share, over NFS or a shared volume
  postgres://USER@HOST/DB  PostgreSQL; several servers may share it
  redis://HOST:PORT        Redis 7; several servers may share it
  replica:URL              reads only, follows the server whose second port is at URL

Passwords of postgres:// and redis:// addresses are better given in HAUL_PKGINDEX_STORE, which no process list shows.";

const SERVE_EXAMPLES: &str = "\
Examples:
  haul pkgindex serve
  printf 'INDEX|a|\\nINDEX|b|a\\nREMOVE|a|\\n' | nc -q1 127.0.0.1 8080     OK, OK, FAIL
  haul pkgindex serve --store shared-disk:/mnt/index --tcp '[::]:8080'
  curl 'http://127.0.0.1:8081/v1/why?from=git&to=libc6'";

const LOAD_EXAMPLES: &str = "\
Examples:
  apt-cache dumpavail | haul pkgindex load --format debian -
  haul pkgindex load --store log:pkgindex Packages.gz
  haul pkgindex dump | haul pkgindex load --at http://other:8081 -";

const QUERY_EXAMPLES: &str = "\
Examples:
  haul pkgindex query why git libc6
  haul pkgindex query dependents libc6 --transitive --limit 20
  haul pkgindex query --store log:pkgindex install-order git";

/// An index of packages and what they depend on.
#[derive(Debug, Subcommand)]
pub(crate) enum PackageIndex {
    /// Serve the index over TCP, and questions about it over HTTP, until Ctrl-C
    #[command(after_help = SERVE_EXAMPLES, after_long_help = format!("{SERVE_EXAMPLES}\n\n{STORES}"))]
    Serve(Serve),
    /// Look whether everything that a store keeps is whole and agrees
    #[command(after_help = STORES)]
    Check(Check),
    /// Write the whole index to stdout
    Dump {
        #[command(flatten)]
        place: IndexPlace,
    },
    /// Index everything in a file, as one change
    #[command(after_help = LOAD_EXAMPLES)]
    Load(Load),
    /// Ask about the graph
    #[command(after_help = QUERY_EXAMPLES)]
    Query(Query),
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Where the index is kept
    #[arg(
        long,
        value_name = "STORE",
        default_value = "log:pkgindex",
        env = "HAUL_PKGINDEX_STORE",
        hide_env_values = true
    )]
    pub(crate) store: String,
    /// Address and port of the three commands; may be repeated [default: port 8080 of 127.0.0.1 and ::1]
    #[arg(long = "tcp", value_name = "ADDRESS:PORT")]
    pub(crate) addresses: Vec<SocketAddr>,
    /// Address and port of questions, metrics and health, or none; may be repeated [default: port 8081 of 127.0.0.1 and ::1]
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = http_address)]
    pub(crate) http: Vec<HttpAddress>,
    /// When an answer to a change leaves a server with a log
    #[arg(long, value_enum, default_value_t = Durability::Always)]
    pub(crate) durability: Durability,
    /// What becomes of an INDEX that closes a cycle
    #[arg(long, value_enum, default_value_t = Cycles::Literal)]
    pub(crate) cycles: Cycles,
    /// How old an answer to a read may be where several servers share a store, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub(crate) staleness_ms: u64,
    /// Connections at a time; more wait [default: as many as the limit on open files allows, up to 20000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_connections: Option<u32>,
    /// Threads that answer [default: one for every two processors]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZero<usize>>,
    /// Bytes of a line at most
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = quantity::some_bytes)]
    pub(crate) max_line: u64,
    /// Close connections that say nothing for so long [default: never]
    #[arg(long, value_name = "SECONDS", value_parser = quantity::seconds)]
    pub(crate) idle_timeout: Option<Duration>,
    /// Use a Redis that may forget what it acknowledged (no appendonly, or not appendfsync always)
    #[arg(long)]
    pub(crate) accept_volatile: bool,
}

/// When an answer to a change leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Durability {
    /// When the disk has it
    Always,
    /// At once; the disk has it a second later
    Interval,
    /// At once; the disk has it when the system likes
    None,
}

/// What becomes of an INDEX that closes a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Cycles {
    /// OK
    Literal,
    /// FAIL
    Reject,
    /// OK, and counted
    Report,
}

/// Where questions are answered, if anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HttpAddress {
    Nowhere,
    At(SocketAddr),
}

fn http_address(text: &str) -> Result<HttpAddress, String> {
    if text == "none" {
        return Ok(HttpAddress::Nowhere);
    }
    let address = text.parse().map(HttpAddress::At);
    address.map_err(|_| format!("{text:?} is no address and port, such as 127.0.0.1:8081, nor none"))
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The store; no server may have it open
    #[arg(
        long,
        value_name = "STORE",
        default_value = "log:pkgindex",
        env = "HAUL_PKGINDEX_STORE",
        hide_env_values = true
    )]
    pub(crate) store: String,
    /// Mend what can be mended without losing a change
    #[arg(long)]
    pub(crate) repair: bool,
}

/// A running server, or a store that no server has open.
#[derive(Debug, Args)]
pub(crate) struct IndexPlace {
    /// The second port of a running server
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8081", value_hint = ValueHint::Url, conflicts_with = "store", global = true)]
    pub(crate) at: String,
    /// A store, without a server
    #[arg(long, value_name = "STORE", global = true)]
    pub(crate) store: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Load {
    #[command(flatten)]
    pub(crate) place: IndexPlace,
    /// The file, plain or gzip, or - for stdin; of crates.io's index also its folder
    #[arg(value_name = "FILE", value_hint = ValueHint::AnyPath)]
    pub(crate) file: PathBuf,
    /// What the file is [default: what its beginning says]
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
    /// Forget everything that is not in the file
    #[arg(long)]
    pub(crate) replace: bool,
}

/// What a file of packages is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// What `haul pkgindex dump` writes
    Dump,
    /// Debian's Packages, or `apt-cache dumpavail`
    Debian,
    /// The index of crates.io, its files one after the other
    CratesIo,
}

#[derive(Debug, Args)]
pub(crate) struct Query {
    #[command(flatten)]
    pub(crate) place: IndexPlace,
    #[command(subcommand)]
    pub(crate) question: Question,
}

/// A question about the graph.
#[derive(Debug, Subcommand)]
pub(crate) enum Question {
    /// What a package needs and what needs it
    Package {
        /// Its name
        name: String,
        #[command(flatten)]
        page: QueryPage,
    },
    /// What a package needs
    Dependencies(Reach),
    /// What needs a package
    Dependents(Reach),
    /// Why one package needs another: a shortest path
    Why {
        /// The one that needs
        from: String,
        /// The one that is needed
        to: String,
    },
    /// Everything that packages need, in an order in which it can be installed
    InstallOrder {
        /// The packages
        #[arg(required = true)]
        names: Vec<String>,
        #[command(flatten)]
        page: QueryPage,
    },
    /// Everything that needs packages, in an order in which it can be removed
    RemovalOrder {
        /// The packages
        #[arg(required = true)]
        names: Vec<String>,
        #[command(flatten)]
        page: QueryPage,
    },
    /// Packages that need each other
    Cycles {
        #[command(flatten)]
        page: QueryPage,
    },
    /// Packages that nothing needs
    Orphans {
        #[command(flatten)]
        page: QueryPage,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Reach {
    /// The package
    pub(crate) name: String,
    /// Through other packages too
    #[arg(short, long)]
    pub(crate) transitive: bool,
    /// So many edges away at most
    #[arg(long, value_name = "N", requires = "transitive")]
    pub(crate) depth: Option<NonZero<u32>>,
    #[command(flatten)]
    pub(crate) page: QueryPage,
}

/// Which part of a list.
#[derive(Debug, Args)]
pub(crate) struct QueryPage {
    /// Packages at most
    #[arg(short = 'n', long, default_value_t = 100)]
    pub(crate) limit: usize,
    /// Only what comes after this: where the last list ended
    #[arg(long, value_name = "NAME")]
    pub(crate) after: Option<String>,
}
