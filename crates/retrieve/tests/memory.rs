//! A run stays within its byte budget and 32 MB. Each scenario is a process of its own, which looks at the most memory
//! that it ever had (`VmHWM`). Where a control group of version 1 may be made, the process lives in one that would end it
//! at that limit; elsewhere only the measurement counts, and the test says so.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::print_stderr, reason = "what was not tested is said")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use origin::{Config, Delay, Effect, Object, Origin, Rule, Shaping};
use retrieve::hooks::{Decompress, DecompressBy, DecompressLimits};
use retrieve::{DownloadRequest, Hooks, Options, Retriever};

const MIB: u64 = 1 << 20;
const BESIDES: u64 = 32_000_000;

const ENDPOINT: &str = "RETRIEVE_TEST_ENDPOINT";
const FOLDER: &str = "RETRIEVE_TEST_FOLDER";

/// Runs the test `name` again in a process with that much memory; what it does there is `scenario`.
#[track_caller]
fn check(name: &str, budget: u64, prepare: fn(&Origin, &Path), scenario: fn(&Retriever, &str, &Path)) {
    if let (Ok(endpoint), Some(folder)) = (std::env::var(ENDPOINT), std::env::var_os(FOLDER)) {
        let options = Options {
            memory_bytes: budget,
            ..Options::default()
        };
        scenario(&Retriever::new(options).unwrap(), &endpoint, Path::new(&folder));
        let most = most_memory();
        assert!(most <= budget + BESIDES, "{most} bytes with a budget of {budget}");
        return;
    }
    let origin = Origin::start(Config::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    prepare(&origin, folder.path());
    let group = Group::new(name, budget + BESIDES);
    if group.is_none() {
        eprintln!("no control group may be made here: only measured");
    }
    let enter = group.as_ref().map_or(String::new(), |group| {
        format!("echo $$ > '{}/tasks' && ", group.0.display())
    });
    let output = Command::new("sh")
        .args(["-c", &format!("{enter}exec \"$0\" --exact {name}")])
        .arg(std::env::current_exe().unwrap())
        .env(ENDPOINT, origin.url())
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{}: {said}",
        output.status
    );
}

/// A control group for memory; it goes with its last process.
struct Group(PathBuf);

