//! Many clients, and clients that misbehave: only they suffer.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod served;
mod slow;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use pkgindex::store::{Commit, Finding, Loaded, Store, StoreError};
use pkgindex::{Change, Revision, Server, ServerOptions};
use served::Served;
use slow::{SHORT, flood, with_little_room};
use socket2::SockRef;

#[track_caller]
fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let found = tests::wait::until(what, Duration::from_secs(10), || Ok(condition().then_some(())));
    found.unwrap();
}

#[test]
fn whoever_comes_too_many_waits_for_a_place() {
    let server = Served::start(ServerOptions {
        max_connections: 2,
        ..ServerOptions::default()
    });
    let (mut first, mut second) = (server.connect(), server.connect());
    assert_eq!(
        first.ask("QUERY|a|\n") + &second.ask("QUERY|a|\n"),
        "FAIL\nFAIL\n"
    );
    let mut third = server.connect();
    third.send("QUERY|a|\n");
    until("the server waits", || server.counts.accept_waits() == 1);
    third.stream.set_read_timeout(Some(SHORT)).unwrap();
    let read = third.stream.read(&mut [0]).map_err(|error| error.kind());
    assert_eq!(read, Err(ErrorKind::WouldBlock));
    assert_eq!(server.counts.connections(), 2);
    drop(first);
    assert_eq!(third.answers(1), "FAIL\n");
    assert_eq!(server.counts.connections_total(), 3);
}

#[test]
fn a_silent_client_is_sent_away_when_that_is_wanted() {
    let server = Served::start(ServerOptions {
        idle_timeout: Some(SHORT),
        ..ServerOptions::default()
    });
    let mut client = server.connect();
    let began = Instant::now();
    while began.elapsed() < SHORT * 2 {
        assert_eq!(client.ask("QUERY|a|\n"), "FAIL\n");
    }
    client.send("QUERY|a");
    assert_eq!(client.rest(), "");
    assert_eq!(server.counts.idle_timeouts(), 1);
}

#[test]
fn a_reader_that_is_too_slow_is_cut_off() {
    let server = Served::start(ServerOptions {
        write_timeout: SHORT,
        ..ServerOptions::default()
    });
    let mut slow = with_little_room(server.address);
    slow.stream
        .set_write_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let lines = vec![b'\n'; 64 << 10];
    let error = loop {
        if let Err(error) = slow.stream.write(&lines) {
            break error.kind();
        }
    };
    assert!(
        matches!(error, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
        "{error}"
    );
    until("the server has counted", || server.counts.write_timeouts() == 1);
    assert_eq!(server.counts.connections(), 0);
}

#[test]
fn a_client_that_is_gone_leaves_nothing_behind() {
    let server = Served::start(ServerOptions::default());
    for beginning in ["", "INDEX|b", "INDEX|b|\nINDEX|c"] {
        let mut client = server.connect();
        client.send(beginning);
        // A reset instead of an orderly end.
        SockRef::from(&client.stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }
    let mut flooding = with_little_room(server.address);
    flood(&mut flooding);
    drop(flooding);
    until("all are closed", || {
        server.counts.connections_total() == 4 && server.counts.connections() == 0
    });
    let mut late = server.connect();
    late.send("QUERY|c|\n");
    assert_eq!(late.end(), "FAIL\n");
}

#[test]
fn what_was_received_before_a_stop_is_answered() {
    let mut server = Served::start(ServerOptions::default());
    let (mut idle, mut busy) = (server.connect(), server.connect());
    assert_eq!(idle.ask("QUERY|a|\n") + &busy.ask("QUERY|a|\n"), "FAIL\nFAIL\n");
    busy.send("QUERY|a|\n".repeat(20_000) + "INDEX|a|");
    server.stop();
    assert_eq!(busy.rest(), "FAIL\n".repeat(20_000));
    assert_eq!(idle.rest(), "");
    server.join();
    assert_eq!(server.counts.connections(), 0);
    let refused = TcpStream::connect(server.address).map_err(|error| error.kind());
    assert_eq!(refused.err(), Some(ErrorKind::ConnectionRefused));
}

#[test]
fn a_stop_does_not_wait_for_ever() {
    let mut server = Served::start(ServerOptions {
        drain_timeout: SHORT,
        ..ServerOptions::default()
    });
    let mut slow = with_little_room(server.address);
    flood(&mut slow);
    let began = Instant::now();
    server.join();
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(server.counts.connections(), 0);
}

/// A store that takes nothing.
struct Broken;

impl Store for Broken {
    fn name(&self) -> &'static str {
        "broken"
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn load(&mut self) -> Result<Loaded, StoreError> {
        Ok(Loaded::default())
    }

    fn commit(&mut self, _: Revision, _: &[Change]) -> Result<Commit, StoreError> {
        Err(StoreError::Lost("the disk is gone".to_owned()))
    }

    fn changes(&mut self, _: Revision) -> Result<Vec<Change>, StoreError> {
        Ok(Vec::new())
    }

    fn check(&mut self, _: bool) -> Result<Vec<Finding>, StoreError> {
        Ok(Vec::new())
    }
}

#[test]
fn without_an_outcome_there_is_no_answer() {
    let server = Served::on(Box::new(Broken), ServerOptions::default());
    let mut client = server.connect();
    assert_eq!(client.ask("QUERY|a|\n"), "FAIL\n");
    client.send("QUERY|a|\nINDEX|a|\n");
    assert_eq!(client.rest(), "");
    assert_eq!(server.counts.unavailable(), 1);
}

#[test]
fn an_address_in_use_is_named() {
    let server = Served::start(ServerOptions::default());
    let error = Server::bind(&[server.address], ServerOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    let message = error.to_string();
    assert!(message.contains(&server.address.to_string()), "{message}");
    assert!(message.contains("choose another port"), "{message}");
}

#[test]
fn limits_of_nothing_are_refused() {
    for (max_connections, max_line_bytes) in [(0, 1), (1, 0)] {
        let options = ServerOptions {
            max_connections,
            max_line_bytes,
            ..ServerOptions::default()
        };
        let refused = Server::bind(&[], options).map_err(|error| error.kind());
        assert_eq!(refused.err(), Some(ErrorKind::InvalidInput));
    }
}

#[test]
fn both_families_may_have_the_same_port() -> io::Result<()> {
    let first = Server::bind(&["127.0.0.1:0".parse().unwrap()], ServerOptions::default())?;
    let port = first.addresses()[0].port();
    drop(first);
    let both = [
        SocketAddr::from(([127, 0, 0, 1], port)),
        format!("[::1]:{port}").parse().unwrap(),
    ];
    let server = Server::bind(&both, ServerOptions::default())?;
    assert_eq!(server.addresses(), both);
    Ok(())
}
