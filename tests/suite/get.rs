//! `haul get`, `haul cat` and `haul ls` against a bucket that can be slow or wrong.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use origin::{Config, Effect, Fault, Object, Origin, Rule, Shaping};
use serde_json::Value;
use tests::{Bench, Ended, Haul, Need, Nginx, wait};

pub(crate) fn add(bench: &mut Bench) {
    bench.test("get: a folder of a bucket", &[], a_folder);
    bench.test("get: one object becomes a file, as with cp", &[], one_object);
    bench.test("get: Ctrl-C, and on where it was", &[], interrupted);
    bench.test("get: kill -9, and on where it was", &[], killed);
    bench.test("get: what is chosen", &[], chosen);
    bench.test("get: a manifest", &[], a_manifest);
    bench.test("get: names that cannot be", &[], impossible_names);
    bench.test("get: one file fails, the others are there", &[], partial_failure);
    bench.test("get: credentials, and what is wrong with them", &[], credentials);
    bench.test("get: what is not there", &[], not_there);
    bench.test("get: a full disk", &[], full_disk);
    bench.test("get: a read-only destination", &[Need::Mount], read_only);
    bench.test("get: what cannot be asked", &[], wrong_usage);
    bench.test("get: a file of a web server", &[Need::Program("nginx")], web_file);
    bench.test(
        "get: events and checksums",
        &[Need::Program("sha256sum")],
        events_and_checksums,
    );
    bench.test("get: decompression", &[], decompression);
    bench.test("get: a command decides about files", &[], exec_hook);
    bench.test("cat: in order, up to the first failure", &[], cat);
    bench.test(
        "cat: whoever reads may stop",
        &[Need::Program("bash")],
        cat_to_head,
    );
    bench.test("ls: one level, all, totals", &[], ls);
}

const SECRET: &str = "wJalrXUtnFEMI-never-shown";
const MIB: u64 = 1 << 20;

/// The binary with credentials for `origin` and no profile of whoever runs the tests.
fn haul(origin: &Origin) -> Result<Haul> {
    let haul = Haul::new()?
        .with("AWS_ENDPOINT_URL", origin.url())
        .with("AWS_ACCESS_KEY_ID", "AKIATEST")
        .with("AWS_SECRET_ACCESS_KEY", SECRET)
        .with("AWS_REGION", "us-east-1");
    Ok(without_profiles(haul))
}

fn without_profiles(haul: Haul) -> Haul {
    [
        "AWS_SESSION_TOKEN",
        "AWS_PROFILE",
        "AWS_ENDPOINT_URL_S3",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_CONFIG_FILE",
    ]
    .into_iter()
    .fold(haul.with("HOME", "/nonexistent"), |haul, name| {
        haul.with(name, "")
    })
}

fn bucket() -> Result<Origin> {
    Ok(Origin::start(Config::default())?)
}

/// Every file below a folder, by its name there.
fn files(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).with_context(|| next.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder)?.to_string_lossy().into_owned();
                found.insert(name, fs::read(&path)?);
            }
        }
    }
    Ok(found)
}

/// Fails unless the folder holds these objects, whole, and nothing else.
fn check_files(folder: &Path, expected: &[(&str, u64, u64)]) -> Result<()> {
    let found = files(folder)?;
    let names: Vec<_> = found.keys().map(String::as_str).collect();
    let mut wanted: Vec<_> = expected.iter().map(|(name, ..)| *name).collect();
    wanted.sort_unstable();
    ensure!(names == wanted, "{names:?} instead of {wanted:?}");
    for (name, seed, size) in expected {
        let bytes = &found[*name];
        ensure!(bytes.len() as u64 == *size, "{name} has {} bytes", bytes.len());
        ensure!(origin::verify(*seed, 0, bytes).is_ok(), "{name} has other bytes");
    }
    Ok(())
}

fn put(origin: &Origin, objects: &[(&str, u64, u64)]) {
    for (key, seed, size) in objects {
        origin.put("b", key, Object::new(*seed, *size));
    }
}

