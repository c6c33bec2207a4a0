//! Applied items in, published packs out.
//!
//! A [`Packer`] follows the `applied` topics of all sources and the `control` topic of the
//! [update log](updates::UpdateLog), and asks nobody else what is going on. Every host has a mailbox of its own, so
//! a thousand pages of one host do not hold up the ten of another:
//!
//! ```text
//!  <source>.applied --+--> mailbox of alice.gov   --+   smallest work first,
//!  control -----------+--> mailbox of bob.gov     --+-> oldest when it waited long --> builds, `workers` at a time
//!                     +--> mailbox of clarice.gov --+                                    |
//!                                                       archive: pack, then manifest <---+--> control: PackPublished
//! ```
//!
//! *When a host is packed.* While a crawl of it runs, when the crawl says that all of its items are terminal
//! ([`HostDone`](updates::Control::HostDone)). Otherwise when it has been quiet for [`PackerOptions::idle`]. In any
//! case when its oldest unpublished record is [`PackerOptions::max_age`] old.
//!
//! *What is packed.* A mailbox holds offsets, never records: a build reads the host's items again from the log, which
//! keeps the newest record of every item. So memory does not grow with a host's pages, a page that failed in this
//! crawl stays as it was, and what a build leaves does not depend on when it happened.
//!
//! *What cannot get lost.* The group's offset of a partition moves only past records that are in a published pack.
//! A killed packer reads the rest again. A host whose pages did not change is not packed again.

mod build;
mod collect;
mod mailbox;
mod metrics;
mod options;
mod publish;
mod service;
mod status;

pub use crate::build::BuildError;
pub use crate::options::PackerOptions;
pub use crate::service::{Packer, PackerError};
pub use crate::status::{HostStatus, Stage};
