use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use origin::{Checksum, content};
use retrieve::hooks::{ChunkTiming, FunctionalHook, RunStart, StatefulHook};
use retrieve::{
    Control, DownloadRequest, Entry, ErrorKind, FileMeta, Hooks, Location, Options, Outcome, Report,
    Retriever, Source,
};

use crate::server::Server;

type Case = fn(&Server) -> Result<()>;

/// All cases; each uses keys below a prefix of its own.
pub(crate) const ALL: [(&str, Case); 13] = [
    ("sizes around the chunk", sizes),
    ("objects put in parts", parts),
    ("odd keys in a list", odd_keys),
    ("odd keys one by one", odd_objects),
    ("prefix, glob and address", listings),
    ("a listing of several pages", pages),
    ("ranges", ranges),
    ("overwritten after it was listed", overwritten),
    ("cancelled, and resumed", resumed),
    ("declared checksums", checksums),
    ("wrong keys", wrong_keys),
    ("what is not there", not_there),
    ("an object without a list", without_list),
];

const CHUNK: u64 = 256 << 10;

/// Small chunks, so that small objects take many.
fn retriever() -> Result<Retriever> {
    Ok(Retriever::new(Options {
        chunk_bytes: Some(CHUNK),
        ..Options::default()
    })?)
}

fn request(server: &Server, address: &str) -> Result<DownloadRequest> {
    Ok(DownloadRequest::new(address)?.options(server.options()))
}

fn object(key: &str) -> Location {
    Location::object(retrieve::Scheme::S3, "haul", key)
}

/// The names and bytes of what is read.
fn read(request: DownloadRequest) -> Result<Vec<(String, Vec<u8>)>> {
    let retriever = retriever()?;
    let mut files = retriever.read(request, Hooks::default())?;
    let mut all = Vec::new();
    for file in &mut files {
        let mut file = file.map_err(|(meta, error)| anyhow::anyhow!("{}: {error}", meta.name))?;
        let bytes = futures::executor::block_on(file.read_to_end(1 << 30))?;
        all.push((file.meta().name, bytes));
    }
    let report = futures::executor::block_on(files.report());
    match &report.error {
        Some(error) => bail!("{error}"),
        None => Ok(all),
    }
}

fn save(request: DownloadRequest, folder: &Path, hooks: Hooks) -> Result<Arc<Report>> {
    Ok(retriever()?.save(request, folder, hooks)?.wait())
}

fn names(request: DownloadRequest) -> Result<Vec<String>> {
    let retriever = retriever()?;
    retriever.list(request).map(|entry| Ok(entry?.name)).collect()
}

/// The error that reading ends with, in the file or in the run.
fn kind_of(request: DownloadRequest) -> Result<ErrorKind> {
    let retriever = retriever()?;
    let mut files = retriever.read(request, Hooks::default())?;
    for file in &mut files {
        match file {
            Err((_, error)) => return Ok(error.kind()),
            Ok(file) => {
                for piece in file {
                    if let Err(error) = piece {
                        return Ok(error.kind());
                    }
                }
            }
        }
    }
    let report = futures::executor::block_on(files.report());
    Ok(report.error.as_ref().context("it was retrieved")?.kind())
}

fn sizes(server: &Server) -> Result<()> {
    let sizes = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 20 << 20];
    for (seed, size) in (0..).zip(sizes) {
        server.put(&format!("sizes/{seed}"), &content(seed, 0..size))?;
    }
    let all = read(request(server, "s3://haul/sizes/")?)?;
    let folder = tempfile::tempdir()?;
    let report = save(
        request(server, "s3://haul/sizes/")?,
        folder.path(),
        Hooks::default(),
    )?;
    ensure!(report.is_complete(), "{report:?}");
    ensure!(all.len() == sizes.len());
    for (seed, size) in (0..).zip(sizes) {
        let (name, bytes) = &all[seed as usize];
        ensure!(*name == seed.to_string(), "{name} is out of order");
        ensure!(*bytes == content(seed, 0..size), "{size} bytes were read wrongly");
        let saved = fs::read(folder.path().join(name))?;
        ensure!(saved == *bytes, "{size} bytes were saved wrongly");
    }
    Ok(())
}

fn parts(server: &Server) -> Result<()> {
    let whole = content(70, 0..12 << 20);
    let parts: Vec<&[u8]> = whole.chunks(5 << 20).collect();
    server.put_in_parts("parts/three", &parts)?;
    let all = read(request(server, "s3://haul/parts/three")?)?;
    ensure!(all.len() == 1 && all[0].1 == whole);
    Ok(())
}

fn odd_keys(server: &Server) -> Result<()> {
    for (seed, key) in (100..).zip(server.odd_keys()) {
        server.put(&format!("odd/{key}"), &content(seed, 0..1000 + seed))?;
    }
    let listed = read(request(server, "s3://haul/odd/")?)?;
    let listed_names: Vec<_> = listed.iter().map(|(name, _)| name.as_str()).collect();
    ensure!(listed.len() == server.odd_keys().len(), "{listed_names:?}");
    for (seed, key) in (100..).zip(server.odd_keys()) {
        let found = listed.iter().find(|(name, _)| name == key);
        let (_, bytes) = found.with_context(|| format!("{key:?} is not in {listed_names:?}"))?;
        ensure!(*bytes == content(seed, 0..1000 + seed), "{key:?}");
    }
    Ok(())
}