fn says_nothing_secret(ended: &Ended) -> Result<()> {
    let all = format!("{}{}", ended.stdout, ended.stderr);
    ensure!(!all.contains(SECRET) && !all.contains("panicked"), "{ended:#?}");
    Ok(())
}

fn a_folder() -> Result<()> {
    let origin = bucket()?;
    let objects = [
        ("photos/a.jpg", 1, 3 * MIB + 7),
        ("photos/empty", 2, 0),
        ("photos/raw/deep/b.jpg", 3, 70_000),
        ("photos/ü & more.txt", 4, 12),
    ];
    put(&origin, &objects);
    put(&origin, &[("photography", 9, 5)]);
    let haul = haul(&origin)?;
    let ended = haul.expect(0, &["get", "s3://b/photos", "out"])?;
    ended.says(&["4 files, 3.2", "MB in ", "/s)"])?;
    ensure!(
        ended.stdout.is_empty() && !ended.stderr.contains('\u{1b}'),
        "{ended:#?}"
    );
    let expected = objects.map(|(key, seed, size)| (key.trim_start_matches("photos/"), seed, size));
    check_files(&haul.folder().join("out"), &expected)?;

    origin.reset_stats();
    let again = haul.expect(0, &["get", "--cache", "--json", "s3://b/photos/", "out"])?;
    ensure!(origin.stats().requests.get == 0, "{:?}", origin.stats());
    let report = again.json()?;
    ensure!(
        report["complete"] == true && report["stats"]["files_cached"] == 4,
        "{report:#}"
    );
    again.says(&["4 files there already"])
}

fn one_object() -> Result<()> {
    let origin = bucket()?;
    put(&origin, &[("x/one.bin", 5, 100_000)]);
    let haul = haul(&origin)?;
    let folder = haul.folder().join("there");
    fs::create_dir(&folder)?;
    haul.expect(0, &["get", "s3://b/x/one.bin", "there"])?;
    haul.expect(0, &["get", "s3://b/x/one.bin", "there/new name"])?;
    haul.expect(0, &["get", "s3://b/x/one.bin", "there/made/"])?;
    // It is written over, as cp does.
    fs::write(folder.join("old"), "old")?;
    haul.expect(0, &["get", "s3://b/x/one.bin", "there/old"])?;
    let expected = ["made/one.bin", "new name", "old", "one.bin"].map(|name| (name, 5, 100_000));
    check_files(&folder, &expected)?;
    let cached = haul.expect(0, &["get", "--cache", "s3://b/x/one.bin", "there/old"])?;
    cached.says(&["1 file there already"])
}

const LARGE: u64 = 192 * MIB;

/// A get of one large object that has brought some of it.
fn half_way(origin: &Origin, haul: &Haul) -> Result<tests::Running> {
    put(origin, &[("large", 6, LARGE)]);
    // The server is the slow one: what it has sent has nearly arrived.
    origin.set_shaping(
        "b",
        Shaping {
            rate: Some(20_000_000),
            ..Shaping::default()
        },
    );
    let running = haul.start(&["get", "--connections", "4", "s3://b/large", "out/"])?;
    wait::until("half of the bytes", Duration::from_secs(60), || {
        Ok((origin.stats().bytes_sent > LARGE / 2).then_some(()))
    })?;
    Ok(running)
}

/// The rest comes, and of what had come no more than a window comes again.
fn the_rest(origin: &Origin, haul: &Haul) -> Result<()> {
    let before = origin.stats().bytes_sent;
    ensure!(before < LARGE, "it was not stopped half way");
    origin.reset_stats();
    let ended = haul.expect(0, &["get", "--connections", "4", "s3://b/large", "out/"])?;
    ended.says(&["kept from an earlier run"])?;
    check_files(&haul.folder().join("out"), &[("large", 6, LARGE)])?;
    let after = origin.stats().bytes_sent;
    ensure!(
        before + after <= LARGE + 64 * MIB,
        "{before} bytes came, then {after}"
    );
    Ok(())
}

