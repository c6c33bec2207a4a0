//! Haul: collects content and turns it into SQLite databases that people search, query and download.
//!
//! `main` is a table of contents: every command is a function of its own in `commands`.

mod assembly;
mod cli;
mod commands;
mod config;
mod data_folder;
mod demo_site;
mod exit;
mod monitoring;
mod output;
mod process_metrics;
mod progress;
mod quantity;
mod retrieval;
mod scrapers;
mod service;
mod shutdown;
mod site;
mod store_metrics;

use std::process::ExitCode;

use pkgindex::store::StoreError;

use crate::cli::{Action, Cli};
use crate::config::{ConfigError, Loaded};
use crate::data_folder::DataFolderError;
use crate::exit::Exit;
use crate::output::Output;

fn main() -> ExitCode {
    let (cli, flags) = Cli::parse_with_keys();
    output::start_log(cli.verbose);
    let ended = run(cli, flags);
    let exit = ended.unwrap_or_else(|error| {
        output::say(&format!("error: {error:#}"));
        exit_of(&error)
    });
    exit.into()
}

fn run(cli: Cli, flags: Vec<(String, String)>) -> anyhow::Result<Exit> {
    // These need neither a configuration nor a runtime.
    match cli.command {
        Action::ExtractPdf => return commands::extract_pdf::run(),
        Action::Contain => return Ok(commands::contain::run()),
        Action::Completions { shell } => return commands::completions::run(shell),
        _ => {}
    }
    let output = Output { json: cli.json };
    // Many systems begin with 1,024, for programs that are long gone.
    if let Err(error) = pkgindex::raise_descriptor_limit() {
        tracing::warn!(%error, "the limit on open files stays as it is");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async { shutdown::outlive_file_limits() })?;
    // TLS has two implementations among our libraries' choices; this one is ours.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // These have nothing to do with the data folder.
    let environment = retrieval::environment();
    match &cli.command {
        Action::Get(get) => return runtime.block_on(commands::get::run(output, get, &environment)),
        Action::Cat(cat) => return runtime.block_on(commands::cat::run(cat, &environment)),
        Action::Bench(bench) => return runtime.block_on(commands::bench::run(output, bench, &environment)),
        Action::Ls(ls) => return runtime.block_on(commands::ls::run(output, ls, &environment)),
        Action::Pkgindex(action) => return runtime.block_on(commands::pkgindex::run(output, action)),
        _ => {}
    }
    let loaded = Loaded::load(config_file(&cli).as_deref(), std::env::vars(), flags)?;
    let config = &loaded.config;
    let ended = match cli.command {
        Action::Run(run) => runtime.block_on(commands::run::run(config, output, &run)),
        Action::Up => runtime.block_on(commands::up::run(config, output)),
        Action::Serve(serve) => runtime.block_on(commands::serve::run(config, output, &serve)),
        Action::Crawl(crawl) => runtime.block_on(commands::crawl::run(config, output, &crawl)),
        Action::Pack(pack) => runtime.block_on(commands::pack::run(config, output, &pack)),
        Action::Search(search) => runtime.block_on(commands::search::run(config, output, search)),
        Action::Source(source) => runtime.block_on(commands::source::run(config, output, source)),
        Action::Scraper(action) => runtime.block_on(commands::scraper::run(config, output, action)),
        Action::Account(action) => runtime.block_on(commands::account::accounts(config, output, action)),
        Action::Key(action) => runtime.block_on(commands::account::keys(config, output, action)),
        Action::Item(item) => runtime.block_on(commands::item::run(config, output, item)),
        Action::Escalation(action) => runtime.block_on(commands::ruling::escalations(config, output, action)),
        Action::Orphan(action) => runtime.block_on(commands::ruling::orphans(config, output, action)),
        Action::Index(action) => runtime.block_on(commands::replay::indexes(config, output, action)),
        Action::Package(action) => runtime.block_on(commands::package::run(config, output, action)),
        Action::Config(action) => commands::config::run(&loaded, output, action),
        Action::Doctor => runtime.block_on(commands::doctor::run(config, output)),
        Action::Demo(demo) => runtime.block_on(commands::demo::run(config, output, &demo)),
        Action::Completions { .. }
        | Action::ExtractPdf
        | Action::Contain
        | Action::Bench(_)
        | Action::Get(_)
        | Action::Cat(_)
        | Action::Ls(_)
        | Action::Pkgindex(_) => Ok(Exit::Done),
    };
    // What still runs has been told to stop and has had its time.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    ended
}

/// The file that was named, else `haul.toml` in the current folder where there is one.
fn config_file(cli: &Cli) -> Option<std::path::PathBuf> {
    let usual = std::path::PathBuf::from("haul.toml");
    cli.config.clone().or_else(|| usual.exists().then_some(usual))
}

/// The one place that maps errors to exit codes.
fn exit_of(error: &anyhow::Error) -> Exit {
    if error.is::<exit::NoSource>() {
        return Exit::Nothing;
    }
    let is_busy = |error: &DataFolderError| matches!(error, DataFolderError::Busy { .. });
    if error.is::<ConfigError>()
        || error.is::<exit::Usage>()
        || error.is::<model::InvalidUrl>()
        || error.is::<model::InvalidId>()
    {
        return Exit::Usage;
    }
    let is_in_use = |error: &StoreError| matches!(error, StoreError::InUse(_));
    if error.downcast_ref().is_some_and(is_busy) || error.downcast_ref().is_some_and(is_in_use) {
        return Exit::Busy;
    }
    Exit::Failed
}
