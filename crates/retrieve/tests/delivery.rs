//! What a run promises about order, memory, control and its end, each as a small case.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use origin::{Config, Delay, Effect, Fault, Object, Origin, Rule, Shaping};
use retrieve::{
    DownloadRequest, Entry, Error, ErrorKind, FileReader, Files, Hooks, Location, Options, Order, Report,
    Retriever, Scheme, Source,
};

const CHUNK: u64 = 64 << 10;

fn origin(objects: &[(&str, u64)]) -> Origin {
    let origin = Origin::start(Config::default()).unwrap();
    for (key, size) in objects {
        origin.put("bucket", key, Object::new(1, *size));
    }
    origin
}

fn options() -> Options {
    Options {
        chunk_bytes: Some(CHUNK),
        memory_bytes: 1 << 20,
        stall: Duration::from_millis(300),
        max_backoff: Duration::from_millis(20),
        ..Options::default()
    }
}

fn request(origin: &Origin) -> DownloadRequest {
    DownloadRequest::default().options([
        ("aws_endpoint", origin.url().as_str()),
        ("aws_access_key_id", "key"),
        ("aws_secret_access_key", "secret"),
        ("aws_allow_http", "true"),
    ])
}

fn all(origin: &Origin) -> DownloadRequest {
    request(origin).with(Source::Prefix(Location::object(Scheme::S3, "bucket", "")))
}

fn object(key: &str) -> Entry {
    Entry::new(Location::object(Scheme::S3, "bucket", key))
}

fn report(files: Files) -> Arc<Report> {
    futures::executor::block_on(files.report())
}

fn rest(file: &mut FileReader, most: u64) -> Result<Vec<u8>, Error> {
    futures::executor::block_on(file.read_to_end(most))
}

/// Reads everything; says the names in their order.
#[track_caller]
fn check_read(files: &mut Files) -> Vec<String> {
    let mut names = Vec::new();
    for file in &mut *files {
        let mut file = file.unwrap();
        let meta = file.meta();
        let bytes = rest(&mut file, 1 << 30).unwrap();
        assert_eq!(Some(bytes.len() as u64), meta.wanted(), "{}", meta.name);
        assert_eq!(
            origin::verify(1, meta.range.start, &bytes),
            Ok(()),
            "{}",
            meta.name
        );
        names.push(meta.name);
    }
    assert_eq!(files.stats().window_bytes, 0, "bytes of the budget are lost");
    names
}

#[test]
fn sizes_around_a_chunk_are_read_whether_listed_or_not() {
    let sizes = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 4 * CHUNK, 9 * CHUNK + 1];
    let keys: Vec<_> = sizes.iter().map(|size| (format!("{size:09}"), *size)).collect();
    let objects: Vec<_> = keys.iter().map(|(key, size)| (key.as_str(), *size)).collect();
    let origin = origin(&objects);
    let retriever = Retriever::new(options()).unwrap();
    let named = objects.iter().fold(request(&origin), |request, (key, _)| {
        request.with(Source::Object(object(key)))
    });
    for request in [all(&origin), named] {
        let mut files = retriever.read(request, Hooks::default()).unwrap();
        let names = check_read(&mut files);
        assert!(names.iter().eq(keys.iter().map(|(key, _)| key)), "{names:?}");
        assert!(report(files).is_complete());
    }
}

#[test]
fn ranges_end_where_the_object_ends() {
    let origin = origin(&[("full", 100), ("empty", 0)]);
    let retriever = Retriever::new(options()).unwrap();
    let ranges = [
        ("full", 90..200, 90..100),
        ("full", 10..20, 10..20),
        ("full", 5..5, 5..5),
        ("empty", 0..10, 0..0),
    ];
    for (key, asked, expected) in ranges {
        let entry = Entry {
            range: Some(asked.clone()),
            ..object(key)
        };
        let mut files = retriever
            .read(request(&origin).with(Source::Object(entry)), Hooks::default())
            .unwrap();
        let mut file = files.next().unwrap().unwrap();
        assert_eq!(
            rest(&mut file, 1000).unwrap(),
            origin::content(1, expected),
            "{key} {asked:?}"
        );
    }
}

#[test]
fn a_slow_first_file_comes_first_or_last() {
    let origin = origin(&[("a", 10), ("b", 10), ("c", 10)]);
    origin.set_rules(
        "bucket",
        vec![Rule::new("a", Effect::delay(Duration::from_millis(100)))],
    );
    for (order, expected) in [
        (Order::Request, ["a", "b", "c"]),
        (Order::Completion, ["b", "c", "a"]),
    ] {
        let retriever = Retriever::new(Options { order, ..options() }).unwrap();
        let mut files = retriever.read(all(&origin), Hooks::default()).unwrap();
        let mut names = check_read(&mut files);
        if order == Order::Completion {
            names[..2].sort();
        }
        assert_eq!(names, expected, "{order:?}");
    }
}

#[test]
fn a_slow_reader_is_no_stall() {
    let origin = origin(&[("large", 4 << 20)]);
    let stall = Duration::from_millis(100);
    let retriever = Retriever::new(Options { stall, ..options() }).unwrap();
    let mut files = retriever.read(all(&origin), Hooks::default()).unwrap();
    let mut file = files.next().unwrap().unwrap();
    let first = file.next().unwrap().unwrap();
    std::thread::sleep(stall * 5);
    let rest = rest(&mut file, 1 << 30).unwrap();
    assert_eq!(origin::verify(1, first.len() as u64, &rest), Ok(()));
    drop(file);
    let report = report(files);
    assert_eq!(
        (report.is_complete(), report.stats.retries),
        (true, 0),
        "{report:?}"
    );
}