fn interrupted() -> Result<()> {
    let origin = bucket()?;
    let haul = haul(&origin)?;
    let ended = half_way(&origin, &haul)?.interrupt()?;
    ensure!(ended.code == Some(130), "{ended:#?}");
    ended.says(&["run the same command again"])?;
    the_rest(&origin, &haul)
}

fn killed() -> Result<()> {
    let origin = bucket()?;
    let haul = haul(&origin)?;
    half_way(&origin, &haul)?.kill()?;
    the_rest(&origin, &haul)
}

fn chosen() -> Result<()> {
    let origin = bucket()?;
    let objects = [
        ("d/a.jpg", 1, 10),
        ("d/b.png", 2, 20),
        ("d/raw/c.jpg", 3, 30),
        ("e/x/y.jpg", 4, 40),
    ];
    put(&origin, &objects);
    let haul = haul(&origin)?;
    let dry = haul.expect(0, &["get", "--dry-run", "--include", "*.jpg", "s3://b/d/", "out"])?;
    dry.says(&["would fetch 2 files, 40 B"])?;
    ensure!(
        dry.stdout.contains("s3://b/d/raw/c.jpg") && !haul.folder().join("out").exists(),
        "{dry:#?}"
    );
    haul.expect(
        0,
        &[
            "get",
            "--include",
            "*.jpg",
            "--exclude",
            "raw/",
            "s3://b/d/",
            "out",
        ],
    )?;
    check_files(&haul.folder().join("out"), &[("a.jpg", 1, 10)])?;
    haul.expect(0, &["get", "s3://b/*/*/*.jpg", "s3://b/d/b.png", "glob"])?;
    let expected = [("b.png", 2, 20), ("d/raw/c.jpg", 3, 30), ("e/x/y.jpg", 4, 40)];
    check_files(&haul.folder().join("glob"), &expected)?;
    haul.expect(3, &["get", "--include", "*.gif", "s3://b/d/", "none"])?
        .says(&["none of 3 names"])
}

fn a_manifest() -> Result<()> {
    let origin = bucket()?;
    put(&origin, &[("k1", 1, 10), ("k2", 2, 20), ("k3", 3, 30)]);
    let haul = haul(&origin)?;
    let list = "# three\ns3://b/k1\ns3://b/k2\tunder/two\n{\"url\":\"s3://b/k3\",\"name\":\"three\"}\n";
    fs::write(haul.folder().join("list"), list)?;
    let expected = [("k1", 1, 10), ("three", 3, 30), ("under/two", 2, 20)];
    haul.expect(0, &["get", "--manifest", "list", "out"])?;
    check_files(&haul.folder().join("out"), &expected)?;
    let mut command = Command::new("sh");
    command
        .args(["-c", "\"$0\" get --manifest - stdin <list"])
        .arg(haul.binary());
    let ended = haul.start_as(command)?.wait()?;
    ensure!(ended.code == Some(0), "{ended:#?}");
    check_files(&haul.folder().join("stdin"), &expected)?;
    haul.expect(2, &["get", "--manifest", "no such list", "out"])?
        .says(&["no such list"])
}

fn impossible_names() -> Result<()> {
    let origin = bucket()?;
    put(&origin, &[("c/a", 1, 10), ("c/a/b", 2, 20), ("c/z", 3, 30)]);
    let haul = haul(&origin)?;
    let ended = haul.expect(1, &["get", "s3://b/c/", "out"])?;
    ended.says(&["s3://b/c/a/b: ", "needs a folder", "1 file failed"])?;
    check_files(&haul.folder().join("out"), &[("a", 1, 10), ("z", 3, 30)])?;

    fs::write(
        haul.folder().join("list"),
        "s3://b/c/z\t../outside\ns3://b/c/z\tinside\n",
    )?;
    let ended = haul.expect(1, &["get", "--json", "--manifest", "list", "safe"])?;
    ended.says(&["leads out of the destination"])?;
    ensure!(ended.json()?["failed"][0]["kind"] == "escape", "{ended:#?}");
    ensure!(
        !haul.folder().join("outside").exists(),
        "a file was written outside"
    );
    check_files(&haul.folder().join("safe"), &[("inside", 3, 30)])
}

