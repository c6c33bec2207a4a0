//! What people decide, in a real browser: about items that failed, items that are missed, settings, and a source.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::{Answer, Bench, Browser, Haul, Need, Page, Request, Running, Site, wait};

const HOST: &str = "127.0.0.1";
const PAGES: usize = 12;
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn add(bench: &mut Bench) {
    let chromium = [Need::Program("chromium")];
    bench.test(
        "browser: an item that failed is left alone, then tried again",
        &chromium,
        what_failed,
    );
    bench.test(
        "browser: a blocked crawl is approved, candidates are kept and deleted, the source goes",
        &chromium,
        what_is_missed,
    );
}

/// A site of a start page and others, of which some are gone or broken.
#[derive(Clone, Default)]
struct Library(Arc<Mutex<Shelves>>);

#[derive(Default)]
struct Shelves {
    gone: BTreeSet<usize>,
    broken: BTreeSet<usize>,
}

impl Library {
    fn serve(&self) -> Result<Site> {
        let library = self.clone();
        Site::serve(move |request| library.answer(request))
    }

    fn change(&self, change: impl FnOnce(&mut Shelves)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn answer(&self, request: &Request) -> Answer {
        let shelves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if request.path == "/" {
            let there = (0..PAGES).filter(|number| !shelves.gone.contains(number));
            let links: Vec<String> = there.map(|number| format!("/book/{number}")).collect();
            return Answer::page("Library", "All the books.", &links);
        }
        let number = request
            .path
            .strip_prefix("/book/")
            .and_then(|number| number.parse().ok());
        match number {
            Some(number) if shelves.broken.contains(&number) => Answer::status(500),
            Some(number) if number < PAGES && !shelves.gone.contains(&number) => Answer::page(
                &format!("Book {number}"),
                &format!("The tale of otter{number}."),
                &[],
            ),
            _ => Answer::status(404),
        }
    }
}

/// `haul up` with a library, which was added with the form.
struct Desk {
    haul: Haul,
    up: Running,
    address: String,
    library: Library,
    site: Site,
    source: String,
}

impl Desk {
    fn open(page: &mut Page<'_>, library: Library) -> Result<Self> {
        let site = library.serve()?;
        let haul = Haul::new()?;
        let mut up = haul.start(&["up", "--listen", "127.0.0.1:0", "--pack-idle-ms", "100"])?;
        let said = up.says("http://127.0.0.1:")?;
        let (port, _) = said.split_once('/').context("no port")?;
        let address = format!("http://127.0.0.1:{port}");
        page.open(&format!("{address}/sources/new"))?;
        fill(page, "name", "The library")?;
        page.submit("#url", &site.url(HOST, "/"))?;
        let place = page.evaluate("location.pathname")?;
        let source = place.as_str().and_then(|place| place.strip_prefix("/sources/"));
        let source = source.context("the form leads to no source")?.to_owned();
        let desk = Self {
            haul,
            up,
            address,
            library,
            site,
            source,
        };
        desk.set(&["--allow-private", "--delay-ms", "0"])?;
        desk.set(&["--max-retries", "1", "--retry-initial-ms", "10"])?;
        Ok(desk)
    }

    fn set(&self, flags: &[&str]) -> Result<()> {
        let words = [&["source", "set", &self.source], flags].concat();
        self.haul.expect(0, &words).map(drop)
    }

    fn go(&self, page: &mut Page<'_>, place: &str) -> Result<()> {
        page.open(&format!("{}{place}", self.address))
    }

    /// Starts a crawl on the page of the source and waits until its page says that it is over.
    fn crawl(&self, page: &mut Page<'_>, end: &str) -> Result<String> {
        self.go(page, &format!("/sources/{}", self.source))?;
        page.follow("button[value=full]")?;
        page.until(&format!(
            "document.querySelector('[data-live=status]').innerText === {} && {}",
            json!(end),
            has("took")
        ))?;
        page.text("main")
    }

    fn item(&self, page: &mut Page<'_>, number: usize) -> Result<String> {
        let id = self.site.url(HOST, &format!("/book/{number}"));
        self.go(page, &format!("/sources/{}/item?id={id}", self.source))?;
        page.text("main")
    }

    /// Waits until a search finds so many pages with these words.
    fn finds(&self, words: &str, pages: usize) -> Result<()> {
        let what = format!("{pages} pages with {words}");
        wait::until(&what, LIMIT, || {
            Ok((self.haul.search(words)?["total"] == pages).then_some(()))
        })
    }

