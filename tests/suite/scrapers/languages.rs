//! One scraper a language with its usual library, one without: twice, and the second time nothing has changed.

use anyhow::{Result, ensure};
use tests::{Bench, Haul, Need, Podman};

use super::{SANDBOX, SITE, copy, ending, haul, rows, samples, serve};

const SAMPLES: [(&str, &str); 10] = [
    ("python", "python3"),
    ("python-plain", "python3"),
    ("ruby", "ruby"),
    ("ruby-plain", "ruby"),
    ("php", "php"),
    ("php-plain", "php"),
    ("perl", "perl"),
    ("perl-plain", "perl"),
    ("node", "node"),
    ("node-plain", "node"),
];

pub(super) fn add(bench: &mut Bench) {
    for (sample, program) in SAMPLES {
        let needs = [SANDBOX, Need::Program("sqlite3"), Need::Program(program)];
        bench.test(format!("scraper: {sample}, twice"), &needs, move || {
            let site = serve()?;
            twice(&haul(&site)?, sample)
        });
    }
    bench.test(
        "scraper: python, twice, in a container engine",
        &[
            Need::Program("podman"),
            Need::Program("runc"),
            Need::Program("python3"),
            Need::Program("sqlite3"),
        ],
        twice_in_engine,
    );
    bench.test(
        "scraper: recorded, and played back without a network",
        &[SANDBOX, Need::Program("python3")],
        recorded,
    );
}

fn twice_in_engine() -> Result<()> {
    let podman = Podman::start()?;
    let site = serve()?;
    let engine = format!("unix://{}", podman.socket().display());
    twice(&haul(&site)?.with("HAUL_RUN_ENGINE", engine), "python")
}

fn twice(haul: &Haul, sample: &str) -> Result<()> {
    let folder = copy(haul, sample)?;
    let run = ["run", "--strict", "--json", &folder.display().to_string()];
    let expected = std::fs::read_to_string(samples().join("expected.tsv"))?;
    let count = expected.lines().count() as u64;

    let first = ending(&haul.expect(0, &run)?)?;
    ensure!(
        first["outcome"] == "succeeded" && first["changes"]["data"]["added"] == count,
        "{first:#}"
    );
    let query =
        "select id, address, received, description, cast(cost as real), decided from data order by id";
    ensure!(rows(&folder.join("data.sqlite"), query)? == expected);
    let domains = first["domains"].as_array().cloned().unwrap_or_default();
    ensure!(
        domains.len() == 1 && domains[0]["host"] == SITE && domains[0]["refused"] == 0,
        "{first:#}"
    );

    let second = ending(&haul.expect(0, &run)?)?;
    let rows_of_second = &second["changes"]["data"];
    ensure!(
        rows_of_second["unchanged"] == count
            && rows_of_second["added"] == 0
            && rows_of_second["changed"] == 0,
        "{second:#}"
    );
    ensure!(rows(&folder.join("data.sqlite"), query)? == expected);
    Ok(())
}

fn recorded() -> Result<()> {
    let site = serve()?;
    let haul = haul(&site)?;
    let folder = copy(&haul, "python")?.display().to_string();
    let cassette = haul.folder().join("cassette").display().to_string();
    haul.expect(0, &["run", "--strict", "--record", &cassette, &folder])?;
    let asked = site.asked();
    drop(site);
    let played = ending(&haul.expect(0, &["run", "--strict", "--json", "--replay", &cassette, &folder])?)?;
    ensure!(
        !asked.is_empty() && played["changes"]["data"]["added"] == 0,
        "{played:#}"
    );
    ensure!(
        played["changes"]["data"]["unchanged"].as_u64() > Some(0),
        "{played:#}"
    );
    Ok(())
}
