use std::io::IsTerminal;
use std::path::Path;

use anyhow::{Result, bail};
use model::Host;
use search::{Answer, Highlighted, Hit, Request};

use crate::cli;
use crate::config::Config;
use crate::data_folder::DataFolder;
use crate::exit::Exit;
use crate::output::{self, Output};
use crate::service;

/// Searches the published packs of the data folder, or one pack file. Needs no lock.
pub(crate) async fn run(config: &Config, output: Output, search: cli::Search) -> Result<Exit> {
    let query = search.words.join(" ");
    let request = Request {
        hosts: search
            .host
            .as_deref()
            .map(Host::new)
            .transpose()?
            .into_iter()
            .collect(),
        page: search.page,
        per_page: search.per_page,
        ..Request::new(query.as_str())
    };
    let answer = match &search.pack {
        Some(file) => in_file(file, request).await?,
        None => in_folder(config, &request).await?,
    };
    show(output, &query, &answer)?;
    Ok(if answer.total == 0 {
        Exit::Nothing
    } else {
        Exit::Done
    })
}

async fn in_folder(config: &Config, request: &Request) -> Result<Answer> {
    let folder = DataFolder::existing(&config.data)?;
    let _turn = folder.lock_searches()?;
    let library = service::open_library(config, folder.searched())?;
    for error in library.refresh_all().await? {
        output::say(&format!("warning: {error}"));
    }
    if library.hosts().is_empty() {
        bail!(
            "nothing is packed in {} yet; crawl something first",
            config.data.display()
        );
    }
    Ok(library.search(request).await?.as_ref().clone())
}

async fn in_file(file: &Path, request: Request) -> Result<Answer> {
    if !file.exists() {
        bail!("there is no pack file {}", file.display());
    }
    let file = file.to_owned();
    Ok(tokio::task::spawn_blocking(move || search::search_file(&file, &request)).await??)
}

/// Writes an answer for people, or as JSON.
pub(crate) fn show(output: Output, query: &str, answer: &Answer) -> Result<()> {
    if output.json {
        return output.json(answer);
    }
    if answer.total == 0 {
        output::say(&format!(
            "nothing matches {query}; try fewer or other words, or a prefix* "
        ));
        return Ok(());
    }
    let emphasis = Emphasis::for_stdout();
    for hit in &answer.results {
        output.line(&describe(hit, emphasis))?;
    }
    let (shown, total) = (answer.results.len(), answer.total);
    output::say(&format!("{shown} of {total} pages"));
    Ok(())
}

fn describe(hit: &Hit, emphasis: Emphasis) -> String {
    let section = if hit.heading.text.is_empty() || hit.heading.text == hit.title.text {
        String::new()
    } else {
        format!(" › {}", hit.heading.text)
    };
    format!(
        "{}{section}\n  {}\n  {}\n",
        emphasis.of(&hit.title),
        hit.section_url,
        emphasis.of(&hit.snippet)
    )
}

/// How found words are shown: bold on a terminal, plain elsewhere.
#[derive(Clone, Copy)]
struct Emphasis {
    on: &'static str,
    off: &'static str,
}

impl Emphasis {
    fn for_stdout() -> Self {
        if std::io::stdout().is_terminal() {
            Self {
                on: "\x1b[1m",
                off: "\x1b[0m",
            }
        } else {
            Self { on: "", off: "" }
        }
    }

    fn of(self, found: &Highlighted) -> String {
        let mut shown = String::with_capacity(found.text.len());
        for (piece, is_found) in found.pieces() {
            let (on, off) = if is_found { (self.on, self.off) } else { ("", "") };
            // A page could hold what a terminal obeys.
            shown.extend([on, &piece.replace(char::is_control, " "), off]);
        }
        shown
    }
}
