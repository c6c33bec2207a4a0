//! Tests of the real binary. `cargo xtask test` builds it first and installs what the tests need.

mod bench;
mod browsing;
mod buckets;
mod crawling;
mod deciding;
mod demo;
mod fairness;
mod faults;
mod get;
mod kills;
mod misuse;
mod monitoring;
mod outages;
mod packages;
mod pkgindex;
mod scrapers;
mod serving;
mod week;

use std::process::ExitCode;
use tests::Bench;

fn main() -> ExitCode {
    let mut bench = Bench::default();
    demo::add(&mut bench);
    crawling::add(&mut bench);
    buckets::add(&mut bench);
    kills::add(&mut bench);
    fairness::add(&mut bench);
    faults::add(&mut bench);
    misuse::add(&mut bench);
    monitoring::add(&mut bench);
    get::add(&mut bench);
    bench::add(&mut bench);
    browsing::add(&mut bench);
    deciding::add(&mut bench);
    pkgindex::add(&mut bench);
    packages::add(&mut bench);
    week::add(&mut bench);
    outages::add(&mut bench);
    serving::add(&mut bench);
    scrapers::add(&mut bench);
    bench.run()
}
