//! Contents, extracts, packs and their manifests, by what they are, over an object store.
//!
//! One [`Archive`] is one folder or one bucket prefix ([`Archive::open`]). It holds
//!
//! | what | where | written |
//! |---|---|---|
//! | fetched bytes | `content/<checksum>.bundle` | many at once, [`Archive::put_bundle`] |
//! | extracts | `extract/<checksum>.bundle` | many at once, [`Archive::put_bundle`] |
//! | packs | `pack/<host>/<checksum>.sqlite` | [`Archive::put_pack`], named by content |
//! | what runs leave | `scraper/<owner>/<name>/...` | [`Archive::put_artifact`]: data, logs, cassettes, code that was sent |
//! | manifests | `manifest/<host>/<number>.json` | [`Archive::swap_manifest`] |
//!
//! A *bundle* is one object that holds the compressed bytes of many items one after the other, as WARC files of web
//! archives do: a crawl of a million pages makes thousands of objects instead of millions, and a packer reads them in
//! long ranges. An [`ArchiveKey`](model::ArchiveKey) names the object and the bytes in it. Every part is a Zstandard
//! frame of its own (RFC 8878), so one item is read without the others.
//!
//! *Nothing is half visible*: an object appears whole or not at all, and never changes. A manifest is replaced by
//! writing the next number with "create only if absent"; who comes second learns it ([`Swap::Lost`]). That needs one
//! promise of the store, which [`Archive::probe`] tests, because some servers overwrite silently.

mod bucket;
mod bundle;
mod files;
mod manifest;
mod store;

pub use crate::bundle::{Kind, stored_bytes};
pub use crate::files::{Artifact, checksum_of};
pub use crate::manifest::{Manifest, PackVersion, Swap};
pub use crate::store::{Archive, ArchiveError, MAX_PART_BYTES};
