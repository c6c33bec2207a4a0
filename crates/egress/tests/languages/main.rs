//! Real programs in a network that leads only to the proxy: clients of several languages, most of which would ignore a proxy that is set in the environment.
//!
//! Each test makes a network namespace of its own, as an unprivileged user can. Nothing in it reaches further than the proxy, which refuses before it connects.

mod namespace;
mod programs;
mod sites;

use std::path::Path;
use std::process::{ExitCode, Output};
use std::sync::{Arc, mpsc};

use anyhow::{Context, Result, ensure};
use egress::{Counts, Policy, Proxy, Resolve, Tape, TapeLimits, Trust};
use tests::{Bench, Need};

use crate::namespace::Inside;
use crate::programs::{PROGRAMS, Program};
use crate::sites::Sites;

const HOST: &str = "site.example";

fn main() -> ExitCode {
    if let Some(failed) = namespace::enter() {
        return failed;
    }
    let mut bench = Bench::default();
    for program in PROGRAMS {
        let needs = [namespace::NEEDS.as_slice(), &[program.needs]].concat();
        bench.test(format!("{}_needs_no_setting", program.name), &needs, move || {
            passes(&program)
        });
        bench.test(format!("{}_trusts_a_cassette", program.name), &needs, move || {
            is_taped(&program)
        });
    }
    let needs = [namespace::NEEDS.as_slice(), &[Need::Program("curl")]].concat();
    bench.test("tls_is_passed_through_and_counted", &needs, tls_is_passed_through);
    bench.test(
        "a_hostile_scraper_reaches_nothing",
        &needs,
        a_hostile_scraper_reaches_nothing,
    );
    bench.run()
}

/// What a program in a namespace of its own said, whom it talked to, and what the log was told.
struct Seen {
    output: Output,
    visits: Vec<(String, Counts)>,
    told: Vec<String>,
}

impl Seen {
    fn text(&self) -> String {
        let output = [self.output.stdout.as_slice(), &self.output.stderr].concat();
        String::from_utf8_lossy(&output).into_owned()
    }
}

/// Runs a program behind a proxy.
fn run(inside: Inside, policy: Policy, tape: Option<Tape>) -> Result<Seen> {
    let runtime = tokio::runtime::Runtime::new()?;
    let _entered = runtime.enter();
    let (teller, told) = mpsc::channel();
    let refused = Arc::new(move |sentence: &str| drop(teller.send(sentence.to_owned())));
    let (waiting, sockets) = inside.start()?;
    let proxy = Proxy::start(sockets, policy, Arc::default(), tape, refused)?;
    let output = waiting.go()?;
    let visits = runtime.block_on(proxy.stop());
    let visits = visits
        .into_iter()
        .map(|visit| (visit.host, visit.counts))
        .collect();
    Ok(Seen {
        output,
        visits,
        told: told.try_iter().collect(),
    })
}

fn finding(sites: &Sites) -> Policy {
    let at = |port, address| Resolve {
        host: HOST.to_owned(),
        port,
        address,
    };
    Policy {
        resolve: vec![at(80, sites.http), at(443, sites.https)],
        ..Policy::default()
    }
}

fn passes(program: &Program) -> Result<()> {
    let sites = Sites::start()?;
    let seen = run(
        Inside::new(program.command(&format!("http://{HOST}/page"))),
        finding(&sites),
        None,
    )?;
    ensure!(seen.text().contains("you asked for /page"), "{}", seen.text());
    let [(host, counts)] = seen.visits.as_slice() else {
        anyhow::bail!("other hosts were visited: {:?}", seen.visits);
    };
    ensure!(
        host == HOST && counts.connections == 1 && counts.refused + counts.failed == 0,
        "{host}: {counts:?}"
    );
    ensure!(counts.bytes_in > 50 && counts.bytes_out > 30, "{counts:?}");
    Ok(())
}

fn is_taped(program: &Program) -> Result<()> {
    let sites = Sites::start()?;
    let folder = tempfile::TempDir::new()?;
    let cassette = folder.path().join("cassette");
    let recorded = tape_run(
        program,
        folder.path(),
        Tape::record_trusting(&cassette, TapeLimits::default(), &sites.root_pem)?,
        finding(&sites),
    )?;
    ensure!(
        recorded.text().contains("you asked for /taped"),
        "recorded: {}",
        recorded.text()
    );
    drop(sites);
    let played = tape_run(
        program,
        folder.path(),
        Tape::replay(&cassette)?,
        Policy::default(),
    )?;
    ensure!(played.text() == recorded.text(), "played back: {}", played.text());
    ensure!(played.told.is_empty(), "{:?}", played.told);
    Ok(())
}

fn tape_run(program: &Program, folder: &Path, tape: Tape, policy: Policy) -> Result<Seen> {
    let bundle = folder.join("bundle.pem");
    std::fs::write(&bundle, tape.trust().bundle_pem)?;
    let mut inside = Inside::new(program.command(&format!("https://{HOST}/taped")));
    if program.needs_system_bundle {
        inside.system_bundle = Some(bundle);
    } else {
        inside.environment = Trust::variables(bundle.to_str().context("no text")?);
    }
    run(inside, policy, Some(tape))
}

fn tls_is_passed_through() -> Result<()> {
    let sites = Sites::start()?;
    let folder = tempfile::TempDir::new()?;
    let root = folder.path().join("root.pem");
    std::fs::write(&root, &sites.root_pem)?;
    let url = format!("https://{HOST}/secret");
    let command = ["curl", "-sS", "--cacert", root.to_str().context("no text")?, &url];
    let seen = run(
        Inside::new(command.map(str::to_owned).to_vec()),
        finding(&sites),
        None,
    )?;
    ensure!(seen.text().contains("you asked for /secret"), "{}", seen.text());
    ensure!(
        seen.visits.len() == 1 && seen.visits[0].0 == HOST,
        "{:?}",
        seen.visits
    );
    Ok(())
}

/// Asks for addresses that are nobody's business, by name, by number in all its spellings, and by redirect.
fn a_hostile_scraper_reaches_nothing() -> Result<()> {
    let sites = Sites::start()?;
    let port = sites.http.port();
    let script = [
        format!("http://localhost:{port}/"),
        format!("http://127.0.0.1:{port}/"),
        format!("http://2130706433:{port}/"),
        format!("http://0x7f000001:{port}/"),
        format!("http://0177.0.0.1:{port}/"),
        format!("http://127.1:{port}/"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        format!("http://{HOST}/redirect"),
    ];
    let mut command: Vec<_> = ["curl", "-sSL", "--max-time", "20"].map(str::to_owned).to_vec();
    command.extend(script);
    let seen = run(Inside::new(command), finding(&sites), None)?;
    let heard = seen.text();
    let own = format!("127.0.0.1:{port} is refused: it is a private address");
    ensure!(heard.matches(&own).count() == 6, "{heard}");
    ensure!(
        heard
            .matches("169.254.169.254:80 is refused: the metadata")
            .count()
            == 2,
        "{heard}"
    );
    ensure!(!heard.contains("you asked for /\n"), "{heard}");
    let refused = seen
        .visits
        .iter()
        .map(|(host, counts)| (host.as_str(), counts.connections, counts.refused));
    let expected = [
        ("localhost", 0, 1),
        ("127.0.0.1", 0, 5),
        ("169.254.169.254", 0, 2),
        (HOST, 1, 0),
    ];
    ensure!(refused.clone().eq(expected), "{:?}", refused.collect::<Vec<_>>());
    ensure!(seen.told.len() == 3, "{:?}", seen.told);
    Ok(())
}
