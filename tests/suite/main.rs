//! Tests of the real binary. `cargo xtask test` builds it first and installs what the tests need.

mod browsing;
mod crawling;
mod demo;
mod fairness;
mod faults;
mod kills;
mod misuse;

use std::process::ExitCode;
use tests::Bench;

fn main() -> ExitCode {
    let mut bench = Bench::default();
    demo::add(&mut bench);
    crawling::add(&mut bench);
    kills::add(&mut bench);
    fairness::add(&mut bench);
    faults::add(&mut bench);
    misuse::add(&mut bench);
    browsing::add(&mut bench);
    bench.run()
}