/// Keys that a server does not list rightly can still be asked for.
fn odd_objects(server: &Server) -> Result<()> {
    let unlisted = ["100%", "%41", "a+b", "%2F"];
    for (seed, key) in (200..).zip(server.odd_keys().into_iter().chain(unlisted)) {
        let key = format!("single-odd/{key}");
        server.put(&key, &content(seed, 0..seed))?;
        let exactly = Source::Object(Entry::new(object(&key)));
        let one = read(DownloadRequest::default().with(exactly).options(server.options()))?;
        ensure!(one.len() == 1 && one[0].1 == content(seed, 0..seed), "{key:?}");
    }
    Ok(())
}

fn listings(server: &Server) -> Result<()> {
    for key in [
        "tree/a.txt",
        "tree/b.bin",
        "tree/sub/c.txt",
        "tree/sub/deep/d.txt",
        "treehouse",
    ] {
        server.put(&format!("list/{key}"), key.as_bytes())?;
    }
    let check = |address: &str, expected: &[&str]| {
        let names = names(request(server, address)?)?;
        ensure!(names == expected, "{address}: {names:?}");
        Ok(())
    };
    check(
        "s3://haul/list/tree/",
        &["a.txt", "b.bin", "sub/c.txt", "sub/deep/d.txt"],
    )?;
    check(
        "s3://haul/list/tree",
        &["a.txt", "b.bin", "sub/c.txt", "sub/deep/d.txt"],
    )?;
    check("s3://haul/list/tree/a.txt", &["a.txt"])?;
    check("s3://haul/list/tree/*.txt", &["a.txt"])?;
    check(
        "s3://haul/list/**/*.txt",
        &["tree/a.txt", "tree/sub/c.txt", "tree/sub/deep/d.txt"],
    )?;
    check("s3://haul/list/tree/{a,b}.*", &["a.txt", "b.bin"])?;
    let prefix = DownloadRequest::default().with(Source::Prefix(object("list/tree")));
    let names = names(prefix.options(server.options()))?;
    ensure!(names.len() == 5 && names[4] == "treehouse", "{names:?}");
    Ok(())
}

fn pages(server: &Server) -> Result<()> {
    const COUNT: usize = 1_100;
    for number in 0..COUNT {
        server.put(&format!("pages/{number:05}"), b"")?;
    }
    let names = names(request(server, "s3://haul/pages/")?)?;
    let expected: Vec<String> = (0..COUNT).map(|number| format!("{number:05}")).collect();
    ensure!(names == expected, "{} names", names.len());
    Ok(())
}

fn ranges(server: &Server) -> Result<()> {
    let size = 3 * CHUNK + 17;
    server.put("ranges/one", &content(7, 0..size))?;
    for range in [0..1, 5..CHUNK + 9, CHUNK..2 * CHUNK, size - 1..size, 0..size] {
        let asked = DownloadRequest::default().range(object("ranges/one"), range.clone());
        let all = read(asked.options(server.options()))?;
        ensure!(all[0].1 == content(7, range.clone()), "{range:?}");
    }
    Ok(())
}

/// Nothing has come of the listed object, so the one that is there now is meant, and all of it.
fn overwritten(server: &Server) -> Result<()> {
    for size in [1_000, 4 * CHUNK] {
        server.put("change/one", &content(1, 0..size))?;
        let retriever = retriever()?;
        let mut entries = retriever.list(request(server, "s3://haul/change/one")?);
        let entry = entries.next().context("it was not listed")??;
        ensure!(entry.size == Some(size), "{entry:?}");
        server.put("change/one", &content(2, 0..size + 7))?;
        let asked = DownloadRequest::default().with(Source::Object(entry));
        let all = read(asked.options(server.options()))?;
        ensure!(
            all[0].1 == content(2, 0..size + 7),
            "{size} bytes were overwritten"
        );
    }
    Ok(())
}

/// Cancels a run after some ranges.
#[derive(Clone)]
struct CancelAfter {
    left: Arc<AtomicU64>,
    control: Arc<Mutex<Option<Control>>>,
}

impl StatefulHook for CancelAfter {
    fn name(&self) -> &str {
        "cancel"
    }

    fn on_run_start(&mut self, _start: &RunStart, control: &Control) {
        *self.control.lock().unwrap() = Some(control.clone());
    }
}

impl FunctionalHook for CancelAfter {
    fn name(&self) -> &str {
        "cancel"
    }

    fn on_chunk(&self, _chunk: &ChunkTiming<'_>) -> Result<(), String> {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.control.lock().unwrap().as_ref().unwrap().cancel();
        }
        Ok(())
    }
}

