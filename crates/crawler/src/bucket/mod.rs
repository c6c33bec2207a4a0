//! Sources that are buckets, or folders of this machine: their objects are the pages.
//!
//! What a bucket holds is listed, where a site is followed from link to link: no robots.txt, no sitemaps, no redirects,
//! and neither links nor canonical addresses lead anywhere. Everything after that is the same: an object is an item named
//! by its URL ([`BucketAddress`]), has a turn in the lane of its host, and is read, applied and packed like a page.
//!
//! The listing tells the size and the entity tag of every object. They are remembered until the object's turn, so what
//! is too large or has not changed costs no request; where too many are listed at once, or the crawl was interrupted in
//! between, the answer to the request tells the same.
//!
//! A folder is a bucket of files ([`disk`]). Time and size of a file stand for its entity tag.

mod address;
mod disk;
mod list;
mod listed;
mod object;
mod presence;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use retrieve::{DownloadRequest, Retriever, Source};

pub use self::address::{BucketAddress, InvalidBucket};
use self::disk::Disk;
pub(crate) use self::list::list;
use self::listed::Listed;

/// How buckets are reached.
#[derive(Clone)]
pub struct BucketAccess {
    /// Lists and fetches; one for the whole process will do.
    pub retriever: Arc<Retriever>,
    /// The options of the stores, credentials among them, as [`DownloadRequest::options`] takes them.
    pub options: Vec<(String, String)>,
}

impl BucketAccess {
    fn request(&self, source: Source) -> DownloadRequest {
        DownloadRequest::default()
            .options(self.options.iter().cloned())
            .with(source)
    }
}

/// The bucket of one crawl.
pub(crate) struct Bucket {
    address: BucketAddress,
    store: Store,
    /// For one object, from the request to its last byte.
    timeout: Duration,
    listed: Mutex<Listed>,
}

/// Where the objects are.
enum Store {
    Remote(BucketAccess),
    Disk(Disk),
}

impl Bucket {
    pub(crate) fn new(address: BucketAddress, access: BucketAccess, timeout: Duration) -> Self {
        Self::of(address, Store::Remote(access), timeout)
    }

    /// A folder of this machine.
    pub(crate) fn on_disk(address: BucketAddress, timeout: Duration) -> Self {
        let disk = Disk::new(address.folder());
        Self::of(address, Store::Disk(disk), timeout)
    }

    fn of(address: BucketAddress, store: Store, timeout: Duration) -> Self {
        Self {
            address,
            store,
            timeout,
            listed: Mutex::default(),
        }
    }

    pub(crate) fn address(&self) -> &BucketAddress {
        &self.address
    }

    /// Frees what was remembered of the listing.
    pub(crate) fn forget(&self) {
        *self.listed() = Listed::default();
    }

    fn listed(&self) -> MutexGuard<'_, Listed> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
