use std::path::PathBuf;

use clap::builder::ValueHint;
use clap::{Args, Subcommand, ValueEnum};
use model::{RunId, ScraperId};

/// A scraper that lies in a folder.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The scraper's folder: scraper.py, scraper.rb, scraper.php, scraper.pl, scraper.js, a Procfile or an executable `scraper`. Its
    /// secrets are the variables MORPH_* of your environment
    #[arg(value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub(crate) folder: PathBuf,
    /// MiB of memory that it may have [default: 512]
    #[arg(long, value_name = "MIB")]
    pub(crate) memory_mib: Option<u64>,
    /// MiB that it may have in its folder [default: 1024]
    #[arg(long, value_name = "MIB")]
    pub(crate) disk_mib: Option<u64>,
    /// Processes that it may have [default: 256]
    #[arg(long, value_name = "N")]
    pub(crate) processes: Option<u64>,
    /// Seconds that it may run [default: 86400]
    #[arg(long, value_name = "S")]
    pub(crate) run_seconds: Option<u64>,
    /// Columns whose changes do not count; may be repeated
    #[arg(long = "ignore-column", value_name = "NAME")]
    pub(crate) ignore_columns: Vec<String>,
    /// Record what it says and hears over HTTP, secrets included, into this file, which must not exist
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "replay")]
    pub(crate) record: Option<PathBuf>,
    /// Answer it from such a file, without any network
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) replay: Option<PathBuf>,
    /// Do not start where this machine lacks a limit that a server has
    #[arg(long)]
    pub(crate) strict: bool,
}

/// What is done with scrapers that a server runs.
#[derive(Debug, Subcommand)]
pub(crate) enum Scraper {
    /// Add a scraper
    Add {
        /// OWNER/NAME
        scraper: ScraperId,
        /// A folder of this machine, or the address of a git repository. The secret MORPH_GIT_TOKEN opens a private one
        #[arg(value_name = "FOLDER|URL")]
        from: String,
        /// A branch, tag or commit of the repository
        #[arg(long)]
        reference: Option<String>,
        #[command(flatten)]
        settings: Box<Settings>,
    },
    /// Change its settings, or where its code comes from
    Set {
        /// OWNER/NAME
        scraper: ScraperId,
        /// A folder of this machine, or the address of a git repository
        #[arg(long, value_name = "FOLDER|URL")]
        from: Option<String>,
        /// A branch, tag or commit of the repository
        #[arg(long, requires = "from")]
        reference: Option<String>,
        #[command(flatten)]
        settings: Box<Settings>,
    },
    /// List scrapers
    List,
    /// Show what is known of one
    Show {
        /// OWNER/NAME
        scraper: ScraperId,
    },
    /// Ask for a run; whatever serves the data folder runs it
    Run {
        /// OWNER/NAME
        scraper: ScraperId,
    },
    /// List runs, newest first
    Runs {
        /// OWNER/NAME
        scraper: ScraperId,
        /// Runs at most
        #[arg(short = 'n', long, default_value_t = 20)]
        limit: usize,
    },
    /// Stop a run
    Stop {
        /// Its number
        run: RunId,
    },
    /// Print the log of a run
    Log {
        /// Its number
        run: RunId,
    },
    /// Let its schedule stand still
    Pause {
        /// OWNER/NAME
        scraper: ScraperId,
        /// Why
        #[arg(long, default_value = "paused by hand")]
        why: String,
    },
    /// Let its schedule go on
    Resume {
        /// OWNER/NAME
        scraper: ScraperId,
    },
    /// Write its data into a file
    Data {
        /// OWNER/NAME
        scraper: ScraperId,
        /// The file to write; must not exist
        #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        output: PathBuf,
        /// An older version [default: the newest]
        #[arg(long, value_name = "N")]
        version: Option<u64>,
    },
    /// List the versions of its data
    Versions {
        /// OWNER/NAME
        scraper: ScraperId,
    },
    /// Put an older version of its data in force again
    Restore {
        /// OWNER/NAME
        scraper: ScraperId,
        /// Which
        version: u64,
    },
    /// Put a file of data in force
    Import {
        /// OWNER/NAME
        scraper: ScraperId,
        /// An SQLite database
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Take over scrapers from morph.io, as a JSON file lists them; docs/scrapers.md has its form
    ImportMorph {
        /// The list
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Set, list and remove secrets, which a run finds as variables MORPH_*
    #[command(subcommand)]
    Secret(SecretAction),
    /// Add, list and remove addresses that are called when a run is over
    #[command(subcommand)]
    Webhook(WebhookAction),
    /// Remove a scraper with everything that is kept of it
    Rm {
        /// OWNER/NAME
        scraper: ScraperId,
    },
}

/// What is done with secrets.
#[derive(Debug, Subcommand)]
pub(crate) enum SecretAction {
    /// Set one; its value is read from stdin, so that it stands in no list of processes
    Set {
        /// OWNER/NAME
        scraper: ScraperId,
        /// MORPH_...
        name: String,
    },
    /// List their names
    List {
        /// OWNER/NAME
        scraper: ScraperId,
    },
    /// Remove one
    Rm {
        /// OWNER/NAME
        scraper: ScraperId,
        /// MORPH_...
        name: String,
    },
    /// Make a new key, seal every secret with it, and remove the old keys
    RotateKey,
}

/// What is done with webhooks.
#[derive(Debug, Subcommand)]
pub(crate) enum WebhookAction {
    /// Add one; prints the key that its bodies are signed with, once
    Add {
        /// OWNER/NAME
        scraper: ScraperId,
        /// http:// or https://
        url: String,
        /// What it is called for
        #[arg(long = "on", value_enum, value_delimiter = ',', default_values_t = [On::Finished])]
        on: Vec<On>,
    },
    /// List them, with their last calls
    List {
        /// OWNER/NAME
        scraper: ScraperId,
    },
    /// Remove one
    Rm {
        /// OWNER/NAME
        scraper: ScraperId,
        /// Its number
        webhook: u64,
    },
}

/// What a webhook is called for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum On {
    /// Any run is over
    Finished,
    /// A run did not succeed
    Failed,
    /// A run succeeded after one that did not
    Recovered,
    /// Rows changed
    Changed,
}

/// What its owner says about a scraper; what is not given stays as it is.
#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// One line about it
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: Option<String>,
    /// When it runs: daily, every 6h, cron 0 3 * * * Europe/Oslo, ...; none: when somebody says so
    #[arg(long, value_name = "SCHEDULE")]
    pub(crate) schedule: Option<String>,
    /// Runs after every run of this one that succeeded; none: after no other
    #[arg(long, value_name = "OWNER/NAME")]
    pub(crate) after: Option<String>,
    /// When a run is due and the last one is not over
    #[arg(long, value_enum)]
    pub(crate) overlap: Option<WhenBusy>,
    /// When turns were missed
    #[arg(long, value_enum)]
    pub(crate) missed: Option<WhenMissed>,
    /// MiB of memory
    #[arg(long, value_name = "MIB")]
    pub(crate) memory_mib: Option<u64>,
    /// MiB in its folder
    #[arg(long, value_name = "MIB")]
    pub(crate) disk_mib: Option<u64>,
    /// Seconds of running
    #[arg(long, value_name = "S")]
    pub(crate) run_seconds: Option<u64>,
    /// Lines of log
    #[arg(long, value_name = "N")]
    pub(crate) log_lines: Option<u64>,
    /// Versions of its data that are kept
    #[arg(long, value_name = "N")]
    pub(crate) keep_versions: Option<u32>,
    /// Keep its data after a failed run, too
    #[arg(long, value_name = "true|false")]
    pub(crate) keep_after_failure: Option<bool>,
    /// Columns, separated by commas, whose changes do not count
    #[arg(long, value_name = "NAMES")]
    pub(crate) ignore_columns: Option<String>,
    /// Failed runs in a row after which its schedule pauses; 0: never
    #[arg(long, value_name = "N")]
    pub(crate) pause_after_failures: Option<u32>,
    /// Record what each run says and hears over HTTP, secrets included; the run's page has it
    #[arg(long, value_name = "true|false")]
    pub(crate) record: Option<bool>,
    /// Let its data be read without a key
    #[arg(long, value_name = "true|false")]
    pub(crate) public: Option<bool>,
}

