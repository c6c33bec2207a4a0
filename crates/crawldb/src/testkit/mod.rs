//! What every engine must pass ([`conformance`], [`documents_conformance`]), a store that fails when told to
//! ([`FaultyStore`]), and one whose searches lag behind ([`LaggingStore`]).

mod documents;
mod faulty;
mod lagging;
mod samples;
mod scans;
mod suite;

pub use crate::testkit::documents::documents_conformance;
pub use crate::testkit::faulty::{FaultyDocuments, FaultyStore, Moment};
pub use crate::testkit::lagging::LaggingStore;
pub use crate::testkit::samples::{
    sample_crawl, sample_item, sample_settings, sample_sighting, sample_source,
};
pub use crate::testkit::suite::conformance;
