//! Any bytes are refused as a pack, or are one that can be read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pack::Pack;

fuzz_target!(|bytes: &[u8]| {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), bytes).expect("a temporary file can be written");
    if pack::verify(file.path()).is_ok() {
        let pack = Pack::open(file.path()).expect("a verified pack opens");
        let pages = pack.page_ids(0, 10).expect("a verified pack is readable");
        for id in pages {
            pack.page(id).expect("a verified pack is readable");
        }
    }
});
