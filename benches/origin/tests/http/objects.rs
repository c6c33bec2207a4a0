//! GET and HEAD of objects, as bytes on a socket.

use crate::client::{Reply, exchange, get, send};
use origin::{Checksum, Config, DeclaredChecksum, Object, Origin, PERIOD, checksum, content, verify};

const SIZE: u64 = 1_000;

fn start() -> Origin {
    let origin = Origin::start(Config::default()).unwrap();
    origin.put("b", "o", Object::new(7, SIZE));
    origin.put("b", "empty", Object::new(8, 0));
    origin
}

fn check_range(path: &str, range: &str, status: u16, content_range: Option<&str>, length: u64) -> Reply {
    let reply = get(&start(), path, Some(range));
    assert_eq!(reply.status, status, "{path} {range}");
    assert_eq!(reply.field("Content-Range"), content_range, "{path} {range}");
    if status < 400 {
        assert_eq!(reply.body.len() as u64, length, "{path} {range}");
        let first = content_range.map_or(0, |told| told[6..].split('-').next().unwrap().parse().unwrap());
        assert_eq!(verify(7, first, &reply.body), Ok(()), "{path} {range}");
    }
    assert_eq!(
        reply.field("Content-Length").unwrap(),
        reply.body.len().to_string()
    );
    reply
}

#[test]
fn ranges_are_those_of_the_rfc() {
    check_range("/b/o", "0-0", 206, Some("bytes 0-0/1000"), 1);
    check_range("/b/o", "10-19", 206, Some("bytes 10-19/1000"), 10);
    check_range("/b/o", "990-", 206, Some("bytes 990-999/1000"), 10);
    check_range("/b/o", "-10", 206, Some("bytes 990-999/1000"), 10);
    check_range("/b/o", "-5000", 206, Some("bytes 0-999/1000"), 1000);
    check_range("/b/o", "999-5000", 206, Some("bytes 999-999/1000"), 1);
    check_range(
        "/b/o",
        "0-18446744073709551615",
        206,
        Some("bytes 0-999/1000"),
        1000,
    );
}

#[test]
fn a_range_without_a_byte_is_416() {
    let reply = check_range("/b/o", "1000-", 416, Some("bytes */1000"), 0);
    assert!(reply.text().contains("<Code>InvalidRange</Code>"));
    check_range("/b/o", "-0", 416, Some("bytes */1000"), 0);
    check_range("/b/empty", "0-", 416, Some("bytes */0"), 0);
    check_range("/b/empty", "0-99", 416, Some("bytes */0"), 0);
    check_range("/b/empty", "-1", 416, Some("bytes */0"), 0);
}

#[test]
fn what_is_no_range_is_ignored() {
    for nonsense in ["5-4", "a-b", "0-1,3-4", "+1-2", "99999999999999999999-", "-"] {
        check_range("/b/o", nonsense, 200, None, SIZE);
    }
}

#[test]
fn an_answer_describes_the_object() {
    let origin = start();
    let reply = get(&origin, "/b/o", None);
    assert_eq!(reply.status, 200);
    assert_eq!(reply.body, content(7, 0..SIZE));
    assert_eq!(
        reply.field("ETag").unwrap(),
        format!("\"{}\"", Object::new(7, SIZE).etag())
    );
    assert_eq!(
        reply.field("Last-Modified"),
        Some("Mon, 01 Jan 2024 00:00:00 GMT")
    );
    assert_eq!(reply.field("Accept-Ranges"), Some("bytes"));
    assert_eq!(get(&origin, "/b/empty", None).field("Content-Length"), Some("0"));
}

#[test]
fn head_tells_the_length_and_sends_nothing() {
    let origin = start();
    let reply = send(&origin, "HEAD /b/o", "");
    assert_eq!(
        (reply.status, reply.field("Content-Length"), reply.body.len()),
        (200, Some("1000"), 0)
    );
    let reply = send(&origin, "HEAD /b/nothing", "");
    assert_eq!((reply.status, reply.body.len()), (404, 0));
    assert_eq!(send(&origin, "HEAD /b", "").status, 200);
}

#[test]
fn preconditions_look_at_the_entity_tag() {
    let origin = start();
    let etag = Object::new(7, SIZE).etag();
    let status =
        |field: &str, value: &str| send(&origin, "GET /b/o", &format!("{field}: {value}\r\n")).status;
    assert_eq!(status("If-Match", &format!("\"{etag}\"")), 200);
    assert_eq!(status("If-Match", &etag), 200);
    assert_eq!(status("If-Match", "*"), 200);
    assert_eq!(status("If-Match", "\"other\""), 412);
    assert_eq!(status("If-None-Match", &format!("\"other\", \"{etag}\"")), 304);
    assert_eq!(status("If-None-Match", "\"other\""), 200);
}

#[test]
fn errors_are_those_of_s3() {
    let origin = start();
    let code = |line: &str| {
        let reply = send(&origin, line, "");
        let code = reply
            .text()
            .split(['<', '>'])
            .skip_while(|part| *part != "Code")
            .nth(1);
        (reply.status, code.unwrap_or_default().to_owned())
    };
    assert_eq!(code("GET /b/nothing"), (404, "NoSuchKey".to_owned()));
    assert_eq!(code("GET /nobody/o"), (404, "NoSuchBucket".to_owned()));
    assert_eq!(code("GET /"), (501, "NotImplemented".to_owned()));
    assert_eq!(code("PUT /b/o"), (405, "MethodNotAllowed".to_owned()));
    assert_eq!(
        code("GET /b?list-type=2&max-keys=many"),
        (400, "InvalidArgument".to_owned())
    );
}

