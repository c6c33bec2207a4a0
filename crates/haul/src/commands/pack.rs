use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use extract::{ExtractError, Input, PdfReader};
use model::{Checksum, ItemId, PageUrl, SourceId, Timestamp};
use pack::{PackError, Page, Summary, Writer, WriterOptions};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::cli;
use crate::commands::crawl;
use crate::config::Config;
use crate::exit::Exit;
use crate::output::{self, Output};
use crate::progress;
use crate::service;
use crate::site;

/// Larger files are left out: 32 MiB, as much as a crawl takes of a body.
const MAX_FILE_BYTES: u64 = 32 << 20;
/// Pages between the readers and the writer.
const PAGES_AHEAD: usize = 64;

/// Makes one pack file, without touching the data folder.
pub(crate) async fn run(config: &Config, output: Output, pack: &cli::Pack) -> Result<Exit> {
    if pack.output.exists() {
        bail!(PackError::Exists(pack.output.clone()));
    }
    let from = Path::new(&pack.from);
    if !from.is_dir() {
        if from.exists() {
            bail!(
                "{} is a file; give the folder that it lies in, or the address of a site",
                pack.from
            );
        }
        return crawl::into_file(
            config,
            output,
            &site::address(&pack.from)?,
            &pack.site,
            &pack.output,
        )
        .await;
    }
    let base = PageUrl::parse(pack.base.as_deref().unwrap_or("http://localhost/"))?;
    let files = find_files(from)?;
    if files.is_empty() {
        output::say(&format!("no HTML, text, Markdown or PDF files in {}", pack.from));
        return Ok(Exit::Nothing);
    }
    let (summary, left_out) = pack_files(config, files, &base, &pack.output).await?;
    tell(output, &pack.output, &summary, left_out)?;
    Ok(Exit::Done)
}

/// A file and the address that it will have.
struct Found {
    path: std::path::PathBuf,
    /// Relative to the folder, with `/`.
    name: String,
}

/// Every file with text in it, in the order of their names. Symbolic links are not followed.
fn find_files(folder: &Path) -> Result<Vec<Found>> {
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
        let entry = entry.context("the folder cannot be read")?;
        let name = entry
            .path()
            .strip_prefix(folder)
            .unwrap_or(entry.path())
            .to_string_lossy()
            .replace('\\', "/");
        let ending = name
            .rsplit_once('.')
            .map(|(_, ending)| ending.to_ascii_lowercase());
        let has_text = ending.is_some_and(|ending| {
            matches!(
                ending.as_str(),
                "html" | "htm" | "xhtml" | "txt" | "md" | "markdown" | "pdf"
            )
        });
        if entry.file_type().is_file() && has_text {
            files.push(Found {
                path: entry.into_path(),
                name,
            });
        }
    }
    Ok(files)
}

async fn pack_files(config: &Config, files: Vec<Found>, base: &PageUrl, to: &Path) -> Result<(Summary, u64)> {
    let now = Timestamp::from(SystemTime::now());
    let options = WriterOptions::new(base.host(), now);
    let bar = progress::of_files(files.len() as u64);
    let reader = Arc::new(Reader {
        files,
        base: base.clone(),
        source: SourceId::from_words(base.host().as_str())?,
        now,
        pdf: service::pdf_reader(config)?,
        next: AtomicUsize::new(0),
        left_out: AtomicU64::new(0),
    });
    let (sender, receiver) = mpsc::channel(PAGES_AHEAD);
    let target = to.to_owned();
    let writer = tokio::task::spawn_blocking(move || write(&target, &options, receiver, &bar));
    let runtime = Handle::current();
    let readers = std::thread::available_parallelism().map_or(2, usize::from);
    for _ in 0..readers {
        let (reader, sender, runtime) = (Arc::clone(&reader), sender.clone(), runtime.clone());
        tokio::task::spawn_blocking(move || reader.read_all(&sender, &runtime));
    }
    drop(sender);
    let summary = writer.await??;
    Ok((summary, reader.left_out.load(Ordering::Relaxed)))
}