fn partial_failure() -> Result<()> {
    let origin = bucket()?;
    put(&origin, &[("p/1", 1, 10), ("p/2", 2, 20), ("p/3", 3, 30)]);
    origin.set_rules("b", vec![Rule::new("p/2", Effect::fault(Fault::ServerError, 0))]);
    let haul = haul(&origin)?;
    let get = ["get", "--json", "--attempts", "2", "s3://b/p/", "out"];
    let ended = haul.expect(1, &get)?;
    ended.says(&["2 files, 40 B", "1 file failed", "s3://b/p/2: ", "500"])?;
    let report = ended.json()?;
    ensure!(
        report["complete"] == false && report["failed"][0]["kind"] == "server",
        "{report:#}"
    );
    ensure!(report["failed"][0]["location"] == "s3://b/p/2", "{report:#}");
    check_files(&haul.folder().join("out"), &[("1", 1, 10), ("3", 3, 30)])?;
    origin.set_rules("b", Vec::new());
    haul.expect(0, &get)?;
    check_files(
        &haul.folder().join("out"),
        &[("1", 1, 10), ("2", 2, 20), ("3", 3, 30)],
    )
}

fn credentials() -> Result<()> {
    let config = Config {
        access_key: Some("AKIARIGHT".to_owned()),
        ..Config::default()
    };
    let origin = Origin::start(config)?;
    put(&origin, &[("k", 1, 10)]);
    for address in ["s3://b/k", "s3://b/"] {
        let ended = haul(&origin)?.expect(1, &["get", address, "out/"])?;
        ended.says(&["AWS_ACCESS_KEY_ID"])?;
        says_nothing_secret(&ended)?;
    }
    let anonymous = haul(&origin)?.expect(1, &["get", "--anonymous", "s3://b/k", "out/"])?;
    anonymous.says(&["credentials"])?;

    let haul = without_profiles(Haul::new()?);
    let home = haul.folder().to_owned();
    let haul = [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_ENDPOINT_URL",
        "AWS_REGION",
    ]
    .into_iter()
    .fold(haul, |haul, name| haul.with(name, ""))
    .with("HOME", home.display().to_string());
    fs::create_dir(home.join(".aws"))?;
    let keys = format!("[work]\naws_access_key_id = AKIARIGHT\naws_secret_access_key = {SECRET}\n");
    fs::write(home.join(".aws/credentials"), keys)?;
    fs::write(
        home.join(".aws/config"),
        format!("[profile work]\nendpoint_url = {}\n", origin.url()),
    )?;
    haul.expect(0, &["get", "--profile", "work", "s3://b/k", "out/"])?;
    check_files(&home.join("out"), &[("k", 1, 10)])?;
    let ended = haul.expect(2, &["get", "--profile", "home", "s3://b/k", "out/"])?;
    ended.says(&["no profile \"home\""])?;
    says_nothing_secret(&ended)
}

fn not_there() -> Result<()> {
    let origin = bucket()?;
    put(&origin, &[("k", 1, 10)]);
    let haul = haul(&origin)?;
    for (address, word) in [
        ("s3://none/", "no bucket \"none\""),
        ("s3://none/k", "no bucket \"none\""),
        ("s3://b/none", "s3://b/none"),
        ("s3://b/none/", "s3://b/none/"),
        ("s3://b/none*", "s3://b/none*"),
        ("file:///nonexistent/file", "/nonexistent/file"),
    ] {
        haul.expect(1, &["get", address, "out/"])?.says(&[word])?;
        haul.expect(1, &["get", address, "as file"])?.says(&[word])?;
        haul.expect(1, &["cat", address])?.says(&[word])?;
    }
    haul.expect(3, &["ls", "s3://b/none/"])?;
    haul.expect(1, &["ls", "s3://none/"])?.says(&["no bucket"])
}

