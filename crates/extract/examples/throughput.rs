//! How fast pages are read: `cargo run --release -p extract --example throughput FOLDER`.
#![expect(clippy::print_stdout, reason = "a measurement is for the terminal")]

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};
use std::{env, fs};

use extract::{Input, extract};
use model::PageUrl;

const MEGABYTE: f64 = 1_000_000.0;
const ROUNDS: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::args().nth(1).ok_or("name a folder with HTML files")?;
    let mut pages = Vec::new();
    read_pages(Path::new(&folder), &mut pages)?;

    let mut best = Duration::MAX;
    let (mut text_bytes, mut links, mut passages) = (0, 0, 0);
    for _ in 0..ROUNDS {
        (text_bytes, links, passages) = (0, 0, 0);
        let start = Instant::now();
        for (url, bytes) in &pages {
            let extracted = extract(&Input {
                url,
                content_type: Some("text/html"),
                bytes,
            })?;
            text_bytes += extracted
                .extract
                .passages
                .iter()
                .map(|passage| passage.text.len())
                .sum::<usize>();
            passages += extracted.extract.passages.len();
            links += extracted.links.len();
        }
        best = best.min(start.elapsed());
    }
    report(&pages, best, text_bytes);
    println!("{passages} passages, {links} links");
    Ok(())
}

fn report(pages: &[(PageUrl, Vec<u8>)], took: Duration, text_bytes: usize) {
    let html_megabytes = pages.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() as f64 / MEGABYTE;
    let text_megabytes = text_bytes as f64 / MEGABYTE;
    let seconds = took.as_secs_f64();
    println!(
        "{} pages, {html_megabytes:.1} MB of HTML, {text_megabytes:.1} MB of text",
        pages.len()
    );
    println!(
        "{:.0} MB/s, {:.0} pages/s",
        html_megabytes / seconds,
        pages.len() as f64 / seconds
    );
}

fn read_pages(folder: &Path, pages: &mut Vec<(PageUrl, Vec<u8>)>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && !path.is_symlink() {
            read_pages(&path, pages)?;
        } else if path.extension().is_some_and(|extension| extension == "html") && path.is_file() {
            let url = PageUrl::parse(&format!("http://docs.example{}", path.display()))?;
            pages.push((url, fs::read(&path)?));
        }
    }
    Ok(())
}