fn write(
    to: &Path,
    options: &WriterOptions,
    mut pages: mpsc::Receiver<Page>,
    bar: &indicatif::ProgressBar,
) -> Result<Summary> {
    let mut writer = Writer::create(to, options)?;
    while let Some(page) = pages.blocking_recv() {
        match writer.add(&page) {
            Err(error @ (PackError::Duplicate(_) | PackError::TooLarge { .. })) => {
                output::say(&format!("left out: {error}"));
            }
            added => added?,
        }
        bar.inc(1);
    }
    bar.set_message("writing the index");
    let summary = writer.finish()?;
    bar.finish_and_clear();
    Ok(summary)
}

/// What several threads read files with.
struct Reader {
    files: Vec<Found>,
    base: PageUrl,
    source: SourceId,
    now: Timestamp,
    pdf: PdfReader,
    next: AtomicUsize,
    left_out: AtomicU64,
}

impl Reader {
    /// Takes one file after the other until none is left.
    fn read_all(&self, sender: &mpsc::Sender<Page>, runtime: &Handle) {
        while let Some(file) = self.files.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            match self.read(file, runtime) {
                Ok(Some(page)) => {
                    if sender.blocking_send(page).is_err() {
                        return; // The writer stopped; its own error says why.
                    }
                }
                Ok(None) => _ = self.left_out.fetch_add(1, Ordering::Relaxed),
                Err(error) => {
                    self.left_out.fetch_add(1, Ordering::Relaxed);
                    output::say(&format!("left out: {}: {error:#}", file.path.display()));
                }
            }
        }
    }

    /// The page in a file; none where its author asks not to index it.
    fn read(&self, file: &Found, runtime: &Handle) -> Result<Option<Page>> {
        if std::fs::metadata(&file.path)?.len() > MAX_FILE_BYTES {
            bail!("larger than {}", output::bytes(MAX_FILE_BYTES));
        }
        let bytes = std::fs::read(&file.path)?;
        let url = self.base.join(&encode(served_as(&file.name)))?;
        let extracted = match extract::extract(&Input {
            url: &url,
            content_type: None,
            bytes: &bytes,
        }) {
            Err(ExtractError::Pdf) => {
                let extract = runtime.block_on(self.pdf.read(&bytes))?;
                extract::Extracted {
                    extract,
                    ..extract::Extracted::default()
                }
            }
            extracted => extracted?,
        };
        if extracted.noindex {
            return Ok(None);
        }
        let item = ItemId::new(url.as_str())?;
        let checksum = Checksum::of(&bytes);
        let source = self.source.clone();
        Ok(Some(Page {
            url,
            source,
            item,
            checksum,
            fetched_at: self.now,
            extract: extracted.extract,
        }))
    }
}

/// `a/index.html` is served as `a/`.
fn served_as(name: &str) -> &str {
    match name.strip_suffix("index.html") {
        Some(folder) if folder.is_empty() || folder.ends_with('/') => folder,
        _ => name,
    }
}

/// A file name may hold what means something in a URL.
fn encode(name: &str) -> String {
    name.replace('%', "%25")
        .replace('?', "%3F")
        .replace('#', "%23")
        .replace(':', "%3A")
}

fn tell(output: Output, to: &Path, summary: &Summary, left_out: u64) -> Result<()> {
    let (path, checksum) = (to.display().to_string(), summary.checksum.to_string());
    if output.json {
        return output.json(&serde_json::json!({
            "file": path, "checksum": checksum, "pages": summary.pages, "passages": summary.passages,
            "text_bytes": summary.text_bytes, "file_bytes": summary.file_bytes, "left_out": left_out,
        }));
    }
    output::say(&format!(
        "{path}: {} pages, {} passages, {}{}\nsearch it with: haul search --pack {path} WORDS",
        summary.pages,
        summary.passages,
        output::bytes(summary.file_bytes),
        if left_out > 0 {
            format!(", {left_out} files left out")
        } else {
            String::new()
        },
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gets_the_address_that_a_web_server_would_give_it() {
        let base = PageUrl::parse("https://e.gov/docs/").unwrap();
        let address = |name| base.join(&encode(served_as(name))).unwrap().to_string();
        assert_eq!(address("index.html"), "https://e.gov/docs/");
        assert_eq!(address("a/index.html"), "https://e.gov/docs/a/");
        assert_eq!(address("a/myindex.html"), "https://e.gov/docs/a/myindex.html");
        assert_eq!(
            address("what? 100%#1.txt"),
            "https://e.gov/docs/what%3F%20100%25%231.txt"
        );
        assert_eq!(address("c:/d.html"), "https://e.gov/docs/c%3A/d.html");
    }
}
