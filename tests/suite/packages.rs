//! What is published has a name, and cannot be removed while something needs it.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::{Answer, Bench, Browser, Haul, Need, Page, Postgres, Site};

const NAME: &str = "www.clinic.example";

pub(crate) fn add(bench: &mut Bench) {
    bench.test(
        "package: a pack stays as long as a collection needs it",
        &[],
        || kept_by_a_collection(Haul::new()?),
    );
    bench.test(
        "package: a pack stays as long as a collection in PostgreSQL needs it",
        &[Need::Postgres],
        names_in_postgres,
    );
    bench.test("package: a database that does not answer", &[], no_database);
    bench.test("package: what is no package, or no host", &[], misuse);
    bench.test(
        "browser: a collection is made, and its pack cannot be removed",
        &[Need::Program("chromium")],
        on_the_page,
    );
}

/// A crawl of a small site that is over and published.
struct Published {
    haul: Haul,
    /// With its port.
    host: String,
    pack: String,
}

fn published(haul: Haul) -> Result<Published> {
    let site = Site::serve(|request| match request.path.as_str() {
        "/" => Answer::page("Clinic", "Vaccination every Tuesday.", &["/hours".to_owned()]),
        "/hours" => Answer::page("Hours", "Vaccination from nine to five.", &[]),
        _ => Answer::status(404),
    })?;
    let mut words = vec!["crawl".to_owned(), site.url(NAME, "/")];
    words.extend(["--source".to_owned(), "clinic".to_owned()]);
    words.extend(site.flags(&[NAME]));
    let crawled = haul.expect(0, &words)?;
    ensure!(
        haul.search("vaccination")?["total"] == 2,
        "the clinic is not found: {crawled:#?}"
    );
    let host = format!("{NAME}:{}", site.port());
    let pack = format!("pack/{host}");
    Ok(Published { haul, host, pack })
}

fn names_in_postgres() -> Result<()> {
    let database = Postgres::start(&[])?;
    kept_by_a_collection(Haul::new()?.with("HAUL_CATALOG", database.url()))
}

fn no_database() -> Result<()> {
    let Published { haul, .. } = published(Haul::new()?)?;
    for kind in ["postgres", "redis"] {
        let address = format!("{kind}://somebody:secret@127.0.0.1:1/0");
        let ended = haul.expect(1, &["package", "list", "--catalog", &address])?;
        ended.says(&["catalog", "127.0.0.1"])?;
        ensure!(!ended.stderr.contains("secret"), "{ended:#?}");
    }
    Ok(())
}

fn kept_by_a_collection(haul: Haul) -> Result<()> {
    let Published { haul, host, pack } = published(haul)?;
    let list = haul.expect(0, &["package", "list"])?;
    ensure!(list.stdout == format!("{pack}\n"), "{list:#?}");
    haul.expect(0, &["package", "collect", "health", &host])?;
    let list = haul.expect(0, &["package", "list"])?;
    ensure!(
        list.stdout == format!("collection/health  needs {pack}\n{pack}\n"),
        "{list:#?}"
    );
    let shown = haul.expect(0, &["package", "show", &pack, "--json"])?.json()?;
    let right = json!({ "name": pack, "dependencies": [], "dependents": ["collection/health"] });
    ensure!(shown == right, "{shown}");

    haul.expect(1, &["package", "rm", &pack])?.says(&[
        &pack,
        "cannot be removed",
        "collection/health",
        "first",
    ])?;
    ensure!(
        haul.search("vaccination")?["total"] == 2,
        "the pack is searched as before"
    );

    haul.expect(0, &["package", "rm", "collection/health"])?;
    haul.expect(0, &["package", "rm", &pack])?;
    haul.expect(3, &["package", "list"])?;
    let found = haul.run(&["search", "vaccination", "--json"])?;
    ensure!(
        !found.stdout.contains(&host) && !found.stderr.contains("panicked"),
        "{found:#?}"
    );
    haul.expect(0, &["doctor"])?;
    Ok(())
}

fn misuse() -> Result<()> {
    let Published { haul, host, pack } = published(Haul::new()?)?;
    haul.expect(1, &["package", "collect", "health", &host, "nowhere.example"])?
        .says(&["collection/health", "nowhere.example"])?;
    haul.expect(3, &["package", "show", "collection/health"])?;
    haul.expect(2, &["package", "collect", "Great Health", &host])?
        .says(&["Great Health", "a-z"])?;
    haul.expect(2, &["package", "collect", "health"])?;
    haul.expect(3, &["package", "rm", "pack/nowhere.example"])?
        .says(&["pack/nowhere.example", "haul package list"])?;
    for wrong in ["clinic", "pack/", "pack/../x", "dataset/x"] {
        haul.expect(2, &["package", "rm", wrong])?
            .says(&["pack/HOST", "collection/NAME"])?;
    }
    let list = haul.expect(0, &["package", "list"])?;
    ensure!(list.stdout == format!("{pack}\n"), "{list:#?}");
    Ok(())
}

fn on_the_page() -> Result<()> {
    let Published { haul, host, pack } = published(Haul::new()?)?;
    let mut up = haul.start(&["up", "--listen", "127.0.0.1:0"])?;
    let address = format!("http://127.0.0.1:{}", up.says("http://127.0.0.1:")?);
    let address = address
        .split_whitespace()
        .next()
        .context("no address")?
        .trim_end_matches('/');
    let mut browser = Browser::start()?;
    let mut page = browser.page()?;

    page.open(&format!("{address}/packages"))?;
    shows(&mut page, &[&pack])?;
    page.follow("main a[href='/packages/new']")?;
    page.evaluate("document.querySelector('main input[name=host]').checked = true")?;
    page.submit("main input[name=name]", "health")?;
    shows(&mut page, &["collection/health", &pack])?;

    page.follow("main li a")?;
    shows(&mut page, &[&pack, "collection/health", "cannot be removed"])?;
    let buttons = page.evaluate("document.querySelectorAll('main button.danger').length")?;
    ensure!(buttons == 0, "the pack can be removed");

    page.follow("main li a")?;
    page.follow("main button.danger")?;
    page.follow("main td a")?;
    // Meanwhile somebody else makes a collection: the page still has its button.
    page.evaluate(&format!(
        "fetch('/packages', {{ method: 'POST', body: new URLSearchParams({{ name: 'late', host: '{host}' }}) }}).then(() => true)"
    ))?;
    page.follow("main button.danger")?;
    shows(&mut page, &[&pack, "cannot be removed", "collection/late"])?;
    page.open(&format!("{address}/packages"))?;
    shows(&mut page, &[&pack, "collection/late"])?;
    up.interrupt()?;
    Ok(())
}

fn shows(page: &mut Page<'_>, words: &[&str]) -> Result<()> {
    let shown = page.text("main")?;
    for word in words {
        let found = shown.to_lowercase().contains(&word.to_lowercase());
        ensure!(found, "{word:?} is not on the page: {shown}");
    }
    Ok(())
}
