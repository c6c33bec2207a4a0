//! `kill -9` at random moments loses nothing that was answered.

use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests::{Bench, Haul, Need, Numbers, PackageIndex, Postgres};

use super::clients::{Client, graph};
use super::size;

const SEED: u64 = 20_261_121;
const CLIENTS: u64 = 4;

/// How many there are of each, unless `PKGINDEX_KILLS` says otherwise.
const KILLS: u64 = 8;
/// Here each one costs the lease of the killed server.
const SHARED_KILLS: u64 = 2;

pub(crate) fn add(bench: &mut Bench) {
    bench.test(
        "pkgindex: kill -9 under load, shared-disk store",
        &[],
        shared_disk,
    );
    bench.test("pkgindex: kill -9 under load, log store", &[], log);
    bench.test(
        "pkgindex: kill -9 under load, PostgreSQL",
        &[Need::Postgres],
        postgres,
    );
}

fn log() -> Result<()> {
    let haul = Haul::new()?;
    again_and_again(&haul, "log:index", size("PKGINDEX_KILLS", KILLS)?, |_| Ok(()))
}

/// What was half done is in the way of nobody, but entries may lack; a check mends it.
fn shared_disk() -> Result<()> {
    let haul = Haul::new()?;
    let store = "shared-disk:index";
    let kills = size("PKGINDEX_KILLS", SHARED_KILLS)?;
    again_and_again(&haul, store, kills, |haul| {
        haul.expect(0, &["pkgindex", "check", "--repair", "--store", store])?;
        Ok(())
    })
}

fn postgres() -> Result<()> {
    let server = Postgres::start(&[])?;
    let haul = Haul::new()?.with("HAUL_PKGINDEX_STORE", server.url());
    let kills = size("PKGINDEX_KILLS", KILLS)?;
    again_and_again(&haul, &server.url(), kills, |_| Ok(()))
}

fn again_and_again(haul: &Haul, store: &str, kills: u64, mend: impl Fn(&Haul) -> Result<()>) -> Result<()> {
    let mut numbers = Numbers(SEED);
    let mut clients = Client::several(CLIENTS, SEED);
    let mut unanswered = 0;
    for kill in 0..kills {
        let server = PackageIndex::start(haul, store)?;
        let context = || format!("after {kill} kills");
        unanswered += settle(&mut clients, &server).with_context(context)?;
        load_until_killed(&mut clients, server, &mut numbers).with_context(context)?;
        mend(haul)?;
        haul.expect(0, &["pkgindex", "check", "--store", store])?
            .says(&["all is well"])?;
    }
    unanswered += settle(&mut clients, &PackageIndex::start(haul, store)?)?;
    ensure!(unanswered > 0, "no kill interrupted anything");
    Ok(())
}

fn settle(clients: &mut [Client], server: &PackageIndex) -> Result<usize> {
    let kept = graph(&server.lines()?)?;
    clients.iter_mut().map(|client| client.settle(&kept)).sum()
}

fn load_until_killed(clients: &mut [Client], server: PackageIndex, numbers: &mut Numbers) -> Result<()> {
    let address = server.commands();
    let (answered, answers) = channel();
    thread::scope(|scope| {
        let working: Vec<_> = clients
            .iter_mut()
            .map(|client| {
                let answered = answered.clone();
                scope.spawn(move || client.work(address, &answered))
            })
            .collect();
        drop(answered);
        let enough = 20 + usize::try_from(numbers.below(100))?;
        let count = answers.iter().take(enough).count();
        // Not just when somebody was answered.
        thread::sleep(Duration::from_micros(numbers.below(3000)));
        let ended = server.kill()?;
        for client in working {
            client
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        }
        ensure!(count == enough, "nobody is answered any more: {ended:#?}");
        Ok(())
    })
}
