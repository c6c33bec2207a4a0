//! Any bytes are a robots.txt.
#![no_main]

use crawler::robots::Robots;
use libfuzzer_sys::fuzz_target;
use model::PageUrl;

fuzz_target!(|input: (&[u8], &str)| {
    let (file, path) = input;
    let robots = Robots::parse(file, "Haul");
    let site = PageUrl::parse("http://example.gov/").expect("a valid URL");
    if let Ok(url) = site.join(path) {
        robots.allows(&url);
    }
    robots.crawl_delay();
    robots.sitemaps();
});