    fn close(self) -> Result<()> {
        let ended = self.up.interrupt()?;
        ensure!(ended.code == Some(0), "{ended:#?}");
        Ok(())
    }
}

/// An expression that is true when the page shows this text.
fn has(text: &str) -> String {
    format!(
        "document.querySelector('main').innerText.includes({})",
        json!(text)
    )
}

fn fill(page: &mut Page<'_>, field: &str, text: &str) -> Result<()> {
    let (field, text) = (json!(format!("[name={field}]")), json!(text));
    let filled = format!("document.querySelector({field}).value = {text}");
    page.evaluate(&filled).map(drop)
}

fn tick(page: &mut Page<'_>, selector: &str) -> Result<()> {
    let selector = json!(selector);
    let ticked = format!("document.querySelector({selector}).checked = true");
    page.evaluate(&ticked).map(drop)
}

/// Says why and who, and presses the button.
fn decide(page: &mut Page<'_>, reason: &str, button: &str) -> Result<()> {
    fill(page, "reason", reason)?;
    fill(page, "by", "Ada")?;
    page.follow(button)
}

fn shows(page: &mut Page<'_>, texts: &[&str]) -> Result<()> {
    let shown = page.text("main")?;
    for text in texts {
        ensure!(shown.contains(text), "{text:?} is not shown: {shown}");
    }
    Ok(())
}

fn what_failed() -> Result<()> {
    let mut browser = Browser::start()?;
    let mut page = browser.page()?;
    let library = Library::default();
    library.change(|shelves| shelves.broken.extend([3]));
    let desk = Desk::open(&mut page, library)?;
    let crawl = desk.crawl(&mut page, "completed")?;
    ensure!(
        crawl.contains(&format!("{} of {0} items done", PAGES + 1)),
        "{crawl}"
    );
    desk.finds("tale", PAGES - 1)?;

    desk.go(&mut page, "/escalations")?;
    shows(&mut page, &["/book/3", "500"])?;
    decide(&mut page, "nothing is ticked", "button[value=ignore]")?;
    shows(&mut page, &["Tick at least one item"])?;
    desk.go(&mut page, "/escalations")?;
    tick(&mut page, "input[type=checkbox][name=item]")?;
    decide(&mut page, "the shelf is being mended", "button[value=ignore]")?;
    shows(&mut page, &["Nothing waits for you here."])?;
    desk.go(&mut page, "/escalations?state=ignored")?;
    shows(&mut page, &["/book/3", "the shelf is being mended", "Ada"])?;

    desk.library.change(|shelves| shelves.broken.clear());
    tick(&mut page, "input[name=all]")?;
    decide(&mut page, "the shelf is mended", "button[value=requeue]")?;
    desk.finds("otter3", 1)?;
    let item = desk.item(&mut page, 3)?;
    ensure!(item.contains("by Ada: the shelf is mended"), "{item}");
    desk.close()
}

fn what_is_missed() -> Result<()> {
    let mut browser = Browser::start()?;
    let mut page = browser.page()?;
    let desk = Desk::open(&mut page, Library::default())?;
    desk.set(&["--guard-items", "0", "--guard-percent", "1"])?;
    desk.crawl(&mut page, "completed")?;
    desk.finds("tale", PAGES)?;
    approve(&desk, &mut page)?;
    let place = change_settings(&desk, &mut page)?;
    keep_and_delete(&desk, &mut page)?;

    page.open(&place)?;
    page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")?;
    tick(&mut page, "input[name=sure]")?;
    page.follow("form[action$='/delete'] button")?;
    desk.finds("tale", 0)?;
    wait::until("the source to go", LIMIT, || {
        let listed = desk.haul.run(&["source", "list", "--json"])?;
        Ok(listed.stdout.is_empty().then_some(()))
    })?;
    desk.close()
}

/// Two of twelve pages go; the guard objects until somebody says that it is right.
fn approve(desk: &Desk, page: &mut Page<'_>) -> Result<()> {
    desk.library.change(|shelves| shelves.gone.extend([1, 2]));
    let crawl = desk.crawl(page, "blocked")?;
    ensure!(crawl.contains("2 of 13 items are missing"), "{crawl}");
    desk.finds("tale", PAGES)?;
    desk.go(page, "/orphans")?;
    shows(page, &["Blocked crawls", "2 of 13 items are missing"])?;
    wait::until("the navigation to count it", LIMIT, || {
        desk.go(page, "/orphans")?;
        let badge =
            page.evaluate("document.querySelector('header a[href=\"/orphans\"] .badge')?.innerText")?;
        Ok(badge.as_str().filter(|badge| badge.starts_with('1')).map(drop))
    })?;
    page.follow("main td a[href$='#orphans']")?;
    decide(page, "they were sold", "form[action$='/approve'] button")?;
    shows(page, &["Approved by Ada", "they were sold"])?;
    desk.finds("tale", PAGES - 2)?;
    desk.finds("otter1", 0)?;
    let item = desk.item(page, 1)?;
    ensure!(item.to_lowercase().contains("deleted"), "{item}");
    Ok(())
}

/// From now on a person decides about each page. The source's page and its settings say so.
fn change_settings(desk: &Desk, page: &mut Page<'_>) -> Result<String> {
    let place = format!("{}/sources/{}", desk.address, desk.source);
    page.open(&format!("{place}/settings"))?;
    fill(page, "deletion", "none")?;
    fill(page, "guard_items", "20")?;
    page.submit("#name", "The old library")?;
    shows(page, &["The old library", "it cannot tell; a person decides"])?;
    page.open(&format!("{place}/settings"))?;
    shows(
        page,
        &[
            "deletion: enumerate \u{2192} none",
            "name: The library \u{2192} The old library",
        ],
    )?;
    Ok(place)
}

fn keep_and_delete(desk: &Desk, page: &mut Page<'_>) -> Result<()> {
    desk.library.change(|shelves| shelves.gone.extend([5, 6]));
    desk.crawl(page, "completed")?;
    desk.go(page, "/orphans")?;
    shows(page, &["/book/5", "/book/6", "missed by 1 crawl"])?;
    tick(page, "input[name=item][value$='/book/5']")?;
    decide(page, "it is only lent", "button[value=keep]")?;
    tick(page, "input[name=item][value$='/book/6']")?;
    decide(page, "it was sold", "button[value=delete]")?;
    shows(page, &["No item is missed."])?;
    desk.finds("tale", PAGES - 3)?;
    desk.finds("otter5", 1)?;
    for (number, ruling) in [(5, "keep"), (6, "take for gone")] {
        let item = desk.item(page, number)?;
        ensure!(item.contains(ruling) && item.contains("by Ada"), "{item}");
    }
    Ok(())
}
