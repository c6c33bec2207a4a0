//! How long everything takes with the packages of Debian. Run it alone, as it looks at the memory of the process:
//!
//! ```text
//! apt-cache dumpavail > /tmp/packages
//! PKGINDEX_PACKAGES=/tmp/packages cargo test --release -p pkgindex --test questions -- --ignored --nocapture
//! ```

use std::fs::File;
use std::io::BufReader;
use std::time::Instant;

use pkgindex::formats::{read_debian, read_dump, write_dump};
use pkgindex::query::{Direction, Page, Questions};
use pkgindex::store::MemoryStore;
use pkgindex::{Index, Options};

/// A line of `/proc/self/status`, when there is one.
fn memory(field: &str) -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.unwrap_or("unknown").trim().to_owned()
}

#[expect(clippy::print_stdout, reason = "it measures for a reader")]
fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = work();
    println!(
        "{what}: {:.1?}, rss {}, peak {}",
        start.elapsed(),
        memory("VmRSS:"),
        memory("VmHWM:")
    );
    done
}

#[test]
#[ignore = "measures, and needs a Packages file in PKGINDEX_PACKAGES"]
fn debian() {
    let path = std::env::var_os("PKGINDEX_PACKAGES").expect("set PKGINDEX_PACKAGES");
    println!("at the start: rss {}", memory("VmRSS:"));
    let read = timed("read", || {
        read_debian(BufReader::new(File::open(path).unwrap())).unwrap()
    });
    println!("{:?}, {} bytes of lines", read.report, read.lines.len());
    let index = Index::open(Box::new(MemoryStore::new()), Options::default()).unwrap();
    timed("batch", || crate::wait(index.batch(&read.lines)).unwrap());
    drop(read);
    let snapshot = timed("snapshot", || crate::wait(index.snapshot()).unwrap());
    let ask = Questions::new(&snapshot);
    let page = Page::default();
    let why = timed("why", || ask.why_depends("libreoffice", "libc6").unwrap());
    println!("{why:?}");
    for name in ["libreoffice", "gnome-shell"] {
        let order = timed("install order", || ask.install_order(&[name], &page).unwrap());
        println!(
            "{name}: {} packages, {} steps, {} levels",
            order.packages, order.steps.total, order.levels
        );
    }
    let removal = timed("removal order", || ask.removal_order(&["libc6"], &page).unwrap());
    println!("libc6: {} packages, {} levels", removal.packages, removal.levels);
    let reach = timed("dependents", || {
        ask.reach("libc6", Direction::Dependents, None, &page).unwrap()
    });
    println!("libc6: {} dependents", reach.found.total);
    let cycles = timed("cycles", || ask.cycles(&page).unwrap());
    println!("{} knots of {} packages", cycles.knots.total, cycles.packages);
    let orphans = timed("orphans", || ask.orphans(&page));
    println!("{} orphans", orphans.packages.total);
    let mut dump = Vec::new();
    timed("write dump", || write_dump(&snapshot, &mut dump).unwrap());
    timed("read dump", || read_dump(&*dump).unwrap());
}
