use anyhow::{Context, Result};
use crawler::Takeover;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::assembly::Company;
use crate::config::Config;
use crate::data_folder::DataFolder;
use crate::exit::Exit;
use crate::output::{self, Output};
use crate::scrapers::{self, Part};
use crate::service::{self, Service};
use crate::shutdown;

/// Serves everything until Ctrl-C, and goes on with crawls that were interrupted.
pub(crate) async fn run(config: &Config, output: Output) -> Result<Exit> {
    let folder = DataFolder::create(&config.data)?;
    let listener = listen(config).await?;
    let address = listener.local_addr()?;
    let _lock = folder.lock(&format!("haul up at http://{address}/"))?;
    let stop = shutdown::listen()?;
    let service = Service::start(config, &folder, Company::Alone, true).await?;
    let resumed = service.crawler.resume(Takeover::All).await?;
    for id in &resumed {
        output::say(&format!("going on with crawl {id}"));
    }
    output::say(&format!(
        "search, sources and crawls at http://{address}/ (Ctrl-C stops)"
    ));
    if output.json {
        output.json(&serde_json::json!({ "listening": format!("http://{address}/") }))?;
    }
    serve(config, &folder, service, None, Part::Works, listener, stop).await?;
    Ok(Exit::Done)
}

pub(crate) async fn listen(config: &Config) -> Result<TcpListener> {
    let bound = TcpListener::bind(&config.listen).await;
    bound.with_context(|| {
        format!(
            "{} cannot be listened on; choose another address with --listen",
            config.listen
        )
    })
}

/// Serves pages and API over `service`, and the crawl database where `store` is given, until `stop`, then stops the service in order.
pub(crate) async fn serve(
    config: &Config,
    folder: &DataFolder,
    service: Service,
    store: Option<axum::Router>,
    part: Part,
    listener: TcpListener,
    stop: CancellationToken,
) -> Result<()> {
    let library = service::open_library(config, folder.packs())?;
    let (follower, log, token) = (library.clone(), service.stores.log.clone(), stop.clone());
    let following = tokio::spawn(async move { follower.run(&log, "local", token).await });
    let Service {
        stores,
        crawler,
        packer,
        catalog,
        mut registry,
        cleaning,
        watching,
    } = service;
    library.metrics().register(&mut registry);
    let runner = scrapers::open_runner(config, folder, stores.archive.clone(), part)?;
    runner.register_metrics(&mut registry);
    let working = scrapers::start(config, &runner, part, stop.clone())?;
    let names = config
        .names
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty());
    let deps = web::Deps {
        ledger: stores.ledger.clone(),
        crawler: crawler.clone(),
        packer: packer.clone(),
        library,
        archive: stores.archive.clone(),
        catalog,
        runner,
        access: scrapers::access(config)?,
        store,
        folders: Vec::new(),
        registry,
        names: names.map(ToOwned::to_owned).collect(),
        stop: stop.clone(),
    };
    web::serve(listener, web::router(deps), stop).await;
    following.await??;
    working.stopped().await?;
    drop((cleaning, watching));
    crawler.stop().await;
    packer.stop().await?;
    Ok(())
}
