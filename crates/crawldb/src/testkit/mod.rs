//! What every engine must pass ([`conformance`]), and a store that fails when told to ([`FaultyStore`]).

mod faulty;
mod samples;
mod suite;

pub use crate::testkit::faulty::{FaultyStore, Moment};
pub use crate::testkit::samples::{sample_crawl, sample_item, sample_sighting, sample_source};
pub use crate::testkit::suite::conformance;
