//! Databases as scrapers leave them, sound and not.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod collecting;
mod comparing;
mod folder;
mod hostile;
mod journals;
mod paging;
mod reading;
