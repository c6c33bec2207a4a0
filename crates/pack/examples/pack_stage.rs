//! How fast pages become a pack, beside what SQLite offers for the same tables.
//!
//! `cargo run --release -p pack --example pack_stage -- FOLDER [ROUNDS]`, where FOLDER holds HTML files. Text is extracted
//! in advance; what is timed is from the first page to the finished file.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;
use std::{env, fs};

use model::{Checksum, Host, ItemId, PageUrl, SourceId, Timestamp};
use pack::terms::{Stems, index_terms};
use pack::{ORDINAL_BITS, Pack, Page, Writer, WriterOptions};
use rusqlite::{Connection, params};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The share of the corpus for the slow way.
const SUBSET: usize = 20;

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let folder = arguments.next().ok_or("usage: pack_stage FOLDER [ROUNDS]")?;
    let rounds = arguments.next().map_or(Ok(3), |rounds| rounds.parse::<usize>())?;
    let pages = corpus(Path::new(&folder))?;
    let scratch = tempfile::tempdir()?;
    let schema = schema(scratch.path())?;
    let few: Vec<Page> = pages.iter().step_by(SUBSET).cloned().collect();
    let ways: [(&str, &[Page], Way); 4] = [
        ("autocommit and triggers (a part)", &few, autocommit),
        ("one plain transaction", &pages, one_transaction),
        ("the recipe", &pages, recipe),
        ("ours", &pages, ours),
    ];
    let mut seconds = [const { Vec::new() }; 4];
    let mut sizes = [0; 4];
    for round in 0..rounds {
        for (number, (_, pages, way)) in ways.iter().enumerate() {
            let file = scratch.path().join(format!("{round}-{number}.pack"));
            let start = Instant::now();
            way(&schema, pages, &file)?;
            seconds[number].push(start.elapsed().as_secs_f64());
            sizes[number] = fs::metadata(&file)?.len();
            fs::remove_file(&file)?;
        }
    }
    report(&ways, &mut seconds, &sizes);
    Ok(())
}

/// A way to make a file with the tables of this schema of pages.
type Way = fn(&str, &[Page], &Path) -> Result<()>;

/// Prints the median speed of each way, and the best one, which other work on the machine disturbs less.
fn report(ways: &[(&str, &[Page], Way); 4], seconds: &mut [Vec<f64>; 4], sizes: &[u64; 4]) {
    let megabytes = |pages: &[Page]| pages.iter().map(text_bytes).sum::<usize>() as f64 / 1e6;
    seconds
        .iter_mut()
        .for_each(|seconds| seconds.sort_by(f64::total_cmp));
    let median = |number: usize| megabytes(ways[number].1) / seconds[number][seconds[number].len() / 2];
    println!(
        "{} pages, {:.1} MB of text",
        ways[3].1.len(),
        megabytes(ways[3].1)
    );
    println!(
        "{:<34} {:>9} {:>9} {:>10} {:>10}",
        "way", "MB/s", "best", "x recipe", "file/text"
    );
    for (number, (name, pages, _)) in ways.iter().enumerate() {
        let (speed, best) = (median(number), megabytes(pages) / seconds[number][0]);
        let size = sizes[number] as f64 / 1e6 / megabytes(pages);
        println!(
            "{name:<34} {speed:>9.1} {best:>9.1} {:>10.2} {size:>10.2}",
            speed / median(2)
        );
    }
}

fn text_bytes(page: &Page) -> usize {
    let passages = page
        .extract
        .passages
        .iter()
        .map(|passage| passage.heading.len() + passage.text.len());
    page.extract.title.len() + passages.sum::<usize>()
}

/// The pages of the HTML files below `folder`, in the order of their paths.
fn corpus(folder: &Path) -> Result<Vec<Page>> {
    let mut files = Vec::new();
    html_files(folder, &mut files)?;
    files.sort();
    let mut pages = Vec::new();
    for file in files {
        let bytes = fs::read(&file)?;
        let url = PageUrl::parse(&format!(
            "https://example.gov/{}",
            file.strip_prefix(folder)?.display()
        ))?;
        let input = extract::Input {
            url: &url,
            content_type: Some("text/html"),
            bytes: &bytes,
        };
        let Ok(extracted) = extract::extract(&input) else {
            continue;
        };
        pages.push(Page {
            item: ItemId::new(url.as_str())?,
            source: SourceId::new("example.gov")?,
            checksum: Checksum::of(&bytes),
            fetched_at: Timestamp::from_millis(1_700_000_000_000),
            extract: extracted.extract,
            url,
        });
    }
    pages.dedup_by(|a, b| a.url == b.url);
    Ok(pages)
}