impl Group {
    fn new(name: &str, limit: u64) -> Option<Self> {
        let path = PathBuf::from(format!(
            "/sys/fs/cgroup/memory/retrieve-{}-{name}",
            std::process::id()
        ));
        fs::create_dir(&path).ok()?;
        let group = Self(path);
        fs::write(group.0.join("memory.limit_in_bytes"), limit.to_string()).ok()?;
        Some(group)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The kernel may hold it for a moment after its last process.
        for _ in 0..100 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The most memory that this process ever had, in bytes.
fn most_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

fn request(endpoint: &str, address: &str) -> DownloadRequest {
    let options = [("aws_endpoint", endpoint), ("aws_skip_signature", "true")];
    DownloadRequest::new(address).unwrap().options(options)
}

/// Reads all files and throws them away.
fn read(retriever: &Retriever, request: DownloadRequest, hooks: Hooks, pause: Duration) -> u64 {
    let mut bytes = 0;
    for file in retriever.read(request, hooks).unwrap() {
        for piece in file.unwrap() {
            bytes += piece.unwrap().len() as u64;
            std::thread::sleep(pause);
        }
    }
    bytes
}

fn one_large(origin: &Origin, _folder: &Path) {
    origin.put("b", "large", Object::new(1, 150 * MIB));
    // The first range takes a second; everything behind it could come at once.
    let slow = Effect {
        delay: Some(Duration::from_millis(500)),
        rate: Some(8 << 20),
        ..Effect::default()
    };
    origin.set_rules("b", vec![Rule::new("large", slow).at(0..1).nth(1)]);
}

fn read_large(retriever: &Retriever, endpoint: &str, _folder: &Path) {
    let bytes = read(
        retriever,
        request(endpoint, "s3://b/large"),
        Hooks::default(),
        Duration::ZERO,
    );
    assert_eq!(bytes, 150 * MIB);
}

#[test]
fn a_slow_beginning_with_16_mib() {
    check("a_slow_beginning_with_16_mib", 16 * MIB, one_large, read_large);
}

#[test]
fn a_slow_beginning_with_64_mib() {
    check("a_slow_beginning_with_64_mib", 64 * MIB, one_large, read_large);
}

#[test]
fn a_slow_reader() {
    let read_slowly = |retriever: &Retriever, endpoint: &str, _folder: &Path| {
        let pause = Duration::from_millis(1);
        assert_eq!(
            read(
                retriever,
                request(endpoint, "s3://b/large"),
                Hooks::default(),
                pause
            ),
            150 * MIB
        );
    };
    check("a_slow_reader", 16 * MIB, one_large, read_slowly);
}

#[test]
fn many_small_files() {
    let prepare = |origin: &Origin, _folder: &Path| {
        let objects = (0..1_500).map(|number| (format!("small/{number:05}"), Object::new(number, 64 << 10)));
        origin.put_many("b", objects);
        origin.set_shaping(
            "b",
            Shaping {
                first_byte: Delay::Uniform(Duration::ZERO, Duration::from_millis(20)),
                ..Shaping::default()
            },
        );
    };
    let scenario = |retriever: &Retriever, endpoint: &str, _folder: &Path| {
        let bytes = read(
            retriever,
            request(endpoint, "s3://b/small/"),
            Hooks::default(),
            Duration::ZERO,
        );
        assert_eq!(bytes, 1_500 * (64 << 10));
    };
    check("many_small_files", 16 * MIB, prepare, scenario);
}

#[test]
fn large_files_to_disk() {
    let prepare = |origin: &Origin, _folder: &Path| {
        for number in 0..3 {
            origin.put("b", &format!("large/{number}"), Object::new(number, 60 * MIB));
        }
    };
    let scenario = |retriever: &Retriever, endpoint: &str, folder: &Path| {
        let saving = retriever
            .save(request(endpoint, "s3://b/large/"), folder, Hooks::default())
            .unwrap();
        let report = saving.wait();
        assert!(report.is_complete(), "{report:?}");
    };
    check("large_files_to_disk", 16 * MIB, prepare, scenario);
}

#[test]
fn a_listing_of_200_000_keys() {
    let prepare = |origin: &Origin, _folder: &Path| {
        let objects = (0..200_000).map(|number| (format!("keys/{number:08}"), Object::new(number, 0)));
        origin.put_many("b", objects);
    };
    let scenario = |retriever: &Retriever, endpoint: &str, _folder: &Path| {
        let entries = retriever.list(request(endpoint, "s3://b/keys/"));
        assert_eq!(entries.map(Result::unwrap).count(), 200_000);
    };
    check("a_listing_of_200_000_keys", 16 * MIB, prepare, scenario);
}

#[test]
fn what_expands_on_the_way() {
    let prepare = |_origin: &Origin, folder: &Path| {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        // 100 times its size when it comes out.
        let line = [b'a'; 999].into_iter().chain([b'\n']).collect::<Vec<_>>();
        for _ in 0..200_000 {
            gzip.write_all(&line).unwrap();
        }
        fs::write(folder.join("large.gz"), gzip.finish().unwrap()).unwrap();
    };
    let scenario = |retriever: &Retriever, _endpoint: &str, folder: &Path| {
        let hook = Decompress::new(
            DecompressBy::Suffix,
            DecompressLimits {
                max_ratio: 1000,
                ..DecompressLimits::default()
            },
        );
        let asked = DownloadRequest::new(folder.join("large.gz").to_str().unwrap()).unwrap();
        let bytes = read(retriever, asked, Hooks::default().stateful(hook), Duration::ZERO);
        assert_eq!(bytes, 200_000_000);
    };
    check("what_expands_on_the_way", 16 * MIB, prepare, scenario);
}
