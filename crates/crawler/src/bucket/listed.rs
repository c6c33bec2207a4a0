use model::PageUrl;
use retrieve::Entry;
use rustc_hash::FxHashMap;

use crate::met::{Fingerprint, Fingerprinter};

/// Objects that are remembered at most; some 120 bytes each.
const MAX_OBJECTS: usize = 500_000;

/// What a listing said of objects that have not had their turn.
#[derive(Default)]
pub(super) struct Listed {
    prints: Fingerprinter,
    objects: FxHashMap<Fingerprint, Said>,
}

/// What a listing said of one object.
#[derive(Default)]
pub(super) struct Said {
    pub(super) size: Option<u64>,
    pub(super) etag: Option<Box<str>>,
}

impl Listed {
    /// Remembers an object, if there is room.
    pub(super) fn add(&mut self, url: &PageUrl, entry: &Entry) {
        if self.objects.len() >= MAX_OBJECTS {
            return;
        }
        let said = Said {
            size: entry.size,
            etag: entry.etag.as_deref().map(Box::from),
        };
        self.objects.insert(self.prints.of(url.as_str()), said);
    }

    /// What was said of an object; asked again, nothing was.
    pub(super) fn take(&mut self, url: &PageUrl) -> Said {
        self.objects
            .remove(&self.prints.of(url.as_str()))
            .unwrap_or_default()
    }
}
