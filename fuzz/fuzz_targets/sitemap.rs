//! Any bytes are a sitemap, or none, and never more than the limit allows.
#![no_main]

use crawler::sitemap::{MAX_ENTRIES, Sitemap};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    let _ = (Sitemap::parse(file), MAX_ENTRIES);
});
