//! Wrong answers.

use crate::client::{Reply, exchange, get, send, wait_until};
use origin::{Config, Effect, Fault, Faults, Object, Origin, Rule, content, verify};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const SIZE: u64 = 100_000;

/// An origin whose only object `b/o` meets a fault after 1000 bytes.
fn start(fault: Fault) -> Origin {
    let origin = Origin::start(Config::default()).unwrap();
    origin.put("b", "o", Object::new(7, SIZE));
    origin.set_rules("b", vec![Rule::new("o", Effect::fault(fault, 1000))]);
    origin
}

fn reply_with(fault: Fault) -> Reply {
    get(&start(fault), "/b/o", Some("10-50009"))
}

/// Checks status, what the answer tells of the range, and that the body is `length` bytes from `start` on.
fn check_body(reply: &Reply, status: u16, content_range: Option<&str>, start: u64, length: usize) {
    assert_eq!(reply.status, status);
    assert_eq!(reply.field("Content-Range"), content_range);
    assert_eq!(reply.body.len(), length);
    assert_eq!(verify(7, start, &reply.body), Ok(()));
}

const RIGHT: Option<&str> = Some("bytes 10-50009/100000");

#[test]
fn reset_and_close_end_the_body() {
    let reply = reply_with(Fault::Reset);
    assert_eq!(reply.error, Some(ErrorKind::ConnectionReset));
    check_body(&reply, 206, RIGHT, 10, 1000);
    let reply = reply_with(Fault::Close);
    assert_eq!(
        (reply.error, reply.field("Content-Length")),
        (None, Some("50000"))
    );
    check_body(&reply, 206, RIGHT, 10, 1000);
}

#[test]
fn errors_come_as_s3_tells_them() {
    let origin = start(Fault::SlowDown);
    origin.set_faults(
        "b",
        Faults {
            retry_after_s: Some(3),
            ..Faults::none()
        },
    );
    let reply = get(&origin, "/b/o", None);
    assert_eq!((reply.status, reply.field("Retry-After")), (503, Some("3")));
    assert!(reply.text().contains("<Code>SlowDown</Code>"));
    let reply = reply_with(Fault::ServerError);
    assert_eq!((reply.status, reply.field("Retry-After")), (500, None));
    assert_eq!(reply_with(Fault::Garbage).status, 0);
}

#[test]
fn wrong_ranges_are_consistent_with_themselves() {
    check_body(
        &reply_with(Fault::WrongRange),
        206,
        Some("bytes 11-50010/100000"),
        11,
        50_000,
    );
    check_body(
        &reply_with(Fault::WrongTotal),
        206,
        Some("bytes 10-50009/100001"),
        10,
        50_000,
    );
    check_body(&reply_with(Fault::WholeBody), 200, None, 0, 100_000);
    let origin = start(Fault::WrongRange);
    check_body(
        &get(&origin, "/b/o", Some("1-")),
        206,
        Some("bytes 0-99998/100000"),
        0,
        99_999,
    );
    check_body(
        &get(&origin, "/b/o", Some("0-")),
        206,
        Some("bytes 0-99998/100000"),
        0,
        99_999,
    );
}

#[test]
fn a_changed_entity_tag_comes_with_the_right_bytes() {
    let reply = reply_with(Fault::ChangedEtag);
    check_body(&reply, 206, RIGHT, 10, 50_000);
    assert_ne!(
        reply.field("ETag").unwrap().trim_matches('"'),
        Object::new(7, SIZE).etag()
    );
}

#[test]
fn corrupt_bytes_begin_where_the_rule_says() {
    let reply = reply_with(Fault::Corrupt);
    assert_eq!(reply.body.len(), 50_000);
    assert_eq!(verify(7, 10, &reply.body[..1000]), Ok(()));
    assert!(verify(7, 1010, &reply.body[1000..]).is_err());
}

#[test]
fn a_body_may_be_framed_otherwise() {
    let reply = reply_with(Fault::CloseDelimited);
    assert_eq!(reply.field("Content-Length"), None);
    check_body(&reply, 206, RIGHT, 10, 50_000);
    let reply = reply_with(Fault::Chunked);
    assert_eq!(
        (reply.field("Content-Length"), reply.field("Transfer-Encoding")),
        (None, Some("chunked"))
    );
    let expected = [b"c350\r\n", content(7, 10..50_010).as_slice(), b"\r\n0\r\n\r\n"].concat();
    assert!(reply.body == expected);
}

#[test]
fn a_stall_ends_after_its_time_or_with_the_client() {
    let origin = start(Fault::Stall);
    let mut stream = TcpStream::connect(origin.address()).unwrap();
    stream.write_all(b"GET /b/o HTTP/1.1\r\n\r\n").unwrap();
    wait_until("the stall", || origin.stats().bytes_sent == 1000);
    assert!(stream.read(&mut [0; 2000]).unwrap() > 0);
    drop(stream);
    wait_until("the end of the stall", || origin.stats().connections_open == 0);
    assert_eq!(origin.stats().bytes_sent, 1000);

    origin.set_faults(
        "b",
        Faults {
            stall: Some(Duration::from_millis(20)),
            ..Faults::none()
        },
    );
    check_body(&get(&origin, "/b/o", None), 200, None, 0, 100_000);
}

