use std::sync::Arc;

use tokio::sync::mpsc::Sender;

use super::Run;
use super::file::listed_bytes;
use crate::entry::Entry;
use crate::error::{Error, ErrorKind};
use crate::hooks::Select;
use crate::request::DownloadRequest;
use crate::sources;

/// Entries that may be listed before the chunker takes them.
pub(super) const AHEAD: usize = 10_000;

/// An entry that is wanted, or that a hook failed about.
pub(super) struct Listed {
    pub(super) entry: Entry,
    pub(super) refused: Option<Error>,
}

/// The `FileListGenerator`: finds the files that a request means, and asks the hooks which of them are wanted.
pub(super) async fn generate(run: Arc<Run>, request: DownloadRequest, entries: Sender<Listed>) {
    let mut error = None;
    for source in &request.sources {
        let listed = tokio::select! {
            listed = list(&run, source, &entries) => listed,
            () = run.cancelled() => break,
        };
        if let Err(reason) = listed {
            error = Some(reason);
            break;
        }
    }
    let mut progress = run.progress();
    progress.all_listed = true;
    if error.is_some() {
        progress.error = error;
    }
    drop(progress);
    // The chunker says when the last entry has become a file.
    drop(entries);
}

async fn list(run: &Arc<Run>, source: &crate::Source, entries: &Sender<Listed>) -> Result<(), Error> {
    let mut found = sources::open(source, &run.stores, &run.engine).await?;
    while let Some(page) = found.next().await? {
        run.counters.entries.add(page.len() as u64);
        run.hooks.list_page(&page);
        for mut entry in page {
            let refused = match run.hooks.select(&mut entry) {
                Ok(Select::Keep) => None,
                Ok(Select::Skip) => {
                    run.counters.skipped.add(1);
                    continue;
                }
                Err(error) => Some(error),
            };
            run.counters.expected.add(listed_bytes(&entry));
            if entries.send(Listed { entry, refused }).await.is_err() {
                return Ok(());
            }
        }
    }
    match found.found_any() {
        true => Ok(()),
        false => Err(Error::new(
            ErrorKind::NotFound,
            format!("{}: nothing is there: check the address", source.describe()),
        )),
    }
}
