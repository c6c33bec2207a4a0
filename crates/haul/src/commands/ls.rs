use anyhow::{Result, bail};
use indicatif::{DecimalBytes, HumanCount};
use retrieve::{Entry, Location, Retriever, Scheme};
use serde_json::json;

use crate::cli;
use crate::exit::{Exit, Usage};
use crate::output::{self, Lines, Output};
use crate::retrieval::{self, Asked, Environment, Selection};

/// Lists objects, and the folders that hold them.
///
/// Stores list keys, not folders. All keys below an address are listed, many requests at a time, and folded here: so a
/// folder's line can say what it holds, and a listing of one level takes as long as one of all levels.
pub(crate) async fn run(output: Output, ls: &cli::Ls, environment: &Environment) -> Result<Exit> {
    let selection = Selection::new(&ls.choice)?;
    let options = retrieval::options(&cli::Effort::default());
    let retriever = Retriever::new(options).map_err(|error| retrieval::refused(&error))?;
    if let Some(address) = ls.addresses.iter().find(|address| is_of_web(address)) {
        bail!(Usage(format!(
            "{address:?} cannot be listed: a web server does not say what it has"
        )));
    }
    let mut listing = Listing {
        lines: Lines::to_stdout(),
        output,
        total: Total::default(),
        folder: None,
        is_total_only: ls.total,
    };
    for address in &ls.addresses {
        let asked = Asked::new(std::slice::from_ref(address), None, &ls.reach, environment)?;
        let is_folded = !ls.recursive && !is_pattern(address);
        let mut entries = retriever.list(asked.request());
        while let Some(entry) = entries.next_entry().await {
            let entry = entry.map_err(|error| retrieval::refused(&error))?;
            if selection.takes(&entry.name) && !listing.add(&entry, is_folded)? {
                return Ok(Exit::Done);
            }
        }
        if !listing.end_folder()? {
            return Ok(Exit::Done);
        }
    }
    listing.end()
}

fn is_of_web(address: &str) -> bool {
    Location::parse(address).is_ok_and(|location| location.scheme() == Scheme::Http)
}

fn is_pattern(address: &str) -> bool {
    let location = Location::parse(address);
    location.is_ok_and(|location| location.key().contains(['*', '?', '[', '{']))
}

/// Objects and what they hold together.
#[derive(Clone, Copy, Default)]
struct Total {
    objects: u64,
    bytes: u64,
}

impl Total {
    fn add(&mut self, entry: &Entry) {
        self.objects += 1;
        self.bytes = self.bytes.saturating_add(entry.size.unwrap_or(0));
    }
}

struct Listing {
    lines: Lines,
    output: Output,
    total: Total,
    /// The folder whose objects come just now: they are neighbours, as keys come in their order.
    folder: Option<(Location, Total)>,
    is_total_only: bool,
}

impl Listing {
    /// False when nobody reads any more.
    fn add(&mut self, entry: &Entry, is_folded: bool) -> Result<bool> {
        self.total.add(entry);
        if self.is_total_only {
            return Ok(true);
        }
        let Some(folder) = is_folded.then(|| folder_of(entry)).flatten() else {
            return Ok(self.end_folder()? && self.lines.write(&self.object(entry))?);
        };
        if self.folder.as_ref().is_none_or(|(current, _)| *current != folder) {
            if !self.end_folder()? {
                return Ok(false);
            }
            self.folder = Some((folder, Total::default()));
        }
        if let Some((_, total)) = &mut self.folder {
            total.add(entry);
        }
        Ok(true)
    }

    fn end_folder(&mut self) -> Result<bool> {
        let Some((location, total)) = self.folder.take() else {
            return Ok(true);
        };
        let Total { objects, bytes } = total;
        let line = match self.output.json {
            true => json!({ "folder": location.to_string(), "objects": objects, "bytes": bytes }).to_string(),
            false => format!("{bytes:>14}  {:<20}  {location}", count(objects)),
        };
        self.lines.write(&line)
    }

    fn object(&self, entry: &Entry) -> String {
        let modified = entry
            .last_modified
            .and_then(|time| jiff::Timestamp::try_from(time).ok());
        if self.output.json {
            return json!({
                "location": entry.location.to_string(),
                "name": entry.name,
                "size": entry.size,
                "modified": modified.map(|time| time.to_string()),
                "etag": entry.etag,
            })
            .to_string();
        }
        let size = entry.size.map_or_else(|| "?".to_owned(), |size| size.to_string());
        let time = modified.map_or_else(
            || "-".to_owned(),
            |time| time.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
        );
        format!("{size:>14}  {time:<20}  {}", entry.location)
    }

    fn end(mut self) -> Result<Exit> {
        let Total { objects, bytes } = self.total;
        if self.is_total_only {
            let line = match self.output.json {
                true => json!({ "objects": objects, "bytes": bytes }).to_string(),
                false => format!("{}, {} ({bytes} bytes)", count(objects), DecimalBytes(bytes)),
            };
            self.lines.write(&line)?;
        }
        self.lines.flush()?;
        if objects == 0 {
            output::say("nothing is there");
            return Ok(Exit::Nothing);
        }
        Ok(Exit::Done)
    }
}

fn count(objects: u64) -> String {
    match objects {
        1 => "1 object".to_owned(),
        objects => format!("{} objects", HumanCount(objects)),
    }
}

/// The folder of the listed level that holds an object.
fn folder_of(entry: &Entry) -> Option<Location> {
    let (first, _) = entry.name.split_once('/')?;
    let listed = entry.location.key().strip_suffix(&entry.name)?;
    Some(entry.location.with_key(format!("{listed}{first}/")))
}
