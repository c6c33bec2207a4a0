//! A crawl of a site on a real nginx, twice.

use std::fs;

use anyhow::{Result, ensure};
use tests::{Bench, Haul, Need, Nginx};

pub(crate) fn add(bench: &mut Bench) {
    bench.test(
        "crawl: a site on nginx, and again",
        &[Need::Program("nginx")],
        nginx_twice,
    );
    bench.test(
        "pack: stock sqlite3 answers from the file",
        &[Need::Program("sqlite3")],
        stock_sqlite,
    );
}

const PAGES: usize = 40;

fn write_site(haul: &Haul) -> Result<std::path::PathBuf> {
    let folder = haul.folder().join("site");
    fs::create_dir_all(&folder)?;
    let page = |number: usize| {
        let next = (number + 1) % PAGES;
        let text = format!("Lamp number {number} of the harbour wall is lit by a keeper called Ada{number}.");
        format!(
            "<!doctype html><html lang=en><title>Lamp {number}</title><h1>Lamp {number}</h1>\
             <h2 id=keeper>Keeper</h2><p>{text}</p><a href=lamp{next}.html>next</a>"
        )
    };
    for number in 0..PAGES {
        fs::write(folder.join(format!("lamp{number}.html")), page(number))?;
    }
    fs::write(
        folder.join("index.html"),
        "<title>Harbour</title><h1>Harbour</h1><a href=lamp0.html>lamps</a>",
    )?;
    Ok(folder)
}

fn nginx_twice() -> Result<()> {
    let haul = Haul::new()?;
    let folder = write_site(&haul)?;
    let nginx = Nginx::serve(&folder)?;
    let url = format!("http://127.0.0.1:{}/", nginx.port());
    let crawl = [
        "crawl",
        &url,
        "--source",
        "harbour",
        "--allow-private",
        "--delay-ms",
        "0",
        "--json",
    ];

    let first = haul.expect(0, &crawl)?.json()?;
    ensure!(first["crawl"]["totals"]["new"] == PAGES + 1, "{first:#}");
    let answer = haul.search("\"keeper called Ada17\"")?;
    ensure!(answer["total"] == 1, "{answer:#}");
    let section = answer["results"][0]["section_url"].as_str().unwrap_or_default();
    ensure!(section.ends_with("/lamp17.html#keeper"), "{answer:#}");

    fs::write(
        folder.join("lamp17.html"),
        "<title>Lamp 17</title><p>The lamp is out.</p><a href=lamp18.html>next</a>",
    )?;
    let second = haul.expect(0, &crawl)?.json()?;
    ensure!(second["crawl"]["totals"]["changed"] == 1, "{second:#}");
    ensure!(second["crawl"]["totals"]["unchanged"] == PAGES, "{second:#}");
    ensure!(
        haul.search("\"keeper called Ada17\"")?["total"] == 0,
        "the old text is found still"
    );
    ensure!(
        haul.search("\"lamp is out\"")?["total"] == 1,
        "the new text is not found"
    );

    let requests = nginx.requests()?;
    let not_modified = requests.iter().filter(|line| line.starts_with("304 ")).count();
    ensure!(
        not_modified == PAGES,
        "{not_modified} of {PAGES} answers were 304: {requests:#?}"
    );
    Ok(())
}

fn stock_sqlite() -> Result<()> {
    let haul = Haul::new()?;
    let folder = write_site(&haul)?;
    let pack = haul.folder().join("harbour.sqlite");
    haul.expect(
        0,
        &[
            "pack".as_ref(),
            folder.as_os_str(),
            "-o".as_ref(),
            pack.as_os_str(),
        ],
    )?;
    let sql = "select title, anchor from search join passages on search.rowid = passages.id \
               join pages on pages.id = page_id where search match 'ada17'";
    // The columns `title` and `text` are in more than one table; the README's query names what it means.
    let sql = sql.replace("select title", "select pages.title");
    let output = std::process::Command::new("sqlite3")
        .arg(&pack)
        .arg(sql)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        text.trim() == "Lamp 17|keeper",
        "{text} {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