/// No file may grow beyond 512 KiB: to the program, the disk is full.
fn full_disk() -> Result<()> {
    let origin = bucket()?;
    put(&origin, &[("f/large", 1, 4 * MIB), ("f/small", 2, 10)]);
    let haul = haul(&origin)?;
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -f 1024; exec \"$@\"", "sh"])
        .arg(haul.binary())
        .args(["get", "s3://b/f/", "out"]);
    let ended = haul.start_as(command)?.wait()?;
    ensure!(ended.code == Some(1), "{ended:#?}");
    ended.says(&["s3://b/f/large", "again"])?;
    says_nothing_secret(&ended)?;
    haul.expect(0, &["get", "s3://b/f/", "out"])?;
    check_files(
        &haul.folder().join("out"),
        &[("large", 1, 4 * MIB), ("small", 2, 10)],
    )
}

fn read_only() -> Result<()> {
    let origin = bucket()?;
    put(&origin, &[("k", 1, 10)]);
    let haul = haul(&origin)?;
    let folder = haul.folder().join("locked");
    fs::create_dir(&folder)?;
    for destination in ["locked", "locked/file", "locked/below/"] {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c"])
            .arg("mount --bind \"$0\" \"$0\" && mount -o remount,ro,bind \"$0\" && exec \"$@\"")
            .arg(&folder)
            .arg(haul.binary())
            .args(["get", "s3://b/k", destination]);
        let ended = haul.start_as(command)?.wait()?;
        ensure!(ended.code == Some(1), "{ended:#?}");
        ended.says(&["locked", "ead-only"])?;
    }
    check_files(&folder, &[])
}

fn wrong_usage() -> Result<()> {
    let origin = bucket()?;
    let haul = haul(&origin)?;
    for words in [
        &["get"][..],
        &["get", "s3://b/k"],
        &["get", "ftp://host/file", "out"],
        &["get", "s3:///k", "out"],
        &["get", "s3://b/k", "s3://b/other"],
        &["get", "--memory", "64M", "s3://b/k", "out"],
        &["get", "--memory", "64KiB", "s3://b/k", "out"],
        &["get", "--include", "a[", "s3://b/k", "out"],
        &["get", "--hook", "unzip", "s3://b/k", "out"],
        &["get", "--json", "s3://b/k", "-"],
        &["get", "--cache", "s3://b/k", "-"],
        &["get", "--endpoint", "nonsense", "s3://b/k", "out"],
        &["get", "--endpoint", "nonsense", "s3://b/k", "."],
        &["cat"],
        &["cat", "--range", "9-3", "s3://b/k"],
        &["ls", "ftp://host/"],
        &["ls", "http://host/"],
    ] {
        let ended = haul.expect(2, words).with_context(|| format!("{words:?}"))?;
        ensure!(!ended.stderr.is_empty() && ended.stdout.is_empty(), "{ended:#?}");
        says_nothing_secret(&ended)?;
    }
    ensure!(!haul.folder().join("out").exists(), "something was made");
    Ok(())
}

fn web_file() -> Result<()> {
    let documents = tests_folder()?;
    let text = "It was a dark and stormy night. ".repeat(100_000);
    fs::write(documents.path().join("novel.txt"), &text)?;
    let nginx = Nginx::serve(documents.path())?;
    let haul = without_profiles(Haul::new()?);
    let address = format!("http://127.0.0.1:{}/novel.txt?token=hidden", nginx.port());
    let ended = haul.expect(0, &["get", &address, "."])?;
    ended.says(&["1 file, 3.20 MB in "])?;
    ensure!(
        ended.stderr.lines().count() == 1 && !ended.stderr.contains("hidden"),
        "{ended:#?}"
    );
    ensure!(
        fs::read_to_string(haul.folder().join("novel.txt"))? == text,
        "other bytes"
    );
    let missing = format!("http://127.0.0.1:{}/none?token=hidden", nginx.port());
    let ended = haul.expect(1, &["get", &missing, "none"])?;
    ended.says(&["/none"])?;
    ensure!(!ended.stderr.contains("hidden"), "{ended:#?}");
    Ok(())
}

fn tests_folder() -> Result<tempfile::TempDir> {
    Ok(tempfile::TempDir::with_prefix("haul-get-")?)
}

