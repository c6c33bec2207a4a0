//! Scrapers that do harm: each is contained, named and shown.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::{Bench, Ended, Haul, Need, Podman, Site, wait};

use super::{SANDBOX, SITE, copy, ending, haul, rows, serve};

/// What must be seen of a run beside its outcome.
#[derive(Clone, Copy)]
enum Seen {
    /// The row that it saved before it did harm.
    Kept,
    /// These words in its log, or in how it ended.
    Said(&'static str),
    /// It tried things, and was `refused`; none of these words is at the beginning of a line of its log.
    Never(&'static [&'static str]),
    /// The most memory that it had, in words and figures.
    Peak,
    /// A log within its limits, which says so.
    LimitedLog,
    /// None of its secrets.
    Masked,
    /// The rows from the first to the last of these, and no others.
    Rows(u64, u64),
}

/// Sample, further options, outcome, what must be seen.
const SAMPLES: [(&str, &[&str], &str, Seen); 20] = [
    (
        "fork-bomb",
        &["--run-seconds", "3"],
        "timed_out",
        Seen::Said("no more processes"),
    ),
    (
        "memory-bomb",
        &["--memory-mib", "96"],
        "out_of_memory",
        Seen::Peak,
    ),
    ("disk-filler", &["--disk-mib", "64"], "disk_full", Seen::Kept),
    ("many-files", &["--run-seconds", "60"], "disk_full", Seen::Kept),
    ("temporary-files", &[], "failed", Seen::Kept),
    ("ten-million-lines", &[], "succeeded", Seen::LimitedLog),
    ("endless-line", &[], "succeeded", Seen::Kept),
    ("invalid-utf8", &[], "succeeded", Seen::Said("\u{fffd}")),
    (
        "ignores-sigterm",
        &["--run-seconds", "2"],
        "timed_out",
        Seen::Said("is ignored"),
    ),
    ("detaches", &[], "succeeded", Seen::Kept),
    ("raw-sockets", &[], "succeeded", Seen::Never(&["allowed"])),
    ("forbidden-addresses", &[], "succeeded", Seen::Never(&["reached"])),
    ("reads-others", &[], "succeeded", Seen::Never(&["read", "wrote"])),
    ("prints-secrets", &[], "succeeded", Seen::Masked),
    ("data-symlink", &[], "failed", Seen::Said("not a file")),
    ("data-fifo", &[], "failed", Seen::Said("not a file")),
    ("data-directory", &[], "failed", Seen::Said("not a file")),
    ("data-corrupt", &[], "failed", Seen::Said("damaged")),
    ("data-wal", &[], "failed", Seen::Rows(1, 100)),
    ("data-journal", &[], "failed", Seen::Rows(0, 999)),
];

pub(super) fn add(bench: &mut Bench) {
    let needs = [SANDBOX, Need::Program("python3"), Need::Program("sqlite3")];
    for (sample, options, outcome, seen) in SAMPLES {
        bench.test(format!("hostile scraper: {sample}"), &needs, move || {
            let site = serve()?;
            check(&hostile_haul(&site)?, sample, options, outcome, seen)
        });
    }
    let needs = [Need::Program("podman"), Need::Program("runc"), needs[1], needs[2]];
    bench.test(
        "scraper: all that are hostile, in a container engine",
        &needs,
        all_in_engine,
    );
}

/// Contained, named and shown as by bubblewrap. At the end there is no container.
fn all_in_engine() -> Result<()> {
    let podman = Podman::start()?;
    let site = serve()?;
    let engine = format!("unix://{}", podman.socket().display());
    let haul = hostile_haul(&site)?.with("HAUL_RUN_ENGINE", engine);
    for (sample, options, outcome, seen) in SAMPLES {
        check(&haul, sample, options, outcome, seen)?;
    }
    let left = podman.containers()?;
    ensure!(left.is_empty(), "left: {left:?}");
    Ok(())
}

fn check(haul: &Haul, sample: &str, options: &[&str], outcome: &str, seen: Seen) -> Result<()> {
    let folder = copy(haul, &format!("hostile/{sample}"))?;
    let place = folder.display().to_string();
    let mut run = vec!["run", "--strict", "--json", &place];
    run.extend(options);
    let running = haul.start(&run)?;
    let worker = running.id();
    let ended = running.wait()?;
    let ending = ending(&ended).with_context(|| format!("{ended:#?}"))?;
    ensure!(ending["outcome"] == outcome, "{ending:#}\n{}", ended.stderr);
    seen.check(&folder, &ended, &ending)?;
    wait::until("control groups to go", Duration::from_secs(10), || {
        Ok((groups_of(worker) == 0).then_some(()))
    })
}

fn hostile_haul(site: &Site) -> Result<Haul> {
    Ok(haul(site)?
        .with("MORPH_TOKEN", SECRET)
        .with("HAUL_RUN_GRACE_MS", "500")
        .with("MORPH_SITE", format!("http://{SITE}")))
}

const SECRET: &str = "s3cret/value+with=signs";

/// Control groups that a worker made and that are still there.
pub(super) fn groups_of(worker: u32) -> usize {
    let trees = ["", "memory", "pids", "cpu", "unified"];
    let trees = trees
        .iter()
        .filter_map(|tree| fs::read_dir(Path::new("/sys/fs/cgroup").join(tree)).ok());
    let names = trees
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mark = format!("-{worker}-");
    names
        .filter(|name| name.starts_with("haul-") && name.contains(&mark))
        .count()
}

impl Seen {
    fn check(self, folder: &Path, ended: &Ended, ending: &Value) -> Result<()> {
        let said = format!("{}\n{}", ended.stderr, ending["message"]);
        let is_seen = match self {
            Self::Kept => rows(&folder.join("data.sqlite"), "select count(*) from data")?.trim() == "1",
            Self::Said(words) => said.contains(words),
            Self::Never(words) => {
                let begins = |word: &str| said.lines().any(|line| line.starts_with(word));
                begins("refused") && !words.iter().any(|word| begins(word))
            }
            Self::Peak => {
                said.contains("MiB") && ending["usage"]["peak_memory_bytes"].as_u64() > Some(64 << 20)
            }
            Self::LimitedLog => ending["log_lines"].as_u64() < Some(12_000) && said.contains("lines"),
            Self::Masked => {
                !forms_of_secret().iter().any(|form| said.contains(form)) && said.contains("****")
            }
            Self::Rows(first, last) => {
                let found = rows(
                    &folder.join("data.sqlite"),
                    "select min(id), max(id), count(*) from data",
                )?;
                found.trim() == format!("{first}\t{last}\t{}", last - first + 1)
            }
        };
        ensure!(is_seen, "{ended:#?}");
        Ok(())
    }
}

/// The secret as programs write such things.
fn forms_of_secret() -> [String; 4] {
    [
        SECRET.to_owned(),
        // The same in Base64, hexadecimal and in an address.
        "czNjcmV0L3ZhbHVlK3dpdGg9c2lnbnM=".to_owned(),
        "7333637265742f76616c75652b776974683d7369676e73".to_owned(),
        "s3cret%2Fvalue%2Bwith%3Dsigns".to_owned(),
    ]
}
