//! The client against a small index that speaks lines, and against servers that err.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use load::{Ask, Load, Protocol, Report, run};

const PACKAGES: usize = 1000;

/// What a server answers to a line; nothing closes the connection.
type Respond = dyn Fn(&str) -> Option<String> + Send + Sync;

/// Serves until the test's process ends.
fn serve(respond: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let respond: Arc<Respond> = Arc::new(respond);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let respond = Arc::clone(&respond);
            thread::spawn(move || talk(&stream.unwrap(), &*respond));
        }
    });
    address
}

fn talk(stream: &TcpStream, respond: &Respond) {
    stream.set_nodelay(true).unwrap();
    let mut lines = BufReader::new(stream).lines();
    while let Some(answer) = lines.next().and_then(|line| respond(&line.ok()?)) {
        // The client may have what it wanted.
        if { stream }.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn ask(address: SocketAddr, ask: Ask, connections: usize, pipeline: usize) -> anyhow::Result<Report> {
    run(&Load {
        protocol: Protocol::Haul,
        address,
        ask,
        connections,
        pipeline,
        duration: Duration::from_millis(300),
        packages: PACKAGES,
        server_pid: Some(std::process::id()),
    })
}

/// An index that keeps lists and counts the commands that changed nothing.
#[derive(Default)]
struct Toy {
    lists: HashMap<String, String>,
    queries: HashMap<&'static str, u64>,
    indexed: u64,
    unchanged: u64,
}

impl Toy {
    fn respond(&mut self, line: &str) -> &'static str {
        let [verb, package, list] = line.split('|').collect::<Vec<_>>()[..] else {
            panic!("{line} is no command");
        };
        if verb == "QUERY" {
            let answer = if self.lists.contains_key(package) {
                "OK\n"
            } else {
                "FAIL\n"
            };
            *self.queries.entry(answer).or_default() += 1;
            return answer;
        }
        assert_eq!(verb, "INDEX");
        let names: HashSet<_> = list.split(',').filter(|name| !name.is_empty()).collect();
        if names.len() > 3 || !names.iter().all(|name| self.lists.contains_key(*name)) {
            return "FAIL\n";
        }
        let before = self.lists.insert(package.to_owned(), list.to_owned());
        self.indexed += 1;
        self.unchanged += u64::from(before.as_deref() == Some(list));
        "OK\n"
    }
}

fn serve_toy() -> (Arc<Mutex<Toy>>, SocketAddr) {
    let toy = Arc::new(Mutex::new(Toy::default()));
    let served = Arc::clone(&toy);
    let address = serve(move |line| Some(served.lock().unwrap().respond(line).to_owned()));
    (toy, address)
}

#[test]
fn every_index_changes_something_and_every_answer_is_counted() {
    let (toy, address) = serve_toy();
    // Neither the shares of the connections nor the batches come out even, and the scripts are run more than once.
    let report = ask(address, Ask::Write, 3, 7).unwrap();
    let toy = toy.lock().unwrap();
    assert_eq!(toy.unchanged, 0);
    let filled = PACKAGES + PACKAGES / 10;
    assert_eq!(report.requests, toy.indexed - filled as u64);
    assert!(report.requests > 2 * PACKAGES as u64, "{report:?}");
}

#[test]
fn one_query_in_eleven_is_for_a_package_that_is_not_there() {
    let (toy, address) = serve_toy();
    let report = ask(address, Ask::Read, 2, 1).unwrap();
    let toy = toy.lock().unwrap();
    let (found, missed) = (toy.queries["OK\n"], toy.queries["FAIL\n"]);
    assert_eq!(report.requests, found + missed);
    assert!(missed.abs_diff(found / 10) <= 2, "{found} found, {missed} missed");
}

#[test]
fn the_figures_agree_with_one_another() {
    let (_, address) = serve_toy();
    let report = ask(address, Ask::Read, 4, 16).unwrap();
    assert!(report.seconds >= 0.3, "{report:?}");
    let rate = report.requests as f64 / report.seconds;
    assert!((report.per_second - rate).abs() < 1.0, "{report:?}");
    let latencies = [report.p50_us, report.p99_us, report.p999_us];
    assert!(latencies.is_sorted() && report.p50_us > 0.0, "{report:?}");
    // The server runs in this process, so both clocks see the work of both.
    assert!(report.server_cpu_s.unwrap() > 0.0, "{report:?}");
}

#[test]
fn fewer_packages_than_connections_are_refused() {
    let (_, address) = serve_toy();
    let error = ask(address, Ask::Read, PACKAGES + 1, 1).unwrap_err();
    assert!(error.to_string().contains("as many packages"), "{error}");
}

#[test]
fn a_wrong_answer_ends_the_run_and_is_named() {
    let wrong = serve(|line| {
        Some(
            if line.starts_with("QUERY") {
                "ERROR\n"
            } else {
                "OK\n"
            }
            .to_owned(),
        )
    });
    let error = format!("{:#}", ask(wrong, Ask::Read, 1, 1).unwrap_err());
    assert!(error.starts_with("to \"QUERY|"), "{error}");
    assert!(
        error.contains("answers \"ERROR\\n\" instead of \"FAIL\\n\""),
        "{error}"
    );
}

#[test]
fn an_answer_too_many_ends_the_run() {
    let chatty = serve(|_| Some("OK\nOK\n".to_owned()));
    let error = format!("{:#}", ask(chatty, Ask::Write, 1, 1).unwrap_err());
    assert!(error.contains("while the server was filled"), "{error}");
}

#[test]
fn a_connection_that_is_closed_ends_the_run() {
    let closing = serve(|line| line.starts_with("INDEX").then(|| "OK\n".to_owned()));
    let error = format!("{:#}", ask(closing, Ask::Read, 2, 4).unwrap_err());
    assert!(
        error.contains("closed a connection") || error.contains("reset"),
        "{error}"
    );
}
