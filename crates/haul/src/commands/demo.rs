use anyhow::{Context, Result, bail};
use crawldb::{CrawlKind, RetryPolicy};
use model::{PageUrl, SourceId};
use search::Request;
use tokio::net::TcpListener;

use crate::assembly::Company;
use crate::cli::{self, Site};
use crate::commands::{crawl, search as searching, up};
use crate::config::Config;
use crate::data_folder::DataFolder;
use crate::demo_site::{self, DemoSite};
use crate::exit::Exit;
use crate::output::{self, Output};
use crate::scrapers::Part;
use crate::service::{self, Service};
use crate::shutdown;
use crate::site::{self, Place};

/// Crawls, packs, searches and serves the site that is part of this program. Needs no network and leaves nothing.
pub(crate) async fn run(config: &Config, output: Output, demo: &cli::Demo) -> Result<Exit> {
    let private = tempfile::Builder::new().prefix("haul-demo-").tempdir()?;
    let config = Config {
        data: private.path().to_owned(),
        archive: String::new(),
        ..config.clone()
    };
    let folder = DataFolder::create(&config.data)?;
    let stop = shutdown::listen()?;
    let site = demo_site::serve().await?;
    output::say(&format!(
        "a small county's three sites are served on {}; crawling {}",
        site.addr,
        site.start()
    ));

    let service = Service::start(&config, &folder, Company::Alone, !demo.once).await?;
    let source = add_source(&service, &site).await?;
    let Some(done) = crawl::crawl_and_pack(&service, &source, CrawlKind::Full, &stop).await? else {
        return Ok(Exit::Interrupted);
    };
    crawl::summarise(&done);
    if done.packs.len() != site.hosts.len() {
        bail!("{} of {} hosts were packed", done.packs.len(), site.hosts.len());
    }
    show_sample(&config, &folder, output, &site).await?;
    if !demo.once {
        let listener = listen(&config).await?;
        let address = listener.local_addr()?;
        let ideas: Vec<String> = site
            .sample_queries
            .iter()
            .map(|query| format!("\"{query}\""))
            .collect();
        output::say(&format!("try {}", ideas.join(", ")));
        output::say(&format!(
            "search page, sources and crawls at http://{address}/ (Ctrl-C stops and leaves nothing)"
        ));
        up::serve(&config, &folder, service, None, Part::Works, listener, stop).await?;
    } else {
        service.stop().await?;
    }
    site.stop().await?;
    Ok(Exit::Done)
}

/// The usual port, or any where that one is taken.
async fn listen(config: &Config) -> Result<TcpListener> {
    match TcpListener::bind(&config.listen).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind("127.0.0.1:0")
            .await
            .context("no port of 127.0.0.1 is free"),
    }
}

async fn add_source(service: &Service, site: &DemoSite) -> Result<SourceId> {
    let settings = Site {
        delay_ms: Some(0),
        concurrency: None,
        max_pages: None,
        max_depth: None,
        hosts: site
            .hosts
            .iter()
            .map(|host| format!("{host}:{}", site.addr.port()))
            .collect(),
        include: Vec::new(),
        exclude: Vec::new(),
        allow_private: true,
        ignore_robots: false,
        resolve: site.resolve(),
    };
    let start = vec![PageUrl::parse(&site.start())?];
    let id = SourceId::new("hollow-county")?;
    let mut settings = site::settings(&id, Place::of_site(start), &settings)?;
    // The page that always fails is there to be seen, not to be waited for.
    settings.retry = RetryPolicy {
        max_retries: 1,
        initial_ms: 100,
        ..RetryPolicy::default()
    };
    let source = service
        .stores
        .crawldb
        .add_source(id, settings, crawl::now())
        .await?;
    Ok(source.id)
}

async fn show_sample(config: &Config, folder: &DataFolder, output: Output, site: &DemoSite) -> Result<()> {
    let library = service::open_library(config, folder.packs())?;
    library.refresh_all().await?;
    let query = site.sample_queries.first().copied().unwrap_or("county");
    let answer = library
        .search(&Request {
            per_page: 1,
            ..Request::new(query)
        })
        .await?;
    output::say(&format!("haul search {query}"));
    searching::show(output, query, &answer)
}
