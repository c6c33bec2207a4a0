//! Counters, connections, start and stop.

use crate::client::{get, send, wait_until};
use origin::{Config, Duplicates, Object, Origin};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

fn start(config: Config) -> Origin {
    let origin = Origin::start(config).unwrap();
    origin.put("b", "o", Object::new(7, 1000));
    origin
}

#[test]
fn requests_are_counted_by_kind_and_status() {
    let origin = start(Config::default());
    get(&origin, "/b/o", None);
    get(&origin, "/b/o", Some("0-9"));
    get(&origin, "/b/nothing", None);
    get(&origin, "/b?list-type=2", None);
    send(&origin, "HEAD /b/o", "");
    send(&origin, "PUT /b/o", "");
    wait_until("all closed", || origin.stats().connections_open == 0);
    let stats = origin.stats();
    let requests = stats.requests;
    assert_eq!(
        (
            requests.get,
            requests.ranged,
            requests.head,
            requests.list,
            requests.other
        ),
        (3, 1, 1, 1, 1)
    );
    assert_eq!(
        stats.statuses,
        BTreeMap::from([(200, 3), (206, 1), (404, 1), (405, 1)])
    );
    assert_eq!(
        (stats.list_pages, stats.connections_opened, stats.requests_open),
        (1, 6, 0)
    );
    assert!(stats.bytes_sent > 1010);
}

#[test]
fn the_counters_are_a_page() {
    let origin = start(Config::default());
    get(&origin, "/b/o", None);
    let stats: serde_json::Value =
        serde_json::from_slice(&get(&origin, "/_origin/stats", None).body).unwrap();
    assert_eq!(
        (&stats["requests"]["get"], &stats["statuses"]["200"]),
        (&1.into(), &1.into())
    );
    assert_eq!(stats["bytes_sent"], 1000);
    assert_eq!(
        send(&origin, "POST /_origin/reset", "Content-Length: 0\r\n").status,
        200
    );
    assert_eq!(origin.stats().requests.get, 0);
}

#[test]
fn bytes_sent_again_are_counted_per_version() {
    let origin = start(Config {
        duplicates: Duplicates::Counted,
        ..Config::default()
    });
    for range in ["0-99", "50-149", "900-", "-50", "0-149"] {
        get(&origin, "/b/o", Some(range));
    }
    wait_until("all closed", || origin.stats().connections_open == 0);
    assert_eq!(origin.duplicate_bytes("b", "o"), 50 + 50 + 150);
    assert_eq!(origin.stats().duplicate_bytes, 250);
    origin.put("b", "o", Object::new(8, 1000));
    get(&origin, "/b/o", None);
    wait_until("all closed", || origin.stats().connections_open == 0);
    assert_eq!(origin.duplicate_bytes("b", "o"), 250);
}

#[test]
fn open_connections_and_their_peak() {
    let origin = start(Config::default());
    let streams: Vec<TcpStream> = (0..5)
        .map(|_| TcpStream::connect(origin.address()).unwrap())
        .collect();
    wait_until("five open", || origin.stats().connections_open == 5);
    drop(streams);
    wait_until("none open", || origin.stats().connections_open == 0);
    assert_eq!(origin.stats().connections_peak, 5);
}

#[test]
fn one_connection_too_many_is_closed() {
    let origin = start(Config {
        max_connections: 1,
        ..Config::default()
    });
    let _first = TcpStream::connect(origin.address()).unwrap();
    wait_until("the first", || origin.stats().connections_open == 1);
    let mut second = TcpStream::connect(origin.address()).unwrap();
    assert_eq!(second.read(&mut [0; 1]).unwrap_or(0), 0);
}

#[test]
fn several_addresses_share_a_port() {
    let listen: Vec<SocketAddr> = (1..=3)
        .map(|last| SocketAddr::from(([127, 0, 0, last], 0)))
        .collect();
    let origin = start(Config {
        listen,
        ..Config::default()
    });
    for address in origin.addresses() {
        assert_eq!(address.port(), origin.address().port());
        let mut stream = TcpStream::connect(address).unwrap();
        stream
            .write_all(b"GET /b/o HTTP/1.1\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
    assert!(
        origin
            .stats()
            .connections_by_address
            .values()
            .all(|count| *count == 1)
    );
    assert!(
        Origin::start(Config {
            listen: Vec::new(),
            ..Config::default()
        })
        .is_err()
    );
}

#[test]
fn objects_come_and_go() {
    let origin = start(Config::default());
    assert_eq!(origin.remove("b", "o"), Some(Object::new(7, 1000)));
    assert_eq!(get(&origin, "/b/o", None).status, 404);
    assert_eq!(
        (origin.object("b", "o"), origin.remove("nobody", "o")),
        (None, None)
    );
    origin.remove_bucket("b");
    assert_eq!(get(&origin, "/b/o", None).status, 404);
}

/// A client that stopped reading in the middle of a body that no buffer could hold.
fn blocked_client(origin: &Origin) -> TcpStream {
    origin.put("b", "large", Object::new(1, 1 << 40));
    let mut stream = TcpStream::connect(origin.address()).unwrap();
    stream.write_all(b"GET /b/large HTTP/1.1\r\n\r\n").unwrap();
    stream.read_exact(&mut [0; 100]).unwrap();
    stream
}

#[test]
fn a_dropped_origin_closes_every_connection() {
    let origin = start(Config::default());
    let mut idle = TcpStream::connect(origin.address()).unwrap();
    let mut blocked = blocked_client(&origin);
    let address = origin.address();
    drop(origin);
    assert_eq!(idle.read(&mut [0; 1]).unwrap_or(0), 0);
    // What was sent before may still be read.
    while blocked.read(&mut [0; 65_536]).is_ok_and(|count| count > 0) {}
    assert!(TcpStream::connect(address).is_err());
}
