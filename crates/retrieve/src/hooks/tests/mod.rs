//! The hooks as the engine calls them, and the ones that come with the crate.

mod cache_check;
mod decompress;
mod events;

mod exec;
mod manifest;
mod observers;
mod progress;
mod rate_limit;
mod registry;

use std::path::Path;
use std::sync::{Arc, Mutex};

use super::{Hooks, Registry};
use crate::entry::FileMeta;
use crate::outcome::{Done, Outcome, Report};
use crate::{Control, Location};

/// The file number `index`, of 1000 bytes.
fn meta(index: u64, name: &str) -> FileMeta {
    FileMeta {
        index,
        location: Location::parse(&format!("s3://bucket/{name}")).unwrap(),
        name: name.to_owned(),
        size: Some(1000),
        range: 0..1000,
        etag: Some("\"abc\"".to_owned()),
        last_modified: None,
        checksum: None,
    }
}

fn run(hooks: Hooks) -> Registry {
    Registry::new(hooks)
}

fn end(registry: &Registry) -> Report {
    let mut report = Report::default();
    registry.run_end(&mut report);
    report
}

/// A file that was saved at `path` and is accepted or not.
fn finish_file(registry: &Registry, meta: &FileMeta, path: Option<&Path>) -> Outcome {
    let done = Done {
        bytes: meta.wanted().unwrap_or(0),
        ..Done::default()
    };
    let outcome = match registry.verify(meta, &done, path) {
        Ok(()) => Outcome::Done(done),
        Err(error) => Outcome::Failed(error),
    };
    registry.file_end(meta, &outcome);
    outcome
}

/// What hooks have noted, in the order of time.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn add(&self, note: impl Into<String>) {
        self.0.lock().unwrap().push(note.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn control() -> Control {
    Control::default()
}
