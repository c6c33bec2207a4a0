//! Any text is a query, and every query is answered from a real pack.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use search::{Request, search_file};

/// The pack that is searched: the fixture of the first format.
static PACK: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/packs"));
    let mut packs = std::fs::read_dir(folder).expect("the fixtures are there").flatten();
    packs.next().expect("there is a pack").path()
});

fuzz_target!(|query: &str| {
    search_file(&PACK, &Request::new(query)).expect("every query has an answer");
});
