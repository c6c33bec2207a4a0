//! The command line: what can be said. What is done is in `commands`.

mod bench;
mod crawl;
mod package;
pub(crate) mod pkgindex;
mod retrieve;
mod ruling;
mod scraper;
mod source;

use std::path::PathBuf;

use clap::builder::ValueHint;
use clap::{Arg, ArgMatches, Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub(crate) use self::bench::{Bench, BenchMerge, BenchRetrieve, Sink};
pub(crate) use self::crawl::{Crawl, CrawlAction, Index, Replay};
pub(crate) use self::package::Package;
pub(crate) use self::retrieve::{Cat, Choice, Effort, Get, Ls, OnChange, Order, Reach};
pub(crate) use self::ruling::{Because, Chosen, Escalation, Orphan};
pub(crate) use self::scraper::{
    Account, Key, May, On, Run, Scraper, SecretAction, Settings, WebhookAction, WhenBusy, WhenMissed,
};
pub(crate) use self::source::{Deletion, Mode, Rules, Source, SourceAction, Told};
use crate::config;
use crate::exit;

/// Collects content and turns it into SQLite databases that people search, query and download.
#[derive(Debug, Parser)]
#[command(name = "haul", version, after_help = exit::HELP, max_term_width = 110, subcommand_required = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Action,
    /// The configuration file; haul.toml in the current folder is read where it exists
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
    /// Answer in JSON on stdout, for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say more on stderr; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// What haul does.
#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Serve the search page, the API and the crawls started from there, until Ctrl-C
    Up,
    /// Run a scraper that lies in a folder, as the server does, and leave its data.sqlite there
    Run(Run),
    /// Serve some roles, beside other processes on the same data folder or on other machines, until Ctrl-C
    Serve(Serve),
    /// Crawl sites, buckets and folders, pack every host, and say how to search them; or replay a crawl
    Crawl(Crawl),
    /// Make one pack file from a folder of HTML, or from a site, without touching the data folder
    Pack(Pack),
    /// Search the packs, or one pack file
    Search(Search),
    /// Fetch objects from buckets, the web or a disk into files, in parallel; goes on where it was
    Get(Get),
    /// Write objects to stdout
    Cat(Cat),
    /// List objects of buckets and disks
    Ls(Ls),
    /// Measure ways to retrieve, here and on other machines, and report
    #[command(subcommand)]
    Bench(Bench),
    /// Add, change, list, show and remove sources; or run one as a process of its own
    Source(Source),
    /// Add, change, run, list and remove scrapers of a server, with their data, secrets and webhooks
    #[command(subcommand)]
    Scraper(Scraper),
    /// Add and list people who sign in
    #[command(subcommand)]
    Account(Account),
    /// Make, list and end keys for programs
    #[command(subcommand)]
    Key(Key),
    /// List what is known of the items of a source
    #[command(subcommand)]
    Item(Item),
    /// List items that a person must decide about, and decide
    #[command(subcommand)]
    Escalation(Escalation),
    /// List items that their source no longer shows, and decide what a guard or its settings left to a person
    #[command(subcommand)]
    Orphan(Orphan),
    /// List the indexes of documents, put one in force, drop one
    #[command(subcommand)]
    Index(Index),
    /// List, show and remove what is published, and make collections
    #[command(subcommand)]
    Package(Package),
    /// Serve an index of packages and what they depend on, and ask it
    #[command(subcommand)]
    Pkgindex(pkgindex::PackageIndex),
    /// Check or show the configuration
    #[command(subcommand)]
    Config(Config),
    /// Look for what is wrong with this machine, the configuration and the data folder
    Doctor,
    /// Crawl, pack and serve a small site that is part of this program
    Demo(Demo),
    /// Print the completion script of a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Read a PDF on stdin, write its text on stdout (what haul starts within limits for every PDF)
    #[command(hide = true)]
    ExtractPdf,
    /// Become a program in a sandbox (what haul starts for every run)
    #[command(hide = true)]
    Contain,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// What this process does; web brings crawl and pack with it
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_values_t = [Role::Crawldb, Role::Crawl, Role::Pack, Role::Run, Role::Web]
    )]
    pub(crate) roles: Vec<Role>,
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// The crawl database over HTTP, for processes that name it as `crawldb`
    Crawldb,
    /// Crawls, live updates, schedules, orphans
    Crawl,
    /// Packs
    Pack,
    /// Runs of scrapers
    Run,
    /// Search, pages and API
    Web,
}

