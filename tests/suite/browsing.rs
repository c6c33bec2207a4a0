//! What people see: a real browser on `haul demo`.

use anyhow::{Context, Result, ensure};
use tests::{Bench, Browser, Haul, Need};

pub(crate) fn add(bench: &mut Bench) {
    bench.test(
        "browser: search, follow a result, look at a crawl",
        &[Need::Program("chromium")],
        search_and_look,
    );
}

fn search_and_look() -> Result<()> {
    let haul = Haul::new()?;
    let mut demo = haul.start(&["demo", "--listen", "127.0.0.1:0"])?;
    let address = demo.says("search page, sources and crawls at ")?;
    let address = address
        .split_whitespace()
        .next()
        .context("no address")?
        .trim_end_matches('/')
        .to_owned();

    let mut browser = Browser::start()?;
    let mut page = browser.page()?;
    page.open(&format!("{address}/"))?;
    page.submit("input[name=q]", "recycling glass")?;
    let shown = page.text("main")?;
    ensure!(shown.contains("Recycling and rubbish"), "no result: {shown}");
    let marked = page.evaluate("document.querySelectorAll('main mark').length")?;
    ensure!(marked.as_u64() > Some(0), "nothing is highlighted: {shown}");
    let first = page.evaluate("document.querySelector('main .section a').href")?;
    let first = first.as_str().context("no link to the page")?.to_owned();
    ensure!(
        first.contains("/services/recycling#glass"),
        "the result leads to {first}"
    );

    page.open(&format!("{address}/crawls"))?;
    page.follow("main a[href*='/crawls/']")?;
    let crawl = page.text("main")?;
    ensure!(
        crawl.to_lowercase().contains("completed"),
        "no state of the crawl: {crawl}"
    );

    page.open(&format!("{address}/sources/hollow-county/items"))?;
    ensure!(page.text("main")?.contains("/services/recycling"), "no items");
    demo.interrupt()?;
    Ok(())
}
