//! Whole indexes go out and in.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::{Bench, Haul, Need, PackageIndex};

pub(crate) fn add(bench: &mut Bench) {
    bench.test("pkgindex: a dump is loaded elsewhere", &[], dump_and_load);
    bench.test(
        "pkgindex: a damaged dump is refused as a whole",
        &[],
        damaged_dump,
    );
    bench.test(
        "pkgindex: Debian's packages, asked at a server and in its store",
        &[Need::Output("apt-cache", &["dumpavail"])],
        debian,
    );
}

/// Some packages, two of which need each other.
const LINES: &str = "INDEX|libc6|\nINDEX|libgcc-s1|libc6\nINDEX|libc6|libgcc-s1\nINDEX|zlib1g|libc6\nINDEX|git|libc6,zlib1g\n";

fn dump_and_load() -> Result<()> {
    let haul = Haul::new()?;
    let from = PackageIndex::start(&haul, "log:from")?;
    from.tell(LINES)?;
    let dump = haul.expect(0, &["pkgindex", "dump", "--at", &from.url()])?.stdout;
    ensure!(dump.contains("INDEX|git|libc6,zlib1g\n"), "{dump}");
    fs::write(haul.folder().join("dump"), &dump)?;

    let to = PackageIndex::start(&haul, "log:to")?;
    to.tell("INDEX|mine|\n")?;
    haul.expect(0, &["pkgindex", "load", "--at", &to.url(), "dump"])?
        .says(&["4 packages with 5 dependencies"])?;
    let both: Vec<_> = from
        .lines()?
        .into_iter()
        .chain(["INDEX|mine|".to_owned()])
        .collect();
    ensure!(sorted(to.lines()?) == sorted(both), "{:?}", to.lines());
    haul.expect(0, &["pkgindex", "load", "--at", &to.url(), "--replace", "dump"])?
        .says(&["1 other packages removed"])?;
    ensure!(to.lines()? == from.lines()?, "{:?}", to.lines());
    to.stop()?;
    from.stop()?;

    // The same without a server.
    let again = haul
        .expect(0, &["pkgindex", "dump", "--store", "log:from"])?
        .stdout;
    ensure!(again == dump, "{again}");
    haul.expect(0, &["pkgindex", "load", "--store", "shared-disk:third", "dump"])?;
    let third = haul
        .expect(0, &["pkgindex", "dump", "--store", "shared-disk:third"])?
        .stdout;
    ensure!(lines(&third) == lines(&dump), "{third}");
    haul.expect(0, &["pkgindex", "check", "--store", "shared-disk:third"])?;
    Ok(())
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort_unstable();
    lines
}

fn lines(dump: &str) -> Vec<&str> {
    dump.lines().filter(|line| line.starts_with("INDEX|")).collect()
}

fn damaged_dump() -> Result<()> {
    let haul = Haul::new()?;
    let from = PackageIndex::start(&haul, "memory")?;
    from.tell(LINES)?;
    let dump = from.get("/v1/dump")?;
    let to = PackageIndex::start(&haul, "log:to")?;
    to.tell("INDEX|mine|\n")?;
    let (all_but_the_end, _) = dump.split_at(dump.rfind("end ").context("no end")?);
    let damaged = [
        ("another name", dump.replace("zlib1g", "zlib1h")),
        ("cut off", all_but_the_end.to_owned()),
        ("cut within a line", dump[..dump.len() / 2].to_owned()),
        ("more behind it", format!("{dump}INDEX|more|\n")),
        ("twice", dump.repeat(2)),
        ("nothing", String::new()),
    ];
    for (what, text) in damaged {
        fs::write(haul.folder().join("dump"), text)?;
        for more in [&[][..], &["--replace"]] {
            let mut words = vec!["pkgindex", "load", "--format", "dump", "--at"];
            let url = to.url();
            words.extend([url.as_str(), "dump"]);
            words.extend(more);
            let ended = haul.expect(1, &words).context(what)?;
            ended.says(&["dump cannot be loaded"]).context(what)?;
            ensure!(to.lines()? == ["INDEX|mine|"], "{what}: {:?}", to.lines());
        }
    }
    Ok(())
}

fn debian() -> Result<()> {
    let haul = Haul::new()?;
    let list = haul.folder().join("available");
    let written = Command::new("apt-cache")
        .arg("dumpavail")
        .stdout(fs::File::create(&list)?)
        .stderr(Stdio::null())
        .status()?;
    ensure!(written.success(), "apt-cache dumpavail: {written}");
    let server = PackageIndex::start(&haul, "log:index")?;
    let words = ["pkgindex", "load", "--json", "--at", &server.url(), "available"];
    let loaded = haul.expect(0, &words)?.json()?;
    let packages = loaded["packages"].as_u64().context("no count")?;
    ensure!(packages > 1_000 && loaded["revision"] == 1, "{loaded}");

    let at = ["--at", &server.url()].map(str::to_owned);
    let asked: Vec<_> = QUESTIONS
        .iter()
        .map(|question| ask(&haul, &at, question))
        .collect::<Result<_>>()?;
    ensure!(asked[0]["path"][0] == "bash" && asked[0]["path"].as_array().is_some_and(|path| path.len() > 1));
    let paged = page_by_page(&haul, &at)?;
    server.stop()?;

    let store = ["--store", "log:index"].map(str::to_owned);
    for (question, at_server) in QUESTIONS.iter().zip(&asked) {
        let in_store = ask(&haul, &store, question)?;
        ensure!(in_store == *at_server, "{question:?}: {in_store} and {at_server}");
    }
    let all = ask(
        &haul,
        &store,
        &["dependents", "libc6", "--transitive", "--limit", "100000"],
    )?;
    ensure!(
        all["found"]["items"] == Value::Array(paged),
        "pages are not the whole"
    );
    haul.expect(0, &["pkgindex", "check", "--store", "log:index"])?;
    Ok(())
}

/// Whatever the release: these packages are in every one.
const QUESTIONS: [&[&str]; 6] = [
    &["why", "bash", "libgcc-s1"],
    &["install-order", "bash", "tar"],
    &["removal-order", "libc6", "--limit", "50"],
    &["dependents", "libc6", "--transitive", "--limit", "20"],
    &["cycles", "--limit", "1000"],
    &["orphans", "--limit", "30"],
];

fn ask(haul: &Haul, place: &[String; 2], question: &[&str]) -> Result<Value> {
    let mut words = vec!["pkgindex", "query", "--json", &place[0], &place[1]];
    words.extend(question);
    haul.expect(0, &words)?.json()
}

/// Everything that needs libc6, put together from its pages.
fn page_by_page(haul: &Haul, place: &[String; 2]) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let mut question = vec!["dependents", "libc6", "--transitive", "--limit", "9999"];
        question.extend(after.iter().flat_map(|after| ["--after", after.as_str()]));
        let page = ask(haul, place, &question)?;
        let items = page["found"]["items"].as_array().context("no items")?;
        all.extend(items.iter().cloned());
        after = page["found"]["next"].as_str().map(str::to_owned);
        if after.is_none() {
            ensure!(
                page["found"]["total"] == all.len(),
                "{} of {}",
                all.len(),
                page["found"]["total"]
            );
            return Ok(all);
        }
    }
}