fn events_and_checksums() -> Result<()> {
    let origin = bucket()?;
    put(&origin, &[("s/a", 1, 10), ("s/b/c", 2, 20 * MIB), ("s/d", 3, 0)]);
    let haul = haul(&origin)?;
    haul.expect(
        0,
        &[
            "get",
            "--events",
            "events",
            "--sha256",
            "sums",
            "s3://b/s/",
            "out",
        ],
    )?;
    let events = fs::read_to_string(haul.folder().join("events"))?;
    let events: Vec<Value> = events
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let of_kind = |kind: &str| {
        events
            .iter()
            .filter(|event| event["event"] == kind)
            .collect::<Vec<_>>()
    };
    let ends: Vec<_> = of_kind("file_end")
        .iter()
        .map(|event| event["name"].to_string())
        .collect();
    ensure!(ends.len() == 3 && of_kind("run_end").len() == 1, "{events:#?}");
    let status = Command::new("sha256sum")
        .args(["-c", "--strict", "../sums"])
        .current_dir(haul.folder().join("out"))
        .output()?;
    ensure!(status.status.success(), "{status:?}");
    ensure!(
        String::from_utf8_lossy(&status.stdout).lines().count() == 3,
        "{status:?}"
    );
    haul.expect(1, &["get", "--events", "no/such/folder", "s3://b/s/", "out"])?
        .says(&["no/such/folder"])
}

fn decompression() -> Result<()> {
    let haul = without_profiles(Haul::new()?);
    let from = haul.folder().join("from");
    fs::create_dir(&from)?;
    let text = "It was a dark and stormy night. ".repeat(10_000);
    let mut gzip = flate2::write::GzEncoder::new(
        fs::File::create(from.join("novel.txt.gz"))?,
        flate2::Compression::fast(),
    );
    gzip.write_all(text.as_bytes())?;
    gzip.finish()?;
    fs::write(from.join("plain"), "plain")?;
    fs::write(from.join("broken.gz"), "not gzip")?;
    let address = format!("file://{}", from.display());
    let ended = haul.expect(1, &["get", "--decompress", &address, "out"])?;
    ended.says(&["broken.gz"])?;
    let found = files(&haul.folder().join("out"))?;
    ensure!(found.keys().eq(["novel.txt", "plain"]), "{:?}", found.keys());
    ensure!(found["novel.txt"] == text.as_bytes(), "other bytes");
    let cat = haul.expect(0, &["cat", "--decompress", &format!("{address}/novel.txt.gz")])?;
    ensure!(cat.stdout == text, "other bytes");
    Ok(())
}

fn exec_hook() -> Result<()> {
    let origin = bucket()?;
    put(&origin, &[("h/empty", 1, 0), ("h/full", 2, 20)]);
    let haul = haul(&origin)?;
    haul.expect(0, &["get", "--hook", "exec:test -f {}", "s3://b/h/", "all"])?;
    let ended = haul.expect(1, &["get", "--hook", "exec:test -s {}", "s3://b/h/", "some"])?;
    ended.says(&["s3://b/h/empty"])?;
    check_files(&haul.folder().join("some"), &[("full", 2, 20)])
}

/// What a command wrote to stdout, byte by byte.
fn written(haul: &Haul, arguments: &[&str]) -> Result<(Option<i32>, Vec<u8>)> {
    let mut command = Command::new("sh");
    let to: PathBuf = haul.folder().join("written");
    command
        .args(["-c", "exec \"$@\" >\"$0\""])
        .arg(&to)
        .arg(haul.binary())
        .args(arguments);
    let ended = haul.start_as(command)?.wait()?;
    Ok((ended.code, fs::read(to)?))
}

