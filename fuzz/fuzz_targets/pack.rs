//! Any bytes are refused as a pack, or are one that can be read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pack::Pack;

fuzz_target!(|bytes: &[u8]| {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), bytes).expect("a temporary file can be written");
    if pack::check(file.path()).is_err() {
        return;
    }
    let pack = Pack::open(file.path()).expect("what was checked opens");
    for id in pack.page_ids(0, 10).unwrap_or_default() {
        // A value of another type than a pack has is an error here, and never a panic.
        let _ = pack.page(id);
    }
    let _ = search::search_file(file.path(), &search::Request::new("haul pack"));
});