fn resumed(server: &Server) -> Result<()> {
    let size = 24 * CHUNK;
    server.put("resume/one", &content(9, 0..size))?;
    let folder = tempfile::tempdir()?;
    let cancel = CancelAfter {
        left: Arc::new(AtomicU64::new(8)),
        control: Arc::default(),
    };
    let hooks = Hooks::default().stateful(cancel.clone()).functional(cancel);
    let asked = || request(server, "s3://haul/resume/one");
    let slowly = Retriever::new(Options {
        chunk_bytes: Some(CHUNK),
        max_connections: 2,
        ..Options::default()
    })?;
    let first = slowly.save(asked()?, folder.path(), hooks)?.wait();
    ensure!(first.stats.files_cancelled == 1, "{first:?}");
    ensure!(!folder.path().join("one").exists());
    let second = save(asked()?, folder.path(), Hooks::default())?;
    ensure!(second.is_complete(), "{second:?}");
    let resumed = second.stats.resumed_bytes;
    ensure!(resumed >= 7 * CHUNK, "{resumed} bytes were resumed");
    ensure!(fs::read(folder.path().join("one"))? == content(9, 0..size));
    Ok(())
}

/// Keeps how files ended.
#[derive(Clone, Default)]
struct Endings(Arc<Mutex<Vec<Outcome>>>);

impl StatefulHook for Endings {
    fn name(&self) -> &str {
        "endings"
    }

    fn on_file_end(&mut self, _meta: &FileMeta, outcome: &Outcome) {
        self.0.lock().unwrap().push(outcome.clone());
    }
}

/// Servers tell the checksum of a whole object when all of it is asked for, and by HEAD.
fn checksums(server: &Server) -> Result<()> {
    let algorithms = [Checksum::Crc64Nvme, Checksum::Crc32c, Checksum::Crc32];
    let cases = algorithms.map(|algorithm| [(algorithm, CHUNK / 2), (algorithm, 3 * CHUNK + 5)]);
    for (algorithm, size) in cases.into_iter().flatten() {
        let key = format!("checksums/{}-{size}", algorithm.name());
        server.put_with(&key, &[declared(algorithm, size)], &content(size, 0..size))?;
        let folder = tempfile::tempdir()?;
        let endings = Endings::default();
        let asked = request(server, &format!("s3://haul/{key}"))?;
        let report = save(asked, folder.path(), Hooks::default().stateful(endings.clone()))?;
        ensure!(report.is_complete(), "{report:?}");
        let endings = endings.0.lock().unwrap();
        let Some(Outcome::Done(done)) = endings.first() else {
            bail!("{endings:?}");
        };
        ensure!(done.verified, "{key}: {done:?}");
    }
    Ok(())
}

/// The header that an object is put with so that the server knows its checksum.
fn declared(algorithm: Checksum, size: u64) -> (&'static str, String) {
    let value = origin::checksum(size, size, algorithm).to_be_bytes();
    let (name, value) = match algorithm {
        Checksum::Crc64Nvme => ("x-amz-checksum-crc64nvme", &value[..]),
        Checksum::Crc32c => ("x-amz-checksum-crc32c", &value[4..]),
        Checksum::Crc32 => ("x-amz-checksum-crc32", &value[4..]),
    };
    (name, base64::engine::general_purpose::STANDARD.encode(value))
}

fn wrong_keys(server: &Server) -> Result<()> {
    server.put("keys/one", b"text")?;
    for (name, value) in [
        ("aws_secret_access_key", "wrong"),
        ("aws_access_key_id", "nobody"),
    ] {
        for address in ["s3://haul/keys/one", "s3://haul/keys/"] {
            let asked = request(server, address)?.options([(name, value)]);
            let kind = kind_of(asked)?;
            ensure!(kind == ErrorKind::Denied, "{name} {address}: {kind:?}");
        }
    }
    Ok(())
}

fn not_there(server: &Server) -> Result<()> {
    let exactly = Source::Object(Entry::new(object("nothing/here")));
    let cases = [
        (request(server, "s3://haul/nothing/")?, ErrorKind::NotFound),
        (request(server, "s3://haul/nothing")?, ErrorKind::NotFound),
        (
            DownloadRequest::default().with(exactly).options(server.options()),
            ErrorKind::NotFound,
        ),
        (request(server, "s3://no-such-bucket/a")?, ErrorKind::NoBucket),
        (request(server, "s3://no-such-bucket/")?, ErrorKind::NoBucket),
    ];
    for (asked, expected) in cases {
        let shown = asked.describe();
        let kind = kind_of(asked)?;
        ensure!(kind == expected, "{shown:?}: {kind:?}");
    }
    Ok(())
}

fn without_list(server: &Server) -> Result<()> {
    server.put("single/one", &content(5, 0..2 * CHUNK))?;
    let exactly = Source::Object(Entry::new(object("single/one")));
    let all = read(DownloadRequest::default().with(exactly).options(server.options()))?;
    ensure!(all.len() == 1 && all[0].1 == content(5, 0..2 * CHUNK));
    Ok(())
}
