//! The hooks that come with the crate, on real runs.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use flate2::write::GzEncoder;
use retrieve::hooks::{
    CacheCheck, Decompress, DecompressBy, DecompressLimits, Event, EventLog, Exec, Observer, Progress,
    ProgressUpdate, RateLimit, Schedule, Sha256Manifest, Undated,
};
use retrieve::profile::{ProfilerHook, Sink};
use retrieve::{DownloadRequest, ErrorKind, Hooks};

use crate::*;

#[test]
fn events_tell_the_run_from_start_to_end() {
    let origin = origin_with(&[("a", 3 * CHUNK), ("b", 100)]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let log = EventLog::new(fs::File::create(&path).unwrap());
    let report = save(
        &origin,
        "s3://b/",
        &folder.path().join("out"),
        Hooks::default().observe(1000, log),
    );
    assert!(report.is_complete(), "{report:?}");
    let text = fs::read_to_string(path).unwrap();
    let events: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let count = |kind: &str| events.iter().filter(|event| event["event"] == kind).count();
    assert_eq!(
        (events[0]["event"].as_str(), count("run_start")),
        (Some("run_start"), 1)
    );
    assert_eq!(
        (count("file_start"), count("file_end"), count("list_page")),
        (2, 2, 1)
    );
    assert!(count("chunk") >= 4, "{text}");
    let last = events.last().unwrap();
    assert_eq!(
        (last["event"].as_str(), last["stats"]["files_done"].as_u64()),
        (Some("run_end"), Some(2))
    );
    let ends = events.iter().filter(|event| event["event"] == "file_end");
    for end in ends {
        // A number of 64 bits would lose digits in many readers.
        let value = end["done"]["checksum"]["value"].as_str().unwrap();
        assert!(
            value.len() == 16 && value.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{end}"
        );
    }
}

/// Takes its time.
struct Slow;

impl Observer for Slow {
    fn name(&self) -> &str {
        "slow"
    }

    fn on_event(&mut self, _at: Duration, _event: &Event) {
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_slow_observer_loses_events_and_holds_up_nobody() {
    let origin = origin_with(&[("one", 100 * CHUNK)]);
    let (files, report) = read(&origin, "s3://b/one", Hooks::default().observe(1, Slow));
    assert!(
        files[0]
            .1
            .as_ref()
            .is_ok_and(|bytes| bytes.len() as u64 == 100 * CHUNK)
    );
    assert!(
        report.stats.events_dropped > 0 && report.hooks[0].dropped == report.stats.events_dropped,
        "{report:?}"
    );
}

#[test]
fn sha256sum_accepts_the_manifest() {
    let origin = origin_with(&[("a", 3 * CHUNK), ("b c", 0), ("d/e", 100)]);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let manifest = folder.path().join("SHA256SUMS");
    let hooks = Sha256Manifest::of_saved_files(&manifest).register(Hooks::default());
    let report = save(&origin, "s3://b/", &out, hooks);
    assert!(report.is_complete(), "{report:?}");
    let check = |expected: bool| {
        let output = Command::new("sha256sum")
            .arg("-c")
            .arg(&manifest)
            .current_dir(&out)
            .output()
            .unwrap();
        assert_eq!(output.status.success(), expected, "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 3);
    };
    check(true);

    let streamed = folder.path().join("STREAMED");
    let (_, report) = read(
        &origin,
        "s3://b/",
        Sha256Manifest::of_streams(&streamed).register(Hooks::default()),
    );
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(
        fs::read_to_string(&streamed).unwrap(),
        fs::read_to_string(&manifest).unwrap()
    );
    fs::write(out.join("a"), "other").unwrap();
    check(false);
}

#[test]
fn compressed_files_are_saved_as_what_they_hold() {
    let text = content(3, 0..1 << 20).repeat(3);
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    fs::create_dir(&from).unwrap();
    let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&text).unwrap();
    let gzip = gzip.finish().unwrap();
    fs::write(from.join("a.txt.gz"), &gzip).unwrap();
    fs::write(from.join("b.txt.zst"), zstd::encode_all(&text[..], 1).unwrap()).unwrap();
    fs::write(from.join("c.txt"), b"plain").unwrap();
    fs::write(from.join("d.txt.gz"), &gzip[..gzip.len() / 2]).unwrap();
    let hook = Decompress::new(DecompressBy::Suffix, DecompressLimits::default());
    let asked = DownloadRequest::new(&format!("{}/", from.display())).unwrap();
    let report = retriever()
        .save(asked, &to, Hooks::default().stateful(hook))
        .unwrap()
        .wait();
    check_failed(&report, "d.txt", ErrorKind::Hook);
    assert_eq!(saved(&to), ["a.txt", "b.txt", "c.txt"]);
    assert!(fs::read(to.join("a.txt")).unwrap() == text && fs::read(to.join("b.txt")).unwrap() == text);
    assert_eq!(fs::read(to.join("c.txt")).unwrap(), b"plain");
}

#[test]
fn a_second_run_fetches_nothing() {
    let origin = origin_with(&[("a", 3 * CHUNK), ("b", 100), ("empty", 0)]);
    let folder = tempfile::tempdir().unwrap();
    let run = || {
        let hooks = Hooks::default().stateful(CacheCheck::new(folder.path(), Undated::Fetch));
        save(&origin, "s3://b/", folder.path(), hooks)
    };
    let first = run();
    assert!(first.is_complete() && first.stats.files_done == 3, "{first:?}");
    origin.reset_stats();
    let second = run();
    assert!(
        second.is_complete() && second.stats.files_cached == 3,
        "{second:?}"
    );
    let sent = origin.stats();
    assert!(sent.requests.get <= 3 && second.stats.bytes == 0, "{sent:?}");

    let newer = Object {
        modified: origin.object("b", "b").unwrap().modified + 60,
        ..Object::new(77, 100)
    };
    origin.put("b", "b", newer);
    let third = run();
    assert_eq!(
        (third.stats.files_cached, third.stats.files_done),
        (2, 1),
        "{third:?}"
    );
    check_saved(folder.path(), "b", 77, 100);
}

#[test]
fn a_command_has_the_last_word() {
    let origin = origin_with(&[("bad", 100), ("good", 2 * CHUNK)]);
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("judge");
    fs::write(
        &script,
        "#!/bin/sh\ntest -s \"$1\" && test \"$HAUL_NAME\" = good || { echo not that; exit 3; }\n",
    )
    .unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let out = folder.path().join("out");
    let exec = Exec::new(&format!("{} {{}}", script.display())).unwrap();
    let report = save(&origin, "s3://b/", &out, Hooks::default().functional(exec));
    check_failed(&report, "bad", ErrorKind::Hook);
    assert!(report.failed[0].1.to_string().contains("not that"), "{report:?}");
    assert_eq!(saved(&out), ["good"]);
}

#[test]
fn a_rate_is_kept() {
    let origin = origin_with(&[("one", 3_000_000)]);
    let limit = RateLimit::new("2MB/s".parse::<Schedule>().unwrap(), 0);
    let started = Instant::now();
    let (files, _) = read(&origin, "s3://b/one", Hooks::default().stateful(limit));
    let took = started.elapsed();
    assert!(files[0].1.is_ok());
    // It takes 1.5 s; what may come at once is not counted, and a slow machine may take any time.
    assert!(took > Duration::from_millis(700), "{took:?}");
}

#[test]
fn progress_and_profile_tell_the_same_bytes() {
    let origin = origin_with(&[("one", 8 << 20)]);
    let (shown, updates) = mpsc::channel();
    let progress = Progress::new(move |update: &ProgressUpdate<'_>| {
        let _ = shown.send(update.stats.bytes);
    });
    let (profiler, profile) =
        ProfilerHook::new(Duration::from_millis(20), Sink::Lines(Box::new(std::io::sink())));
    let hooks = Hooks::default().stateful(progress).stateful(profiler);
    let (_, report) = read(&origin, "s3://b/one", hooks);
    assert!(report.is_complete(), "{report:?}");
    let last = updates.iter().last();
    assert!(last.is_some_and(|bytes| bytes <= 8 << 20), "{last:?}");
    let profile = profile.recv_timeout(Duration::from_secs(5)).unwrap();
    assert_eq!(profile.summary.bytes, 8 << 20);
}
