//! What is left when an origin is gone. A test file of its own, because it counts what the whole process has.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use origin::{Config, Object, Origin};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const CYCLES: u32 = 300;

fn count(folder: &str) -> usize {
    fs::read_dir(folder).unwrap().count()
}

/// Starts an origin, leaves it with one connection served and one idle, and drops it.
fn cycle() {
    let origin = Origin::start(Config::default()).unwrap();
    origin.put("b", "o", Object::new(1, 10));
    let mut stream = TcpStream::connect(origin.address()).unwrap();
    stream.write_all(b"GET /b/o HTTP/1.1\r\n\r\n").unwrap();
    stream.read_exact(&mut [0; 50]).unwrap();
    let _idle = TcpStream::connect(origin.address()).unwrap();
}

#[test]
fn no_descriptor_and_no_thread_is_left() {
    cycle();
    let before = (count("/proc/self/fd"), count("/proc/self/task"));
    for _ in 0..CYCLES {
        cycle();
    }
    // The kernel lets go of a thread a moment after it can be joined.
    let deadline = Instant::now() + Duration::from_secs(10);
    let now = || (count("/proc/self/fd"), count("/proc/self/task"));
    while now() != before {
        assert!(Instant::now() < deadline, "{:?} became {:?}", before, now());
        std::thread::yield_now();
    }
}