#[test]
fn a_silent_server_never_answers() {
    let origin = start(Fault::Silent);
    let mut stream = TcpStream::connect(origin.address()).unwrap();
    stream.write_all(b"GET /b/o HTTP/1.1\r\n\r\n").unwrap();
    wait_until("the request", || {
        origin.stats().faults.get(&Fault::Silent) == Some(&1)
    });
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    assert_eq!(
        stream.read(&mut [0; 10]).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    assert!(origin.stats().statuses.is_empty());
}

#[test]
fn an_overwrite_in_flight_is_seen_by_the_next_request() {
    let origin = start(Fault::Overwrite);
    let first = Object::new(7, SIZE);
    check_body(&get(&origin, "/b/o", None), 200, None, 0, 100_000);
    assert_eq!(origin.object("b", "o"), Some(first.next_version()));
    assert_eq!(origin.versions("b", "o"), [first.clone(), first.next_version()]);
    assert_eq!(
        send(
            &origin,
            "GET /b/o",
            &format!("If-Match: \"{}\"\r\n", first.etag())
        )
        .status,
        412
    );
}

#[test]
fn overwrites_come_after_requests_or_after_a_time() {
    let origin = Origin::start(Config::default()).unwrap();
    origin.put("b", "o", Object::new(1, 10));
    origin.put_after_requests("b", "o", 2, Object::new(2, 20));
    let lengths: Vec<usize> = (0..3).map(|_| get(&origin, "/b/o", None).body.len()).collect();
    assert_eq!(lengths, [10, 10, 20]);
    origin.put_after("b", "o", Duration::ZERO, Object::new(3, 30));
    assert_eq!(get(&origin, "/b/o", None).body, content(3, 0..30));
}

#[test]
fn rules_choose_by_key_offset_and_number() {
    let origin = Origin::start(Config::default()).unwrap();
    for key in ["a/1", "a/2", "c"] {
        origin.put("b", key, Object::new(1, 1000));
    }
    let error = Effect::fault(Fault::ServerError, 0);
    origin.set_rules(
        "b",
        vec![
            Rule::new("a/*", error.clone()).at(100..200).nth(2),
            Rule::new("c", error),
        ],
    );
    let status = |key: &str, range: &str| get(&origin, &format!("/b/{key}"), Some(range)).status;
    assert_eq!(
        [
            status("a/1", "100-"),
            status("a/1", "200-"),
            status("a/1", "199-")
        ],
        [206, 206, 500]
    );
    assert_eq!(
        [
            status("a/1", "100-"),
            status("a/2", "100-"),
            status("a/2", "100-")
        ],
        [206, 206, 500]
    );
    assert_eq!(status("c", "0-"), 500);
}

/// What forty requests met, twice each.
fn meets(faults: Faults) -> Vec<Option<Fault>> {
    let origin = Origin::start(Config {
        faults,
        ..Config::default()
    })
    .unwrap();
    origin.put("b", "o", Object::new(7, SIZE));
    let ranges = (0..40).flat_map(|range| [range, range]);
    let met = ranges.map(|range| {
        origin.reset_stats();
        get(&origin, "/b/o", Some(&format!("{range}-")));
        origin.stats().faults.into_keys().next()
    });
    met.collect()
}

fn some_faults() -> Faults {
    let faults = Faults::none().with(Fault::Reset, 0.2).with(Fault::SlowDown, 0.2);
    faults.with(Fault::Chunked, 0.1).with(Fault::Corrupt, 0.1)
}

#[test]
fn faults_depend_on_the_seed_alone() {
    let first = meets(some_faults().seeded(1));
    assert_eq!(first, meets(some_faults().seeded(1)));
    assert_ne!(first, meets(some_faults().seeded(2)));
    let count = first.iter().flatten().count();
    assert!(
        (30..=66).contains(&count),
        "{count} of 80 failed, about 48 should have"
    );
    assert!(
        first.chunks(2).any(|twice| twice[0] != twice[1]),
        "every repetition met the same"
    );
}

#[test]
fn a_range_meets_at_most_so_many() {
    let always = Faults::none().with(Fault::ServerError, 1.0);
    let met = meets(always.clone().at_most(1));
    assert!(
        met.chunks(2)
            .all(|twice| twice == [Some(Fault::ServerError), None])
    );
    let met = meets(Faults {
        max_per_object: 5,
        ..always
    });
    assert_eq!(met.iter().flatten().count(), 5);
}

#[test]
fn buckets_have_faults_of_their_own() {
    let origin = Origin::start(Config::default()).unwrap();
    origin.put("good", "o", Object::new(7, 10));
    origin.put("bad", "o", Object::new(7, 10));
    let faults = Faults {
        lists: true,
        ..Faults::none().with(Fault::ServerError, 1.0)
    };
    origin.set_faults("bad", faults);
    assert_eq!(
        [
            get(&origin, "/good/o", None).status,
            get(&origin, "/bad/o", None).status
        ],
        [200, 500]
    );
    assert_eq!(get(&origin, "/good?list-type=2", None).status, 200);
    assert_eq!(get(&origin, "/bad?list-type=2", None).status, 500);
    origin.set_faults("bad", Faults::none());
    assert_eq!(get(&origin, "/bad/o", None).status, 200);
}

#[test]
fn a_request_after_a_fault_is_served_on_the_same_connection() {
    let origin = start(Fault::Chunked);
    let line = "GET /b/o HTTP/1.1\r\nRange: bytes=0-1\r\n";
    let (answers, _) = exchange(
        &origin,
        format!("{line}\r\n{line}Connection: close\r\n\r\n").as_bytes(),
    );
    assert_eq!(answers.windows(8).filter(|bytes| bytes == b"HTTP/1.1").count(), 2);
}
