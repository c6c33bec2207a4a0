//! `kill -9` of every process of a crawl, at random moments, while the site changes and tells so: in the end the index
//! is what the site is.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tests::{Answer, Bench, Haul, Numbers, Request, Running, Site};

const PAGES: u64 = 150;
const SEED: u64 = 20_261_123;
const HOST: &str = "tree.example";
const SOURCE: &str = "tree";
/// How many kills; the variable `HAUL_OUTAGES` asks for another number.
const KILLS: u64 = 15;
/// How long the processes may take to be level with the site once nobody is killed any more.
const QUIET: Duration = Duration::from_secs(120);

pub(crate) fn add(bench: &mut Bench) {
    bench.test(
        "kill -9: crawl database, crawlers, listeners and janitors, with live updates",
        &[],
        kill_them_all,
    );
}

/// What the site is: the edition of each page, none for one that is gone.
#[derive(Clone, Default)]
struct Tree(Arc<Mutex<BTreeMap<u64, Option<u32>>>>);

impl Tree {
    fn edition(&self, number: u64) -> Option<u32> {
        let changed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        changed.get(&number).copied().unwrap_or(Some(1))
    }

    fn set(&self, number: u64, edition: Option<u32>) {
        let mut changed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        changed.insert(number, edition);
    }

    fn answer(&self, request: &Request) -> Answer {
        let number = request
            .path
            .strip_prefix("/p/")
            .and_then(|number| number.parse().ok());
        let Some(number) = number.filter(|number| *number < PAGES) else {
            return Answer::status(404);
        };
        let Some(edition) = self.edition(number) else {
            return Answer::status(410);
        };
        let children = (1..=3)
            .map(|branch| number * 3 + branch)
            .filter(|child| *child < PAGES);
        let links: Vec<String> = children.map(|child| format!("/p/{child}")).collect();
        let words = format!("This is branch{number} of the great tree.");
        Answer::page(&title(number, edition), &words, &links).after(Duration::from_millis(8))
    }

    /// Titles by path.
    fn titles(&self) -> BTreeMap<String, String> {
        let titled = |number| Some((format!("/p/{number}"), title(number, self.edition(number)?)));
        (0..PAGES).filter_map(titled).collect()
    }
}

fn title(number: u64, edition: u32) -> String {
    format!("Page {number} edition {edition}")
}

/// The processes: the crawl database, and two that crawl, listen and clean up.
struct Processes<'a> {
    haul: &'a Haul,
    store: u16,
    running: Vec<Option<Running>>,
}

impl<'a> Processes<'a> {
    fn start(haul: &'a Haul) -> Result<Self> {
        let mut processes = Self {
            haul,
            store: free_port()?,
            running: vec![None, None, None],
        };
        for number in 0..3 {
            processes.restart(number)?;
        }
        Ok(processes)
    }

    fn restart(&mut self, number: usize) -> Result<()> {
        if let Some(running) = self.running[number].take() {
            running.kill()?;
        }
        let store = format!("127.0.0.1:{}", self.store);
        let url = self.crawldb();
        let words: Vec<&str> = match number {
            0 => vec!["serve", "--roles", "crawldb", "--listen", &store],
            _ => vec![
                "serve",
                "--roles",
                "crawl",
                "--crawldb",
                &url,
                "--listen",
                "127.0.0.1:0",
            ],
        };
        self.running[number] = Some(self.haul.start(&words)?);
        Ok(())
    }

    fn crawldb(&self) -> String {
        format!("http://127.0.0.1:{}", self.store)
    }

    /// Every process that has ended by itself, with what it said.
    fn check(&mut self) -> Result<()> {
        for running in self.running.iter_mut().flatten() {
            if running.is_over()? {
                bail!("a process ended by itself: {}", running.said()?);
            }
        }
        Ok(())
    }

