//! Several servers on one folder.

use std::fs;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::{Bench, Haul, PackageIndex, wait};

use super::clients::{Client, Graph, Trust, apply, graph};

const STORE: &str = "shared-disk:index";
const SEED: u64 = 20_261_122;
const CLIENTS_EACH: u64 = 2;
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn add(bench: &mut Bench) {
    bench.test(
        "pkgindex: three servers on one folder, one killed, one paused beyond its lease",
        &[],
        three_servers,
    );
}

/// The first one keeps the tree; it is the one that stands still.
fn three_servers() -> Result<()> {
    let haul = Haul::new()?;
    let [paused, killed, stays] = [(); 3].map(|()| PackageIndex::start(&haul, STORE));
    let (paused, killed, stays) = (paused?, killed?, stays?);
    let mut feed = Feed::default();
    let mut clients = Client::several(3 * CLIENTS_EACH, SEED);
    thread::scope(|scope| {
        let addresses = [&paused, &killed, &stays].map(PackageIndex::commands);
        let (answered, answers) = channel();
        let working: Vec<_> = (addresses.into_iter().cycle())
            .zip(&mut clients)
            .map(|(address, client)| {
                let answered = answered.clone();
                scope.spawn(move || client.work(address, &answered))
            })
            .collect();
        drop(answered);
        still_answered(&answers).context("with three servers")?;
        paused.process().pause()?;
        still_answered(&answers).context("while one stands still")?;
        killed.kill()?;
        wait::until("another one to keep the tree", LIMIT, || {
            feed.read(&stays)?;
            still_answered(&answers).context("with one of three")?;
            Ok((keepers(&haul)? > 1).then_some(()))
        })?;
        paused.process().resume()?;
        still_answered(&answers).context("when one goes on")?;
        drop(answers);
        for client in working {
            client
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        }
        anyhow::Ok(())
    })?;
    let third = PackageIndex::start(&haul, STORE)?;
    agree(&[&stays, &paused, &third], &mut clients, feed)?;
    for server in [paused, stays, third] {
        server.stop()?;
    }
    // The one that was killed may have left a draft or a commit that nobody needs any more.
    haul.expect(0, &["pkgindex", "check", "--repair", "--store", STORE])?;
    haul.expect(0, &["pkgindex", "check", "--store", STORE])?
        .says(&["all is well"])
}

/// Of all that is answered only what comes from now on counts.
fn still_answered(answers: &Receiver<()>) -> Result<()> {
    while answers.try_recv().is_ok() {}
    let many = 20;
    ensure!(answers.iter().take(many).count() == many, "nobody is answered");
    Ok(())
}

/// The number of the newest keeper.
fn keepers(haul: &Haul) -> Result<u64> {
    let mut newest = 0;
    for entry in fs::read_dir(haul.folder().join("index/index/keepers"))? {
        let name = entry?.file_name();
        newest = newest.max(name.to_string_lossy().parse().unwrap_or_default());
    }
    Ok(newest)
}

/// All servers have the same, nothing of what was answered is lost, and the changes lead to it one by one.
fn agree(servers: &[&PackageIndex], clients: &mut [Client], mut feed: Feed) -> Result<()> {
    let dumps: Vec<_> = servers
        .iter()
        .map(|server| server.get("/v1/dump"))
        .collect::<Result<_>>()?;
    ensure!(
        dumps.iter().all(|dump| *dump == dumps[0]),
        "the servers differ: {dumps:#?}"
    );
    let lines = servers[0].lines()?;
    let kept = graph(&lines)?;
    let mut interrupted = 0;
    for client in clients {
        interrupted += client.settle(&kept)?;
    }
    ensure!(interrupted > 0, "the kill interrupted nothing");
    let names: String = kept.keys().map(|name| format!("QUERY|{name}|\n")).collect();
    for server in servers {
        let answers = server.tell(&names)?;
        ensure!(answers.iter().all(|answer| answer == "OK"), "{answers:?}");
        feed.follow(server)?;
    }
    ensure!(
        feed.graph == kept,
        "the changes lead to {:#?}, not to {kept:#?}",
        feed.graph
    );
    Ok(())
}

/// What `/v1/changes` has told, from the first change on.
#[derive(Default)]
struct Feed {
    revision: u64,
    graph: Graph,
}

impl Feed {
    /// Reads on, at any of the servers, up to the newest change.
    fn follow(&mut self, server: &PackageIndex) -> Result<()> {
        wait::until("the end of the changes", LIMIT, || {
            let newest = self.read(server)?;
            Ok((newest == self.revision).then_some(()))
        })
    }

    /// Reads on once; returns the newest revision.
    fn read(&mut self, server: &PackageIndex) -> Result<u64> {
        let told = server.ask(&format!("/v1/changes?after={}", self.revision))?;
        for change in told["changes"].as_array().context("no changes")? {
            self.take(change)?;
        }
        told["revision"].as_u64().context("no revision")
    }

    fn take(&mut self, change: &Value) -> Result<()> {
        ensure!(
            change["revision"] == self.revision + 1,
            "after revision {} comes {change}",
            self.revision
        );
        self.revision += 1;
        let lines = change["lines"].as_str().context("no lines")?;
        for line in lines.lines() {
            apply(&mut self.graph, line, Trust::Told);
        }
        Ok(())
    }
}
