//! What users and machines do wrong: a clear message, the documented exit code, and nothing lost.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tests::{Answer, Bench, Haul, Need, Site};

pub(crate) fn add(bench: &mut Bench) {
    bench.test("misuse: what is no address", &[], no_address);
    bench.test("misuse: an unknown key of the configuration", &[], unknown_key);
    bench.test("misuse: a data folder that cannot be made", &[], unusable_folder);
    bench.test("misuse: no data folder yet", &[], no_folder);
    bench.test("misuse: two at once on one data folder", &[], two_at_once);
    bench.test("misuse: a file that is no pack", &[], no_pack);
    bench.test(
        "damage: a pack with changed bytes is not searched",
        &[],
        damaged_pack,
    );
    bench.test("damage: a crawl database that is none", &[], damaged_database);
    bench.test("damage: a full disk, and then room again", &[], full_disk);
    bench.test(
        "damage: a data folder that became read-only",
        &[Need::Mount],
        read_only,
    );
}

const HOST: &str = "www.small.example";
const PAGES: usize = 30;

fn small_site() -> Result<Site> {
    Site::serve(
        |request| match request.path.trim_start_matches("/p").parse::<usize>() {
            _ if request.path == "/" => Answer::page("Start", "The start.", &["/p0".to_owned()]),
            Ok(number) if number < PAGES => {
                let text = format!("Bell {number} rings. {}", "And it rings again. ".repeat(400));
                Answer::page(&format!("Bell {number}"), &text, &[format!("/p{}", number + 1)])
            }
            _ => Answer::status(404),
        },
    )
}

fn crawl(site: &Site) -> Vec<String> {
    let mut words = vec![
        "crawl".to_owned(),
        site.url(HOST, "/"),
        "--source".to_owned(),
        "small".to_owned(),
    ];
    words.extend(site.flags(&[HOST]));
    words
}

fn no_address() -> Result<()> {
    let haul = Haul::new()?;
    haul.expect(2, &["crawl", "http://"])?;
    haul.expect(2, &["crawl", "ftp://files.example/"])?;
    haul.expect(2, &["crawl"])?;
    haul.expect(2, &["gather", "http://www.example/"])?;
    ensure!(haul.items("any").is_err(), "nothing was made");
    Ok(())
}

fn unknown_key() -> Result<()> {
    let haul = Haul::new()?;
    let file = haul.folder().join("haul.toml");
    fs::write(&file, "[pack]\nidle_sm = 5\n")?;
    haul.expect(2, &["config", "check"])?
        .says(&["idle_sm", "idle_ms"])?;
    fs::write(&file, "[pack]\nidle_ms = 5\n")?;
    haul.expect(0, &["config", "check"])?;
    Ok(())
}

fn unusable_folder() -> Result<()> {
    let haul = Haul::new()?;
    let site = small_site()?;
    for folder in ["/proc/haul", "/dev/null/haul"] {
        let mut words = crawl(&site);
        words.extend(["--data".to_owned(), folder.to_owned()]);
        haul.expect(1, &words)?.says(&[folder, "--data"])?;
    }
    Ok(())
}

fn no_folder() -> Result<()> {
    let haul = Haul::new()?;
    let ended = haul.run(&["search", "bells"])?;
    ensure!(ended.code != Some(0), "{ended:#?}");
    ended.says(&["crawl something first"])
}

fn two_at_once() -> Result<()> {
    let haul = Haul::new()?;
    let mut first = haul.start(&["up", "--listen", "127.0.0.1:0"])?;
    first.says("http://127.0.0.1:")?;
    haul.expect(4, &["up", "--listen", "127.0.0.1:0"])?
        .says(&["in use by"])?;
    haul.expect(4, &crawl(&small_site()?))?;
    let ended = first.interrupt()?;
    ensure!(matches!(ended.code, Some(0 | 130)), "{ended:#?}");
    Ok(())
}

fn no_pack() -> Result<()> {
    let haul = Haul::new()?;
    let file = haul.folder().join("novel.sqlite");
    fs::write(&file, "It was a dark and stormy night. ".repeat(300))?;
    haul.expect(1, &["search", "--pack", &file.display().to_string(), "night"])?;
    Ok(())
}

/// Files below a folder that are larger than a page of text.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

fn damaged_pack() -> Result<()> {
    let haul = Haul::new()?;
    let site = small_site()?;
    haul.expect(0, &crawl(&site))?;
    ensure!(haul.search("bell")?["total"] == PAGES, "the bells are found");
    let packs: Vec<PathBuf> = files(&haul.data())?
        .into_iter()
        .filter(|path| is_pack(path))
        .collect();
    for pack in packs {
        let mut bytes = fs::read(&pack)?;
        let middle = bytes.len() / 2;
        bytes[middle..].iter_mut().take(64).for_each(|byte| *byte ^= 0xff);
        fs::write(&pack, bytes)?;
    }
    let ended = haul.run(&["search", "--json", "bell"])?;
    ensure!(
        ended.code != Some(0) && !ended.stderr.contains("panicked"),
        "a damaged pack was searched: {ended:#?}"
    );
    haul.expect(1, &["doctor"])?;
    Ok(())
}

fn is_pack(path: &Path) -> bool {
    path.components()
        .any(|part| part.as_os_str().to_string_lossy().contains("pack"))
}

fn damaged_database() -> Result<()> {
    let haul = Haul::new()?;
    let site = small_site()?;
    haul.expect(0, &crawl(&site))?;
    let all = files(&haul.data())?;
    let database = all
        .iter()
        .find(|path| path.file_name().is_some_and(|name| name == "crawldb.sqlite"));
    let database = database.with_context(|| format!("no crawl database among {all:#?}"))?;
    let good = fs::read(database)?;
    fs::write(database, "no database at all ".repeat(1000))?;
    for side in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{side}", database.display()));
    }
    let ended = haul.expect(1, &crawl(&site))?;
    ended.says(&["crawldb.sqlite"])?;
    ensure!(
        fs::read(database)?.starts_with(b"no database"),
        "a file that is not ours was written over"
    );
    fs::write(database, good)?;
    haul.expect(0, &crawl(&site))?;
    Ok(())
}

/// No file may grow beyond 128 KiB: to the program, the disk is full.
fn full_disk() -> Result<()> {
    let haul = Haul::new()?;
    let site = small_site()?;
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' XFSZ; ulimit -f 256; exec \"$@\"", "sh"])
        .arg(haul.binary())
        .args(crawl(&site));
    let ended = haul.start_as(command)?.wait()?;
    ensure!(ended.code == Some(1), "{ended:#?}");
    ensure!(!ended.stderr.contains("panicked"), "{ended:#?}");
    haul.expect(0, &crawl(&site))?;
    ensure!(haul.search("bell")?["total"] == PAGES, "all bells are found");
    Ok(())
}

/// The folder is read-only for one process, in a mount namespace that ends with it.
fn read_only() -> Result<()> {
    let haul = Haul::new()?;
    let site = small_site()?;
    haul.expect(0, &crawl(&site))?;
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c"])
        .arg("mount --bind \"$0\" \"$0\" && mount -o remount,ro,bind \"$0\" && exec \"$@\"")
        .arg(haul.data())
        .arg(haul.binary())
        .args(crawl(&site));
    let ended = haul.start_as(command)?.wait()?;
    ensure!(ended.code == Some(1), "{ended:#?}");
    ended.says(&["data folder", "ead-only", "--data"])?;
    haul.expect(0, &crawl(&site))?;
    ensure!(haul.search("bell")?["total"] == PAGES, "all bells are found");
    Ok(())
}