    fn stop(mut self) -> Result<()> {
        // The workers first: they need the crawl database to give back what they hold.
        for running in self.running.iter_mut().rev().filter_map(Option::take) {
            running.interrupt()?;
        }
        Ok(())
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn kills() -> u64 {
    let asked = std::env::var("HAUL_OUTAGES").ok();
    asked.and_then(|asked| asked.parse().ok()).unwrap_or(KILLS)
}

fn kill_them_all() -> Result<()> {
    let tree = Tree::default();
    let served = tree.clone();
    let site = Site::serve(move |request| served.answer(request))?;
    let haul = Haul::new()?;
    add_source(&haul, &site)?;
    let mut processes = Processes::start(&haul)?;
    let mut numbers = Numbers(SEED);
    for _ in 0..kills() {
        sleep(Duration::from_millis(200 + numbers.below(1_500)));
        change(&haul, &site, &tree, &mut numbers)?;
        processes.restart(numbers.below(3) as usize)?;
    }
    let (quiet_since, quiet_at) = (Instant::now(), now_ms());
    while !is_crawled_since(&haul, &processes, quiet_at)? {
        processes.check()?;
        ensure!(
            quiet_since.elapsed() < QUIET,
            "no crawl was completed: {:#}",
            source(&haul, &processes)?
        );
        sleep(Duration::from_millis(200));
    }
    processes.stop()?;
    compare(&haul, &site, &tree)
}

fn add_source(haul: &Haul, site: &Site) -> Result<()> {
    let url = site.url(HOST, "/p/0");
    let mut add: Vec<String> = [
        "source",
        "add",
        SOURCE,
        &url,
        "--schedule",
        "every 1s",
        "--retry-initial-ms",
        "20",
    ]
    .map(str::to_owned)
    .into();
    add.extend(site.flags(&[HOST]));
    haul.expect(0, &add)?;
    Ok(())
}

/// A page changes, or a leaf goes or comes back; the site tells.
fn change(haul: &Haul, site: &Site, tree: &Tree, numbers: &mut Numbers) -> Result<()> {
    let number = numbers.below(PAGES);
    let url = site.url(HOST, &format!("/p/{number}"));
    let is_leaf = number * 3 + 1 >= PAGES;
    let next = match tree.edition(number) {
        Some(_) if is_leaf && numbers.below(3) == 0 => None,
        Some(edition) => Some(edition + 1),
        None => Some(100 + numbers.below(100) as u32),
    };
    tree.set(number, next);
    let mut tell = vec!["source", "tell", SOURCE, &url];
    if next.is_none() {
        tell.push("--gone");
    }
    haul.expect(0, &tell)?;
    Ok(())
}

fn source(haul: &Haul, processes: &Processes<'_>) -> Result<Value> {
    let url = processes.crawldb();
    for _ in 0..100 {
        let ended = haul.run(&["source", "show", SOURCE, "--json", "--crawldb", &url])?;
        if ended.code == Some(0) {
            return ended.json();
        }
        // The crawl database was just killed.
        sleep(Duration::from_millis(100));
    }
    bail!("the crawl database does not answer")
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

/// Whether a crawl that began after `moment` was completed: it saw everything that was changed before.
fn is_crawled_since(haul: &Haul, processes: &Processes<'_>, moment: u64) -> Result<bool> {
    let source = source(haul, processes)?;
    let crawls = source["crawls"].as_array().context("no crawls")?.clone();
    Ok(crawls
        .iter()
        .any(|crawl| crawl["started_at"].as_u64().unwrap_or(0) > moment && crawl["status"] == "completed"))
}

/// One line per crawl, newest first.
fn history(haul: &Haul) -> Result<String> {
    Ok(haul.expect(0, &["source", "show", SOURCE])?.stdout)
}

/// One more crawl, by one process, finds nothing to change; and a search finds what the site is.
fn compare(haul: &Haul, site: &Site, tree: &Tree) -> Result<()> {
    // The first ones end what was begun, and pack it.
    let begun_at = now_ms();
    let mut ended = Value::Null;
    for _ in 0..4 {
        ended = haul.expect(0, &["crawl", SOURCE, "--json"])?.json()?;
        if ended["crawl"]["started_at"].as_u64() > Some(begun_at) {
            break;
        }
    }
    let totals = &ended["crawl"]["totals"];
    ensure!(
        ended["crawl"]["started_at"].as_u64() > Some(begun_at)
            && totals["new"] == 0
            && totals["changed"] == 0,
        "something was left to a last crawl: {ended:#}\n{}",
        history(haul)?
    );
    let (expected, found) = (tree.titles(), crate::week::titles(haul, &site.url(HOST, ""))?);
    ensure!(
        expected == found,
        "{}",
        crate::week::difference(&expected, &found)
    );
    let shown = haul.expect(0, &["index", "show", "--json"])?.json()?;
    ensure!(
        shown["documents"] == expected.len(),
        "{} pages are there: {shown}",
        expected.len()
    );
    let items = haul.items(SOURCE)?;
    ensure!(
        items
            .iter()
            .all(|item| item["state"] != "in_flight" && item["lease"].is_null()),
        "an item is in flight after the end: {items:#?}"
    );
    Ok(())
}