/// How a site is crawled.
#[derive(Debug, Args, Clone)]
pub(crate) struct Site {
    /// Between the starts of two requests to one host; a longer Crawl-delay wins [default: 100, of buckets 0]
    #[arg(long, value_name = "MS")]
    pub(crate) delay_ms: Option<u64>,
    /// Requests to one host at a time [default: 4, of buckets 32]
    #[arg(long, value_name = "N")]
    pub(crate) concurrency: Option<u32>,
    /// Pages at most [default: 1000000]
    #[arg(long, value_name = "N")]
    pub(crate) max_pages: Option<u64>,
    /// Links from a start URL at most [default: 50]
    #[arg(long, value_name = "N")]
    pub(crate) max_depth: Option<u32>,
    /// Another host that belongs to the site; may be repeated
    #[arg(long = "host", value_name = "HOST")]
    pub(crate) hosts: Vec<String>,
    /// Only URLs that begin with this; may be repeated
    #[arg(long, value_name = "PREFIX")]
    pub(crate) include: Vec<String>,
    /// No URLs that begin with this; may be repeated
    #[arg(long, value_name = "PREFIX")]
    pub(crate) exclude: Vec<String>,
    /// Let private and loopback addresses be crawled
    #[arg(long)]
    pub(crate) allow_private: bool,
    /// Do not read robots.txt: only for sites of your own
    #[arg(long)]
    pub(crate) ignore_robots: bool,
    /// Where a host is found, as curl's --resolve; may be repeated
    #[arg(long, value_name = "HOST:PORT:ADDRESS")]
    pub(crate) resolve: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Pack {
    /// A folder of HTML, text, Markdown or PDF files, or the address of a site
    #[arg(value_name = "FOLDER|URL", value_hint = ValueHint::DirPath)]
    pub(crate) from: String,
    /// The pack file to write; must not exist
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: PathBuf,
    /// Where the folder will be served [default: http://localhost/]
    #[arg(long, value_name = "URL")]
    pub(crate) base: Option<String>,
    #[command(flatten)]
    pub(crate) site: Site,
}

#[derive(Debug, Args)]
pub(crate) struct Search {
    /// Words, "phrases", -not, prefix*, OR, site: path: type: lang: after: before:
    #[arg(required = true, value_name = "WORDS", allow_hyphen_values = true)]
    pub(crate) words: Vec<String>,
    /// Search this pack file instead of the data folder
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) pack: Option<PathBuf>,
    /// Only this host
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Option<String>,
    /// The page of answers, from 1
    #[arg(long, default_value_t = 1)]
    pub(crate) page: u32,
    /// Answers on a page
    #[arg(short = 'n', long, default_value_t = 10)]
    pub(crate) per_page: u32,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Item {
    /// List items in the order of their ids
    List {
        /// The source's name
        source: String,
        /// Only items in this state; may be repeated
        #[arg(long, value_name = "STATE")]
        state: Vec<String>,
        /// Items at most
        #[arg(short = 'n', long, default_value_t = 100)]
        limit: usize,
        /// Only items after this one: where the last list ended
        #[arg(long, value_name = "ITEM")]
        after: Option<String>,
    },
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum Config {
    /// Say whether the configuration is right
    Check,
    /// Print the configuration in force and who set each key
    Show,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// End when the sample answer is shown
    #[arg(long)]
    pub(crate) once: bool,
}

impl Cli {
    /// Reads the command line; every configuration key is a flag too.
    pub(crate) fn parse_with_keys() -> (Self, Vec<(String, String)>) {
        let matches = command().get_matches();
        let keys = given_keys(&matches);
        let cli = Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        (cli, keys)
    }
}

/// The whole command line.
pub(crate) fn command() -> Command {
    let key_flag = |(key, default): (String, toml::Value)| {
        let flag = config::flag_of_key(&key);
        let long = flag.trim_start_matches('-').to_owned();
        let shown = default
            .as_str()
            .map_or_else(|| default.to_string(), ToOwned::to_owned);
        Arg::new(key.clone())
            .long(long)
            .value_name("VALUE")
            .global(true)
            .hide_short_help(!matches!(key.as_str(), "data" | "listen" | "archive"))
            .help_heading("Configuration (also in haul.toml and as HAUL_* variables)")
            .help(format!("{key} [default: {shown}]"))
    };
    Cli::command().args(config::defaults().into_iter().map(key_flag))
}

/// Configuration keys that were given as flags, at whatever level.
fn given_keys(matches: &ArgMatches) -> Vec<(String, String)> {
    let mut deepest = matches;
    while let Some((_, nested)) = deepest.subcommand() {
        deepest = nested;
    }
    let given = |key: String| {
        let value = deepest.get_one::<String>(&key)?.clone();
        Some((key, value))
    };
    config::defaults().into_keys().filter_map(given).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn a_key_is_a_flag_before_and_after_the_command() {
        for line in [
            ["haul", "--pack-idle-ms", "7", "up"],
            ["haul", "up", "--pack-idle-ms", "7"],
        ] {
            let matches = command().try_get_matches_from(line).unwrap();
            assert_eq!(
                given_keys(&matches),
                [("pack.idle_ms".to_owned(), "7".to_owned())]
            );
        }
    }

    #[test]
    fn words_that_begin_with_a_dash_are_words() {
        let matches = command()
            .try_get_matches_from(["haul", "search", "tea", "-coffee"])
            .unwrap();
        let cli = Cli::from_arg_matches(&matches).unwrap();
        assert!(matches!(cli.command, Action::Search(Search { words, .. }) if words == ["tea", "-coffee"]));
    }
}
