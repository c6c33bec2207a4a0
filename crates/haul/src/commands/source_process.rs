//! One source as a process of its own.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use model::SourceId;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

use crate::assembly::{Company, Stores};
use crate::config::Config;
use crate::data_folder::DataFolder;
use crate::exit::{Exit, NoSource};
use crate::output::{self, Output};
use crate::{monitoring, service, shutdown};

/// Looks after a source until Ctrl-C: crawls by its schedule and those that are asked for, live updates, orphans. The
/// crawl database may be a service elsewhere; log and archive are those of the configuration.
pub(crate) async fn run(
    config: &Config,
    output: Output,
    id: &SourceId,
    metrics: Option<SocketAddr>,
) -> Result<Exit> {
    let folder = DataFolder::create(&config.data)?;
    let _lock = folder.share(&format!("haul source {id}"))?;
    let stop = shutdown::listen()?;
    let stores = Stores::open(&folder, config, Company::Shared)?;
    let Some(_) = stores.crawldb.source(id).await? else {
        bail!(NoSource(id.clone()));
    };
    stores.archive.probe().await?;
    let listener =
        match metrics {
            Some(address) => {
                let bound = TcpListener::bind(address).await;
                Some(bound.with_context(|| {
                    format!("{address} cannot be listened on; choose another for --metrics")
                })?)
            }
            None => None,
        };
    stores.crawldb.claim_source(id, &stores.owner).await?;
    let mut registry = Registry::default();
    let crawler = service::start_crawler(config, &stores, Some(vec![id.clone()]), true, &mut registry)?;
    let _watching = monitoring::watch(&stores, &folder, &mut registry);
    output::say(&format!("looking after {id} (Ctrl-C stops)"));
    match listener {
        Some(listener) => {
            let address = listener.local_addr()?;
            output::say(&format!("metrics at http://{address}/metrics"));
            if output.json {
                output.json(
                    &serde_json::json!({ "source": id, "metrics": format!("http://{address}/metrics") }),
                )?;
            }
            web::serve(listener, web::operations(registry), stop).await;
        }
        None => stop.cancelled().await,
    }
    crawler.stop().await;
    Ok(Exit::Done)
}