#[test]
fn the_budget_holds_where_the_server_sends_everything_at_once() {
    const SIZE: u64 = 16 << 20;
    let origin = origin(&[("large", SIZE)]);
    origin.set_rules("bucket", vec![Rule::new("*", Effect::fault(Fault::WholeBody, 0))]);
    let retriever = Retriever::new(options()).unwrap();
    let mut files = retriever
        .read(
            request(&origin).with(Source::Object(object("large"))),
            Hooks::default(),
        )
        .unwrap();
    let mut file = files.next().unwrap().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(files.stats().window_bytes <= 1 << 20, "{:?}", files.stats());
    let bytes = rest(&mut file, SIZE).unwrap();
    assert_eq!((bytes.len() as u64, origin::verify(1, 0, &bytes)), (SIZE, Ok(())));
    assert_eq!(files.stats().window_bytes, 0);
}

#[test]
fn a_server_that_knows_no_ranges_is_asked_again_for_everything() {
    const SIZE: u64 = 4 << 20;
    let origin = origin(&[("large", SIZE)]);
    let broken = Effect::fault(Fault::Close, SIZE / 2);
    let plain = Effect::fault(Fault::WholeBody, 0);
    origin.set_rules(
        "bucket",
        vec![Rule::new("*", broken).nth(2), Rule::new("*", plain)],
    );
    let retriever = Retriever::new(options()).unwrap();
    let mut files = retriever
        .read(
            request(&origin).with(Source::Object(object("large"))),
            Hooks::default(),
        )
        .unwrap();
    assert_eq!(check_read(&mut files), ["large"]);
}

#[test]
fn a_reader_that_is_dropped_ends_its_file_alone() {
    let origin = origin(&[("a", 4 << 20), ("b", 4 << 20)]);
    let retriever = Retriever::new(options()).unwrap();
    let mut files = retriever.read(all(&origin), Hooks::default()).unwrap();
    drop(files.next().unwrap().unwrap());
    assert_eq!(check_read(&mut files), ["b"]);
    let stats = &report(files).stats;
    assert_eq!((stats.files_cancelled, stats.files_done), (1, 1));
}

#[test]
fn two_readers_are_served_in_any_order() {
    let origin = origin(&[("a", 3 << 20), ("b", 3 << 20)]);
    let retriever = Retriever::new(options()).unwrap();
    let mut files = retriever.read(all(&origin), Hooks::default()).unwrap();
    let (mut a, mut b) = (files.next().unwrap().unwrap(), files.next().unwrap().unwrap());
    assert_eq!(rest(&mut b, 1 << 30).unwrap().len(), 3 << 20);
    assert_eq!(rest(&mut a, 1 << 30).unwrap().len(), 3 << 20);
}

#[test]
fn a_run_ends_with_its_last_file() {
    let origin = origin(&[("small", 10)]);
    let retriever = Retriever::new(options()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let began = Instant::now();
    for _ in 0..20 {
        let report = retriever
            .save(all(&origin), folder.path(), Hooks::default())
            .unwrap()
            .wait();
        assert!(report.is_complete(), "{report:?}");
    }
    // The controller looks 20 times a second; a run does not wait for it.
    assert!(
        began.elapsed() < Duration::from_millis(500),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn a_cancelled_run_ends_and_lets_go_of_its_files() {
    let origin = origin(&[("large", 64 << 20)]);
    let shaping = Shaping {
        rate: Some(4 << 20),
        first_byte: Delay::Constant(Duration::from_millis(5)),
        ..Shaping::default()
    };
    origin.set_shaping("bucket", shaping);
    let retriever = Retriever::new(options()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..5 {
        let saving = retriever
            .save(all(&origin), folder.path(), Hooks::default())
            .unwrap();
        while saving.stats().bytes == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        saving.control().cancel();
        let report = saving.wait();
        assert_eq!(report.error.as_ref().map(Error::kind), Some(ErrorKind::Cancelled));
        assert_eq!(
            (report.stats.files_cancelled, report.stats.files_failed),
            (1, 0),
            "{report:?}"
        );
    }
}

#[test]
fn a_paused_run_waits_and_a_limit_that_is_lifted_is_gone() {
    let origin = origin(&[("large", 2 << 20)]);
    let retriever = Retriever::new(options()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let saving = retriever
        .save(all(&origin), folder.path(), Hooks::default())
        .unwrap();
    let control = saving.control();
    control.limit_bandwidth(Some(1_000));
    control.pause();
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(saving.stats().files_done, 0);
    control.resume();
    control.limit_bandwidth(None);
    let report = saving.wait();
    assert!(report.is_complete(), "{report:?}");
    assert!(report.elapsed < Duration::from_secs(5), "{:?}", report.elapsed);
}

#[test]
fn a_limit_is_kept() {
    let origin = origin(&[("large", 2 << 20)]);
    let limited = Options {
        max_bytes_per_second: Some(4 << 20),
        ..options()
    };
    let retriever = Retriever::new(limited).unwrap();
    let mut files = retriever.read(all(&origin), Hooks::default()).unwrap();
    let began = Instant::now();
    check_read(&mut files);
    let elapsed = began.elapsed().as_millis();
    assert!((400..900).contains(&elapsed), "{elapsed} ms in place of 500");
}

#[test]
fn a_reader_is_told_when_the_retriever_is_gone() {
    let origin = origin(&[("large", 64 << 20)]);
    let retriever = Retriever::new(options()).unwrap();
    let mut files = retriever.read(all(&origin), Hooks::default()).unwrap();
    let mut file = files.next().unwrap().unwrap();
    drop(retriever);
    let error = rest(&mut file, 1 << 30).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}
