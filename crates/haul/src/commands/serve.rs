use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use prometheus_client::registry::Registry;
use remote::RouterOptions;

use crate::assembly::{self, Company, Stores};
use crate::cli::{Role, Serve};
use crate::commands::up;
use crate::config::Config;
use crate::data_folder::{DataFolder, FolderLock};
use crate::exit::{Exit, Usage};
use crate::monitoring;
use crate::output::{self, Output};
use crate::scrapers::{self, Part};
use crate::service::{self, Service};
use crate::shutdown;
use crate::store_metrics::StoreMetrics;

/// Serves some roles until Ctrl-C. Several processes may share the data folder; of crawldb, pack and web there is one
/// at a time.
pub(crate) async fn run(config: &Config, output: Output, serve: &Serve) -> Result<Exit> {
    let has = |role: Role| serve.roles.contains(&role);
    let folder = DataFolder::create(&config.data)?;
    let listener = up::listen(config).await?;
    let address = listener.local_addr()?;
    let purpose = format!("haul serve at http://{address}/");
    let _locks = locks(&folder, &serve.roles, &purpose)?;
    let stop = shutdown::listen()?;
    let served = StoreMetrics::new();
    let store = match has(Role::Crawldb) {
        true => Some(store_router(config, &folder, &served)?),
        false => None,
    };
    let names: Vec<&str> = serve.roles.iter().map(|role| name(*role)).collect();
    let say = || announce(output, &names, address);
    if has(Role::Web) {
        let service = Service::start(config, &folder, Company::Shared, true).await?;
        say()?;
        let part = if has(Role::Run) { Part::Works } else { Part::Looks };
        up::serve(config, &folder, service, store, part, listener, stop).await?;
        return Ok(Exit::Done);
    }
    let mut registry = Registry::default();
    let stores = match has(Role::Crawl) || has(Role::Pack) {
        true => Some(Stores::open(&folder, config, Company::Shared)?),
        false => None,
    };
    let (mut crawler, mut packer, mut upkeep, mut working) = (None, None, None, None);
    if stores.is_none() {
        monitoring::watch_store(&served, &folder, &mut registry);
    }
    if let Some(stores) = &stores {
        stores.archive.probe().await?;
        let watching = monitoring::watch(stores, &folder, &mut registry);
        upkeep = Some((service::clean(stores.log.clone()), watching));
    }
    if let Some(stores) = stores.as_ref().filter(|_| has(Role::Crawl)) {
        crawler = Some(service::start_crawler(config, stores, None, true, &mut registry)?);
    }
    if let Some(stores) = stores.as_ref().filter(|_| has(Role::Pack)) {
        let catalog = assembly::open_catalog(&folder, config, stores)?;
        catalog.reconcile().await?;
        packer = Some(service::start_packer(config, &folder, stores, &catalog, &mut registry).await?);
    }
    if has(Role::Run) {
        let runner = scrapers::open_runner(config, &folder, assembly::open_archive(config)?, Part::Works)?;
        runner.register_metrics(&mut registry);
        working = Some(scrapers::start(config, &runner, Part::Works, stop.clone())?);
    }
    say()?;
    let router = web::operations(registry).merge(store.unwrap_or_default());
    web::serve(listener, router, stop).await;
    drop(upkeep);
    if let Some(working) = working {
        working.stopped().await?;
    }
    if let Some(crawler) = crawler {
        crawler.stop().await;
    }
    if let Some(packer) = packer {
        packer.stop().await?;
    }
    Ok(Exit::Done)
}

/// Says what is served where, to people and programs.
fn announce(output: Output, roles: &[&str], address: SocketAddr) -> Result<()> {
    output::say(&format!(
        "{} at http://{address}/ (Ctrl-C stops)",
        roles.join(", ")
    ));
    if output.json {
        output.json(&serde_json::json!({ "listening": format!("http://{address}/"), "roles": roles }))?;
    }
    Ok(())
}

/// The crawl database over HTTP.
fn store_router(config: &Config, folder: &DataFolder, figures: &StoreMetrics) -> Result<axum::Router> {
    if !config.crawldb.is_empty() {
        return Err(Usage(
            "a process of the role crawldb serves its own file: leave `crawldb` empty".to_owned(),
        )
        .into());
    }
    let crawldb = figures.observe(&assembly::open_crawldb(folder, config)?);
    let options = RouterOptions {
        token: assembly::crawldb_token(config)?,
    };
    Ok(remote::router(
        Arc::clone(crawldb.store()),
        Arc::clone(crawldb.documents()),
        options,
    ))
}

/// The folder is shared; of some roles there is one process.
fn locks(folder: &DataFolder, roles: &[Role], purpose: &str) -> Result<Vec<FolderLock>> {
    let mut locks = vec![folder.share(purpose)?];
    for role in [Role::Crawldb, Role::Pack, Role::Web] {
        let is_needed = roles.contains(&role) || (role == Role::Pack && roles.contains(&Role::Web));
        if is_needed {
            locks.push(folder.lock_role(name(role), purpose)?);
        }
    }
    Ok(locks)
}

fn name(role: Role) -> &'static str {
    match role {
        Role::Crawldb => "crawldb",
        Role::Crawl => "crawl",
        Role::Pack => "pack",
        Role::Run => "run",
        Role::Web => "web",
    }
}
