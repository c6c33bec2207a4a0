//! What sites do wrong: the crawl goes on with everything else, ends, and says what failed and why.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpListener;

use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use tests::{Answer, Bench, Ended, Haul, Request, Site};

pub(crate) fn add(bench: &mut Bench) {
    bench.test("fault: a host that cannot be reached", &[], unreachable);
    bench.test("fault: a server that does not speak TLS", &[], no_tls);
    bench.test("fault: redirects in a circle", &[], redirect_circle);
    bench.test("fault: a calendar without end", &[], endless_calendar);
    bench.test("fault: bodies beyond the limit, packed or not", &[], large_bodies);
    bench.test("fault: a broken PDF among good pages", &[], broken_pdf);
    bench.test(
        "fault: broken HTML and a wrong charset are read all the same",
        &[],
        broken_html,
    );
    bench.test("fault: a server that fails now and then", &[], passing_failure);
}

const HOST: &str = "www.faults.example";

/// A crawl of one site that is over.
struct Crawled {
    haul: Haul,
    site: Site,
    ended: Ended,
}

/// Crawls what `answering` serves; links to every one of `paths` stand on the start page.
fn crawl(
    paths: &'static [&'static str],
    answering: impl Fn(&Request) -> Answer + Send + Sync + 'static,
) -> Result<Crawled> {
    let site = Site::serve(move |request| match request.path.as_str() {
        "/" => Answer::page(
            "Start",
            "The start of it.",
            &paths.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ),
        "/robots.txt" | "/sitemap.xml" => Answer::status(404),
        _ => answering(request),
    })?;
    let haul = Haul::new()?;
    let url = site.url(HOST, "/");
    let mut words = vec![
        "crawl".to_owned(),
        url,
        "--source".to_owned(),
        "faults".to_owned(),
    ];
    words.extend(site.flags(&[HOST]));
    let ended = haul.run(&words)?;
    Ok(Crawled { haul, site, ended })
}

impl Crawled {
    /// The state and the error of the item at each path.
    fn items(&self) -> Result<BTreeMap<String, (String, String)>> {
        let prefix = self.site.url(HOST, "");
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let items = self.haul.items("faults")?;
        let described = items.iter().map(|item| {
            let path = text(&item["url"]).replace(&prefix, "");
            (path, (text(&item["state"]), text(&item["last_error"]["message"])))
        });
        Ok(described.collect())
    }

    /// Fails unless the item at `path` is escalated with an error that holds `word`.
    fn escalated(&self, path: &str, word: &str) -> Result<()> {
        let items = self.items()?;
        let (state, error) = items
            .get(path)
            .with_context(|| format!("no item {path}: {items:#?}"))?;
        ensure!(state == "escalated", "{path} is {state}: {items:#?}");
        ensure!(error.contains(word), "{path} must say {word:?}: {error}");
        Ok(())
    }

    /// Fails unless so many pages are found.
    fn finds(&self, words: &str, total: u64) -> Result<()> {
        let answer = self.haul.search(words)?;
        ensure!(
            answer["total"] == total,
            "{words} must find {total}: {answer:#} {:#?}",
            self.ended
        );
        Ok(())
    }
}

fn unreachable() -> Result<()> {
    let closed = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    let haul = Haul::new()?;
    let ended = haul.run(&[
        "crawl",
        &format!("http://127.0.0.1:{closed}/"),
        "--source",
        "gone",
        "--allow-private",
    ])?;
    ensure!(ended.code == Some(1), "{ended:#?}");
    let items = haul.items("gone")?;
    ensure!(items[0]["state"] == "escalated", "{items:#?}");
    ended.says(&["1 escalated", "haul escalation list gone"])
}

fn no_tls() -> Result<()> {
    let site = Site::serve(|_| Answer::page("Plain", "No TLS here.", &[]))?;
    let haul = Haul::new()?;
    let url = site.url("127.0.0.1", "/").replace("http://", "https://");
    let ended = haul.run(&["crawl", &url, "--source", "plain", "--allow-private"])?;
    ensure!(ended.code == Some(1), "{ended:#?}");
    let items = haul.items("plain")?;
    ensure!(items[0]["state"] == "escalated", "{items:#?}");
    ensure!(
        items[0]["last_error"]["message"]
            .as_str()
            .is_some_and(|text| !text.is_empty()),
        "{items:#?}"
    );
    Ok(())
}

