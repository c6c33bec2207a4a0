//! Jobs, friendly and hostile, as root and as an ordinary user. This program also is what contains them, and the worker that is killed.

mod disk;
mod ends;
mod fixture;
mod kills;
mod limits;
mod network;
mod refusals;
mod views;

use std::process::{Command, ExitCode};

use anyhow::{Result, ensure};
use tests::{Bench, Need, Podman};

use crate::fixture::{is_root, sandbox};

fn main() -> ExitCode {
    let first = std::env::args().nth(1);
    match first.as_deref() {
        Some("contain") => return sandbox::contain(),
        Some("worker") => return kills::worker(),
        _ => {}
    }
    let mut bench = Bench::default();
    let lacks = sandbox().lacks();
    if let Some(lack) = lacks
        .iter()
        .find(|lack| lack.ability == sandbox::Ability::Namespaces)
    {
        bench.ignore("every job", &lack.reason);
        return bench.run();
    }
    ends::add(&mut bench);
    views::add(&mut bench);
    refusals::add(&mut bench);
    limits::add(&mut bench);
    disk::add(&mut bench);
    network::add(&mut bench);
    kills::add(&mut bench);
    if is_root() && fixture::engine().is_none() {
        bench.test(
            "everything_again_as_an_ordinary_user",
            &[Need::Program("setpriv")],
            as_ordinary_user,
        );
        bench.test(
            "everything_again_in_a_container_engine",
            &[Need::Program("podman"), Need::Program("runc")],
            in_engine,
        );
    }
    bench.run()
}

/// Nobody has no control groups here, so what needs them is left out there.
fn as_ordinary_user() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let program = folder.path().join("jobs");
    std::fs::copy(std::env::current_exe()?, &program)?;
    fixture::open_to_all(folder.path())?;
    let nobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let output = Command::new("setpriv")
        .args(nobody)
        .arg(&program)
        .env_remove("HAUL_TEST_REPORT")
        .env("TMPDIR", "/tmp")
        .output()?;
    let report = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "{report}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// Each job in a container. At the end there is none.
fn in_engine() -> Result<()> {
    let podman = Podman::start()?;
    let output = Command::new(std::env::current_exe()?)
        .env_remove("HAUL_TEST_REPORT")
        .env(fixture::ENGINE, podman.socket())
        .output()?;
    let report = String::from_utf8_lossy(&output.stdout);
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{report}{words}");
    let left = podman.containers()?;
    ensure!(left.is_empty(), "left: {left:?}");
    Ok(())
}