fn html_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let kind = path.symlink_metadata()?.file_type();
        if kind.is_dir() {
            html_files(&path, files)?;
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "html") {
            files.push(path);
        }
    }
    Ok(())
}

fn options() -> Result<WriterOptions> {
    Ok(WriterOptions::new(
        Host::new("example.gov")?,
        Timestamp::from_millis(1_700_000_000_000),
    ))
}

/// The statements that make the tables of a pack, read from an empty one.
fn schema(folder: &Path) -> Result<String> {
    let path = folder.join("empty.pack");
    Writer::create(&path, &options()?)?.finish()?;
    let pack = Pack::open(&path)?;
    let mut statement = pack.connection().prepare(
        "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'search\\__%' ESCAPE '\\' ORDER BY rowid",
    )?;
    let statements: Vec<String> = statement
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(statements.join(";\n"))
}

fn ours(_schema: &str, pages: &[Page], file: &Path) -> Result<()> {
    let mut writer = Writer::create(file, &options()?)?;
    for page in pages {
        writer.add(page)?;
    }
    writer.finish()?;
    Ok(())
}

fn autocommit(schema: &str, pages: &[Page], file: &Path) -> Result<()> {
    let connection = Connection::open(file)?;
    connection.execute_batch(schema)?;
    connection.execute_batch(
        "CREATE TRIGGER indexed AFTER INSERT ON passages BEGIN
               INSERT INTO search(rowid, title, heading, text, terms)
               SELECT id, title, heading, text, terms FROM documents WHERE id = new.id;
             END",
    )?;
    insert(&connection, pages, |_, _| Ok(()))
}

fn one_transaction(schema: &str, pages: &[Page], file: &Path) -> Result<()> {
    let connection = Connection::open(file)?;
    connection.execute_batch(schema)?;
    connection.execute_batch("BEGIN")?;
    insert(&connection, pages, index)?;
    Ok(connection.execute_batch("COMMIT")?)
}

fn recipe(schema: &str, pages: &[Page], file: &Path) -> Result<()> {
    let connection = Connection::open(file)?;
    connection.execute_batch(
            "PRAGMA page_size = 8192; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;
             PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY;",
        )?;
    connection.execute_batch(schema)?;
    connection.execute_batch(
        "INSERT INTO search(search, rank) VALUES('automerge', 0);
             INSERT INTO search(search, rank) VALUES('crisismerge', 2000);
             INSERT INTO search(search, rank) VALUES('hashsize', 67108864);
             BEGIN",
    )?;
    insert(&connection, pages, index)?;
    connection.execute_batch("INSERT INTO search(search) VALUES('optimize')")?;
    Ok(connection.execute_batch("COMMIT")?)
}

/// A row of the index.
struct Row<'a> {
    id: i64,
    fields: [&'a str; 4],
}

fn index(connection: &Connection, row: &Row<'_>) -> Result<()> {
    let sql = "INSERT INTO search(rowid, title, heading, text, terms) VALUES(?1, ?2, ?3, ?4, ?5)";
    let [title, heading, text, terms] = row.fields;
    connection
        .prepare_cached(sql)?
        .execute(params![row.id, title, heading, text, terms])?;
    Ok(())
}

fn insert(
    connection: &Connection,
    pages: &[Page],
    mut on_row: impl FnMut(&Connection, &Row<'_>) -> Result<()>,
) -> Result<()> {
    let mut page_statement = connection
        .prepare("INSERT INTO pages VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)")?;
    let mut passage_statement =
        connection.prepare("INSERT INTO passages VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    let mut stems = Stems::new()?;
    for (id, page) in (1i64..).zip(pages) {
        let extract = &page.extract;
        page_statement.execute(params![
            id,
            page.url.as_str(),
            page.source.as_str(),
            page.item.as_str(),
            extract.title,
            extract.description,
            extract.language,
            extract.content_type,
            page.checksum.to_string(),
            None::<i64>,
            None::<i64>,
            page.fetched_at.as_millis() as i64,
            extract.passages.len() as i64,
            extract.truncated,
        ])?;
        for (passage_id, passage) in (id << ORDINAL_BITS..).zip(&extract.passages) {
            let fields = [extract.title.as_str(), &passage.heading, &passage.text];
            let terms = index_terms(extract.language.as_deref(), &fields, &mut stems);
            passage_statement.execute(params![
                passage_id,
                id,
                passage.heading,
                passage.anchor,
                passage.pdf_page,
                passage.text,
                terms
            ])?;
            let [title, heading, text] = fields;
            on_row(
                connection,
                &Row {
                    id: passage_id,
                    fields: [title, heading, text, &terms],
                },
            )?;
        }
    }
    Ok(())
}