fn cat() -> Result<()> {
    let origin = bucket()?;
    let sizes = [5 * MIB + 1, 0, 100, 3 * MIB];
    for (number, size) in (0..).zip(sizes) {
        origin.put("b", &format!("c/{number}"), Object::new(number, size));
    }
    let haul = haul(&origin)?;
    let check = |bytes: &[u8], count: usize| {
        let mut rest = bytes;
        for (number, size) in (0..).zip(&sizes[..count]) {
            let (file, after) = rest
                .split_at_checked(usize::try_from(*size)?)
                .context("too few bytes")?;
            ensure!(origin::verify(number, 0, file).is_ok(), "other bytes in {number}");
            rest = after;
        }
        ensure!(rest.is_empty(), "{} bytes too many", rest.len());
        Ok(())
    };
    for words in [["cat", "s3://b/c/"].as_slice(), &["get", "s3://b/c/", "-"]] {
        let (code, bytes) = written(&haul, words)?;
        ensure!(code == Some(0), "{words:?} ended with {code:?}");
        check(&bytes, 4)?;
    }
    let (code, bytes) = written(&haul, &["cat", "--range", "10-109", "s3://b/c/0"])?;
    ensure!(
        code == Some(0) && bytes.len() == 100 && origin::verify(0, 10, &bytes).is_ok(),
        "a range"
    );
    let (code, bytes) = written(&haul, &["cat", "--range", "90-", "s3://b/c/2", "s3://b/c/1"])?;
    ensure!(
        code == Some(0) && bytes.len() == 10 && origin::verify(2, 90, &bytes).is_ok(),
        "a rest"
    );

    origin.set_rules("b", vec![Rule::new("c/2", Effect::fault(Fault::ServerError, 0))]);
    let (code, bytes) = written(&haul, &["cat", "--attempts", "1", "s3://b/c/"])?;
    ensure!(code == Some(1), "{code:?}");
    check(&bytes, 2)
}

fn cat_to_head() -> Result<()> {
    let origin = bucket()?;
    put(&origin, &[("large", 1, 64 * MIB)]);
    let haul = haul(&origin)?;
    let mut command = Command::new("bash");
    command
        .args([
            "-c",
            "\"$0\" cat s3://b/large | head -c 10 | wc -c; echo ${PIPESTATUS[0]}",
        ])
        .arg(haul.binary());
    let ended = haul.start_as(command)?.wait()?;
    ensure!(ended.stdout == "10\n0\n" && ended.stderr.is_empty(), "{ended:#?}");
    ensure!(origin.stats().bytes_sent < 64 * MIB, "all of it came");
    Ok(())
}

fn ls() -> Result<()> {
    let origin = bucket()?;
    put(
        &origin,
        &[("a", 1, 10), ("d/x", 2, 20), ("d/y/z", 3, 30), ("e", 4, 40)],
    );
    let haul = haul(&origin)?;
    let listed = |words: &[&str]| -> Result<Vec<String>> {
        let ended = haul.expect(0, words)?;
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        Ok(ended.stdout.lines().map(words).collect())
    };
    let time = "2024-01-01 00:00:00Z";
    let a = format!("10 {time} s3://b/a");
    let e = format!("40 {time} s3://b/e");
    let one_level = listed(&["ls", "s3://b"])?;
    ensure!(one_level == [&a, "50 2 objects s3://b/d/", &e], "{one_level:#?}");
    let below = listed(&["ls", "s3://b/d"])?;
    ensure!(
        below == [&format!("20 {time} s3://b/d/x"), "30 1 object s3://b/d/y/"],
        "{below:#?}"
    );
    let all = listed(&["ls", "-r", "s3://b/"])?;
    ensure!(
        all.len() == 4 && all[2] == format!("30 {time} s3://b/d/y/z"),
        "{all:#?}"
    );
    let total = listed(&["ls", "--total", "s3://b/"])?;
    ensure!(total == ["4 objects, 100 B (100 bytes)"], "{total:#?}");
    let lines = haul.expect(0, &["ls", "--json", "s3://b/", "s3://b/d/x"])?;
    let lines: Vec<Value> = lines
        .stdout
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    ensure!(
        lines[0]["size"] == 10 && lines[0]["modified"] == "2024-01-01T00:00:00Z",
        "{lines:#?}"
    );
    ensure!(
        lines[1]["folder"] == "s3://b/d/" && lines[1]["bytes"] == 50,
        "{lines:#?}"
    );
    ensure!(lines[3]["location"] == "s3://b/d/x", "{lines:#?}");
    Ok(())
}