fn redirect_circle() -> Result<()> {
    let crawled = crawl(&["/a", "/good"], |request| match request.path.as_str() {
        "/a" => Answer::redirect("/b"),
        "/b" => Answer::redirect("/c"),
        "/c" => Answer::redirect("/a"),
        _ => Answer::page("Good", "A good page.", &[]),
    })?;
    crawled.finds("good", 1)?;
    let items = crawled.items()?;
    ensure!(
        items
            .values()
            .all(|(state, _)| state != "in_flight" && state != "pending"),
        "{items:#?}"
    );
    for path in ["/a", "/b", "/c"] {
        let asked = crawled.site.asked_for(&format!("{HOST}{path}"));
        ensure!(asked == 1, "{path} was fetched {asked} times");
    }
    Ok(())
}

fn endless_calendar() -> Result<()> {
    let crawled = crawl(&["/calendar?day=0"], |request| {
        let day: u64 = request
            .path
            .rsplit('=')
            .next()
            .and_then(|day| day.parse().ok())
            .unwrap_or_default();
        Answer::page(
            &format!("Day {day}"),
            "Nothing planned.",
            &[1, 2].map(|n| format!("/calendar?day={}", day + n)),
        )
    })?;
    ensure!(crawled.ended.code == Some(0), "{:#?}", crawled.ended);
    let asked = crawled.site.asked().len();
    ensure!(asked <= 1010, "{asked} different pages of a trap were fetched");
    Ok(())
}

fn large_bodies() -> Result<()> {
    const BEYOND: usize = 40 << 20;
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&vec![b' '; BEYOND])?;
    let bomb = bomb.finish()?;
    let crawled = crawl(&["/large", "/bomb", "/good"], move |request| {
        match request.path.as_str() {
            "/large" => Answer::bytes("text/html", vec![b'x'; BEYOND]),
            "/bomb" => Answer::bytes("text/html", bomb.clone()).header("content-encoding", "gzip"),
            _ => Answer::page("Good", "A good page.", &[]),
        }
    })?;
    crawled.finds("good", 1)?;
    crawled.escalated("/large", "large")?;
    crawled.escalated("/bomb", "large")
}

fn broken_pdf() -> Result<()> {
    let crawled = crawl(&["/report.pdf", "/good"], |request| match request.path.as_str() {
        "/report.pdf" => Answer::bytes(
            "application/pdf",
            "%PDF-1.7\n1 0 obj << /Type /Catalog /Pages 9 0 R >>",
        ),
        _ => Answer::page("Good", "A good page.", &[]),
    })?;
    crawled.finds("good", 1)?;
    crawled.escalated("/report.pdf", "pdf")
}

fn broken_html() -> Result<()> {
    let crawled = crawl(&["/open", "/latin"], |request| match request.path.as_str() {
        "/open" => Answer::html(
            "<title>Open</title><p><b>unclosed <i>lantern</b> in <table><td>the hall <!-- and then",
        ),
        _ => Answer::bytes(
            "text/html",
            b"<meta charset=iso-8859-1><title>Caf\xe9</title><p>\x93Cr\xe8me\x94".to_vec(),
        ),
    })?;
    crawled.finds("lantern", 1)?;
    crawled.finds("crème", 1)?;
    crawled.finds("café", 1)
}

fn passing_failure() -> Result<()> {
    let failures = std::sync::atomic::AtomicUsize::new(0);
    let crawled = crawl(&["/shaky"], move |_| {
        match failures.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => Answer::status(503).header("retry-after", "1"),
            _ => Answer::page("Shaky", "It stands again.", &[]),
        }
    })?;
    ensure!(crawled.ended.code == Some(0), "{:#?}", crawled.ended);
    crawled.finds("stands again", 1)
}
