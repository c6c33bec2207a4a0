//! `cargo xtask test`: installs what the tests need, builds the binary, runs every test of the workspace, and then looks
//! at which of the tests with real servers have run. A test whose server is missing is reported as ignored, never as
//! passed; with `CI=true` one that `xtask/required-tests.toml` requires must have run.

mod environments;
mod packages;
mod report;

use crate::run::{cargo, must_succeed, root};
use anyhow::{Context, Result};
use report::Report;
use std::fs;
use std::process::ExitCode;
use std::time::Instant;

/// Runs the tests; `arguments` go to `cargo test`.
pub(crate) fn command(arguments: &[String]) -> Result<ExitCode> {
    let started = Instant::now();
    println!("==> programs that the tests use");
    let missing = packages::install_missing()?;
    environments::install_missing()?;
    println!("==> the haul binary");
    must_succeed(cargo().args(["build", "--package", "haul"]))?;

    println!("==> tests");
    let report_file = tempfile::NamedTempFile::new().context("cannot create the file for the test report")?;
    let mut tests = cargo();
    tests
        .args(["test", "--workspace", "--no-fail-fast"])
        .args(arguments)
        .env("HAUL_TEST_REPORT", report_file.path());
    let passed = tests.status().context("cannot start `cargo test`")?.success();

    let report = Report::parse(&fs::read_to_string(report_file.path())?);
    let required = fs::read_to_string(root().join("xtask/required-tests.toml"))?;
    let not_run = report.missing(&required)?;
    let complete = not_run.is_empty() || !in_ci() || is_partial(arguments);
    for name in &not_run {
        println!("did not run: {name}");
    }
    if !missing.is_empty() {
        println!(
            "tests were ignored for want of these Debian packages: {}",
            missing.join(" ")
        );
    }
    let verdict = if passed && complete { "passed" } else { "FAILED" };
    let (ran, ignored) = (report.ran.len(), report.ignored.len());
    let seconds = started.elapsed().as_secs();
    println!("==> {verdict} in {seconds} s; with the real binary: {ran} ran, {ignored} ignored");
    Ok(if passed && complete {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

/// Arguments choose some of the tests, so that the others rightly do not run.
fn is_partial(arguments: &[String]) -> bool {
    !arguments.is_empty()
}
