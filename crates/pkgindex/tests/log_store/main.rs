//! The log store, whatever happens to its files.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(
    clippy::print_stdout,
    reason = "measurements and the place of a failure are shown"
)]

mod crashes;
mod damage;
mod failures;
mod keeping;
mod measured;
mod snapshots;
mod world;