#[test]
fn what_is_no_request_is_refused() {
    let origin = start();
    for bytes in [
        &b"\x16\x03\x01 hello\r\n\r\n"[..],
        b"GET b/o HTTP/1.1\r\n\r\n",
        b"GET /b/%ff HTTP/1.1\r\n\r\n",
    ] {
        let (answer, _) = exchange(&origin, bytes);
        assert!(
            answer.starts_with(b"HTTP/1.1 400 "),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
    assert!(exchange(&origin, &[b'a'; 40_000]).0.starts_with(b"HTTP/1.1 400 "));
}

#[test]
fn an_access_key_can_be_demanded() {
    let access_key = Some("AKID".to_owned());
    let origin = Origin::start(Config {
        access_key,
        ..Config::default()
    })
    .unwrap();
    origin.put("b", "o", Object::new(7, SIZE));
    let check = |field: &str, status, code: &str| {
        let reply = send(&origin, "GET /b/o", field);
        assert_eq!(reply.status, status, "{field}");
        assert!(status == 200 || reply.text().contains(code), "{field}");
    };
    let signed = |key: &str, signature: &str| {
        format!(
            "Authorization: AWS4-HMAC-SHA256 Credential={key}/20240101/r/s3/aws4_request, SignedHeaders=host, Signature={signature}\r\n"
        )
    };
    check("", 403, "AccessDenied");
    check(&signed("OTHER", &"0".repeat(64)), 403, "InvalidAccessKeyId");
    check(&signed("AKID", "short"), 403, "SignatureDoesNotMatch");
    check(&signed("AKID", &"0".repeat(64)), 200, "");
}

#[test]
fn requests_may_come_before_their_answers() {
    let origin = start();
    let one = "GET /b/o HTTP/1.1\r\nRange: bytes=0-9\r\n\r\n";
    let last = "GET /b/o HTTP/1.1\r\nRange: bytes=10-19\r\nConnection: close\r\n\r\n";
    let (answers, _) = exchange(&origin, format!("{one}{one}{last}").as_bytes());
    let count = answers
        .windows(12)
        .filter(|bytes| bytes == b"HTTP/1.1 206")
        .count();
    assert_eq!(count, 3);
    assert!(answers.ends_with(&content(7, 10..20)));
    assert_eq!(origin.stats().connections_opened, 1);
}

#[test]
fn keys_are_decoded() {
    let origin = start();
    origin.put("b", "a b/ü+%?.txt", Object::new(9, 5));
    assert_eq!(
        get(&origin, "/b/a%20b/%C3%BC+%25%3F.txt", None).body,
        content(9, 0..5)
    );
}

#[test]
fn large_objects_cost_nothing_and_repeat_only_after_a_period() {
    let origin = start();
    let size = 5_000_000_000_000;
    origin.put("b", "large", Object::new(3, size));
    let reply = get(
        &origin,
        "/b/large",
        Some(&format!("{}-{}", PERIOD * 3 - 5000, PERIOD * 3 + 200_000)),
    );
    assert_eq!(
        reply.field("Content-Range").unwrap().split('/').next_back(),
        Some("5000000000000")
    );
    assert_eq!(reply.body.len(), 205_001);
    assert_eq!(verify(3, PERIOD * 3 - 5000, &reply.body), Ok(()));
    assert_eq!(verify(3, PERIOD * 3 - 4999, &reply.body), Err(PERIOD * 3 - 4999));
}

#[test]
fn verify_tells_the_first_difference() {
    for wrong in [0, 1, 7, 8, 9, 100, 998, 999] {
        let mut bytes = content(5, 3..1003);
        bytes[wrong] ^= 1;
        assert_eq!(verify(5, 3, &bytes), Err(3 + wrong as u64));
    }
    assert_eq!(verify(5, 3, &content(5, 3..1003)), Ok(()));
}

fn check_checksum(object: &Object, fields: &str, expected: Option<&str>) {
    let origin = start();
    origin.put("b", "sum", object.clone());
    let reply = send(&origin, "GET /b/sum", fields);
    assert_eq!(reply.field("x-amz-checksum-crc32"), expected);
    assert_eq!(
        reply.field("x-amz-checksum-type"),
        expected.map(|_| "FULL_OBJECT")
    );
}

#[test]
fn checksums_are_declared_when_asked_for() {
    let object = Object::new(7, 0).with_checksum(Checksum::Crc32);
    let asks = "x-amz-checksum-mode: ENABLED\r\n";
    check_checksum(&object, asks, Some("AAAAAA=="));
    check_checksum(&object, "", None);
    check_checksum(&Object::new(7, 0), asks, None);
    let whole = DeclaredChecksum {
        on: origin::ChecksumOn::Whole,
        ..object.checksum.unwrap()
    };
    let object = Object {
        size: 10,
        checksum: Some(whole),
        ..object
    };
    check_checksum(&object, &format!("{asks}Range: bytes=0-4\r\n"), None);
}

#[test]
fn checksums_are_those_of_the_bytes() {
    use crc_fast::CrcAlgorithm::{Crc32Iscsi, Crc32IsoHdlc, Crc64Nvme};
    let known = [
        (Checksum::Crc64Nvme, Crc64Nvme),
        (Checksum::Crc32c, Crc32Iscsi),
        (Checksum::Crc32, Crc32IsoHdlc),
    ];
    for (checksum_kind, algorithm) in known {
        for size in [0, 1, 1_000_003] {
            let expected = crc_fast::checksum(algorithm, &content(11, 0..size));
            assert_eq!(
                checksum(11, size, checksum_kind),
                expected,
                "{checksum_kind:?} of {size} bytes"
            );
        }
    }
}

#[test]
fn checksums_go_round_the_period() {
    let size = PERIOD + 10;
    let expected = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, &content(2, 0..size));
    assert_eq!(checksum(2, size, Checksum::Crc64Nvme), expected);
}
