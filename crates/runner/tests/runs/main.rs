//! Runs from the wish to the end, through `Runner`, in a real sandbox. This program also is what contains them.

mod builds;
mod code;
mod data;
mod ends;
mod git;
mod place;
mod secrets;

use std::process::ExitCode;

use tests::{Bench, Need};

/// What every run here needs.
const SANDBOX: Need = Need::Program("bwrap");
/// What scrapers here save with.
const SQLITE: Need = Need::Program("sqlite3");

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("contain") {
        return sandbox::contain();
    }
    let mut bench = Bench::default();
    git::add(&mut bench);
    ends::add(&mut bench);
    data::add(&mut bench);
    builds::add(&mut bench);
    code::add(&mut bench);
    secrets::add(&mut bench);
    bench.run()
}
