//! Keepers that are killed, or sleep through their lease.

use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use pkgindex::store::Store;
use pkgindex::{Answer, Index};

use crate::servers::{runtime, say, start};
use crate::{applied, open, tree, unmended, wait_for};

/// What the other process is told.
const FOLDER: &str = "PKGINDEX_TEST_FOLDER";

/// Stands before each acknowledged package in what the other process says.
const WRITTEN: &str = "written ";

/// No test, but the other server: for each line that it reads it indexes a package and says so.
#[test]
fn a_server_in_another_process() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let index = start(Path::new(&folder));
    let runtime = runtime();
    for package in std::io::stdin().lines() {
        let package = package.unwrap();
        assert_eq!(say(&runtime, &index, &format!("INDEX|{package}|\n")), Answer::Ok);
        println!("{WRITTEN}{package}");
    }
}

struct Server {
    process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    asked: usize,
}

impl Server {
    fn start(folder: &Path) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["processes::a_server_in_another_process", "--exact", "--nocapture"])
            .env(FOLDER, folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            input: process.stdin.take().unwrap(),
            output: BufReader::new(process.stdout.take().unwrap()).lines(),
            process,
            asked: 0,
        }
    }

    fn ask(&mut self) {
        use std::io::Write;
        writeln!(self.input, "other{}", self.asked).unwrap();
        self.asked += 1;
    }

    /// Waits until a package is acknowledged.
    fn hear(&mut self) -> String {
        loop {
            let line = self.output.next().expect("the other server goes on").unwrap();
            if let Some((_, package)) = line.split_once(WRITTEN) {
                return package.to_owned();
            }
        }
    }

    fn signal(&self, signal: &str) {
        let id = self.process.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &id])
                .status()
                .unwrap()
                .success()
        );
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Lets it end of its own accord.
    fn end(self) {
        let Self {
            mut process,
            input,
            output,
            ..
        } = self;
        drop(input);
        output.for_each(drop);
        assert!(process.wait().unwrap().success());
    }
}

fn epoch(folder: &Path) -> String {
    tree(folder).file_name().unwrap().to_str().unwrap().to_owned()
}

/// The other server writes and keeps the tree.
fn keeper(folder: &Path) -> (Server, Vec<String>) {
    let mut server = Server::start(folder);
    let written = (0..20).map(|_| {
        server.ask();
        server.hear()
    });
    let written = written.collect();
    wait_for(|| folder.join("index/tree.1").exists());
    (server, written)
}

/// Everything that was acknowledged is there, in memory and in the tree.
fn assert_whole(folder: &Path, index: Index, written: &[String]) {
    let runtime = runtime();
    for package in written {
        assert_eq!(
            say(&runtime, &index, &format!("QUERY|{package}|\n")),
            Answer::Ok,
            "{package}"
        );
    }
    let newest = index.sizes().committed.0;
    wait_for(|| applied(folder) == Some(newest));
    drop(index);
    let mut store = open(folder);
    assert_eq!(unmended(&mut store, true), [""; 0]);
    assert_eq!(store.check(false).unwrap(), []);
    fs::remove_dir_all(folder.join("index/changes")).unwrap();
    fs::create_dir(folder.join("index/changes")).unwrap();
    let lines = open(folder).load().unwrap().lines;
    for package in written {
        let line = format!("INDEX|{package}|");
        assert!(
            str::from_utf8(&lines).unwrap().lines().any(|found| found == line),
            "{package}"
        );
    }
}

#[test]
fn a_killed_keeper_is_replaced() {
    let folder = crate::folder();
    let (mut server, mut written) = keeper(folder.path());
    let index = start(folder.path());
    // Asked and not heard: it is killed while it writes.
    (0..50).for_each(|_| server.ask());
    (0..10).for_each(|_| written.push(server.hear()));
    server.kill();
    let runtime = runtime();
    assert_eq!(say(&runtime, &index, "INDEX|mine|\n"), Answer::Ok);
    written.push("mine".to_owned());
    wait_for(|| epoch(folder.path()) == "tree.2");
    assert_whole(folder.path(), index, &written);
}

#[test]
fn a_keeper_that_slept_is_an_ordinary_server_afterwards() {
    let folder = crate::folder();
    let (mut server, mut written) = keeper(folder.path());
    let index = start(folder.path());
    (0..50).for_each(|_| server.ask());
    server.signal("-STOP");
    let runtime = runtime();
    assert_eq!(say(&runtime, &index, "INDEX|mine|\n"), Answer::Ok);
    written.push("mine".to_owned());
    wait_for(|| epoch(folder.path()) == "tree.2");
    server.signal("-CONT");
    (0..50).for_each(|_| written.push(server.hear()));
    server.ask();
    written.push(server.hear());
    assert_eq!(
        epoch(folder.path()),
        "tree.2",
        "the old keeper took the tree back"
    );
    server.end();
    assert_whole(folder.path(), index, &written);
}