/// What happens when a run is due and the last one is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WhenBusy {
    /// The new one is left out
    Skip,
    /// The new one waits
    Queue,
    /// The old one is stopped
    Cancel,
}

/// What happens with turns that were missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WhenMissed {
    /// Nothing
    Skip,
    /// One run
    Once,
}

/// Who signs in.
#[derive(Debug, Subcommand)]
pub(crate) enum Account {
    /// Add an account; its password is read from stdin
    Add {
        /// The name to sign in with, and of what they own
        name: model::OwnerName,
        /// Where mail goes
        #[arg(long)]
        email: Option<String>,
        /// They may do everything, with everything
        #[arg(long)]
        operator: bool,
    },
    /// List accounts
    List,
    /// Set another password, read from stdin; their sessions end
    Password {
        /// Whose
        name: model::OwnerName,
    },
    /// End their sessions; they sign in no more
    Disable {
        /// Who
        name: model::OwnerName,
    },
}

/// Keys for programs.
#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Make one and print it, once
    Issue {
        /// Whose
        owner: model::OwnerName,
        /// What it is for
        #[arg(long, default_value = "")]
        label: String,
        /// What it lets its holder do
        #[arg(long, value_enum, value_delimiter = ',', default_values_t = [May::Data])]
        scope: Vec<May>,
    },
    /// List an owner's keys
    List {
        /// Whose
        owner: model::OwnerName,
    },
    /// End one
    Revoke {
        /// Whose
        owner: model::OwnerName,
        /// Its number
        key: u64,
    },
}

/// What a key lets its holder do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum May {
    /// Read data of any scraper
    Data,
    /// Start and stop runs, send code to be run
    Run,
    /// Everything else
    Manage,
}
