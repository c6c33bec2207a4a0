//! Tests of the real binary. `cargo xtask test` builds it first and installs what the tests need.

mod crawling;
mod demo;
mod kills;

use std::process::ExitCode;
use tests::Bench;

fn main() -> ExitCode {
    let mut bench = Bench::default();
    demo::add(&mut bench);
    crawling::add(&mut bench);
    kills::add(&mut bench);
    bench.run()
}
