//! A server that follows another one.

use std::time::Duration;

use anyhow::{Result, ensure};
use tests::{Bench, Haul, PackageIndex, wait};

const LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn add(bench: &mut Bench) {
    bench.test(
        "pkgindex: a replica follows, also when the other server comes again",
        &[],
        a_replica,
    );
}

fn a_replica() -> Result<()> {
    let haul = Haul::new()?;
    let first = PackageIndex::start(&haul, "log:index")?;
    first.tell("INDEX|a|\nINDEX|b|a\n")?;
    let replica = PackageIndex::start(&haul, &format!("replica:{}", first.url()))?;
    let answers = replica.tell("QUERY|b|\nINDEX|c|\nREMOVE|b|\nQUERY|c|\nINDEX|c|nowhere\nx\n")?;
    ensure!(
        answers == ["OK", "ERROR", "ERROR", "FAIL", "ERROR", "ERROR"],
        "{answers:?}"
    );
    ensure!(
        replica.lines()? == ["INDEX|a|", "INDEX|b|a"],
        "{:?}",
        replica.lines()
    );

    first.tell("INDEX|c|a,b\nREMOVE|nothing|\nINDEX|b|\n")?;
    follows(&replica, &first)?;

    // It comes again at the same address, which is all that a replica knows of it.
    let (commands, questions) = (first.commands(), first.questions());
    first.kill()?;
    ensure!(
        replica.ask("/health")?["writable"] == false,
        "a replica is for reading"
    );
    let first = PackageIndex::start_at(&haul, commands, questions, &["--store", "log:index"])?;
    first.tell("REMOVE|c|\nREMOVE|b|\nINDEX|d|a\n")?;
    follows(&replica, &first)?;
    replica.stop()?;
    first.stop()
}

fn follows(replica: &PackageIndex, first: &PackageIndex) -> Result<()> {
    let right = first.get("/v1/dump")?;
    wait::until("the replica to follow", LIMIT, || {
        Ok((replica.get("/v1/dump")? == right).then_some(()))
    })
}
