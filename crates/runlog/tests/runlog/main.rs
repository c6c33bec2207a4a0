//! The log of a run as its users see it: pieces in, lines out, whatever happens in between.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod desk;
mod files;
mod follow;
mod limits;
mod lines;
mod properties;
mod secrets;
