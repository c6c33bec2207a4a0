//! Any bytes are lines of the package index's protocol, and are answered as a naive model answers them.
#![no_main]

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use libfuzzer_sys::fuzz_target;
use pkgindex::store::MemoryStore;
use pkgindex::testkit::model::Model;
use pkgindex::{Cycles, Index, Options};

fuzz_target!(|bytes: &[u8]| {
    let options = Options::default();
    let index = Index::open(Box::new(MemoryStore::new()), options).expect("memory is always there");
    let end = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
    let mut answers = Vec::new();
    {
        let lines = pin!(index.lines(&bytes[..end], &mut answers));
        let told = lines.poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(told, Poll::Ready(Ok(()))), "an index in memory makes nobody wait");
    }
    assert_eq!(answers, Model::new().stream(bytes, Cycles::Literal, usize::MAX));
});
