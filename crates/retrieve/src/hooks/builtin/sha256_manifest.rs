use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::entry::FileMeta;
use crate::hooks::{FunctionalHook, Hooks, OrderedHook, StatefulHook};
use crate::outcome::{Done, Outcome, Report};

const NAME: &str = "sha256 manifest";
const READ_BYTES: usize = 256 << 10;

/// Writes what `sha256sum -c` reads: a line for each file that this run has fetched, sorted by name. The manifest
/// appears when the run ends and replaces an older one, of which only the lines of files that were there already
/// ([`Outcome::Cached`]) go over into it. It needs some 150 bytes of memory for each file.
///
/// SHA-256 needs a file's bytes in their order. A file that is saved is therefore read once more when it is whole, while
/// it is still in the page cache, which leaves ranges free to arrive in any order; only files that are not saved are
/// hashed as they flow.
#[derive(Clone, Debug)]
pub struct Sha256Manifest {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    of: Of,
    sums: Mutex<Sums>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    SavedFiles,
    Streams,
}

#[derive(Debug, Default)]
struct Sums {
    /// By the file's index, until it has ended well.
    pending: HashMap<u64, String>,
    /// By name.
    ended: BTreeMap<String, String>,
    /// Names of files that were there already.
    cached: HashSet<String>,
}

impl Sha256Manifest {
    /// A manifest at `path` for a run that saves files.
    pub fn of_saved_files(path: impl Into<PathBuf>) -> Self {
        Self::new(path.into(), Of::SavedFiles)
    }

    /// A manifest at `path` for a run that hands bytes to a reader.
    pub fn of_streams(path: impl Into<PathBuf>) -> Self {
        Self::new(path.into(), Of::Streams)
    }

    fn new(path: PathBuf, of: Of) -> Self {
        let sums = Mutex::default();
        let shared = Arc::new(Shared { path, of, sums });
        Self { shared }
    }

    /// Adds it to `hooks`: its serial part, and for saved files the one that reads them, many at once.
    #[must_use]
    pub fn register(self, hooks: Hooks) -> Hooks {
        if self.shared.of == Of::Streams {
            return hooks.stateful(self);
        }
        hooks.functional(self.clone()).stateful(self)
    }
}

impl Shared {
    fn sums(&self) -> MutexGuard<'_, Sums> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, file: u64, hash: Sha256) {
        let sum = hash.finalize().iter().fold(String::new(), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        self.sums().pending.insert(file, sum);
    }
}

impl FunctionalHook for Sha256Manifest {
    fn name(&self) -> &str {
        NAME
    }

    fn verify(&self, meta: &FileMeta, _done: &Done, path: Option<&Path>) -> Result<(), String> {
        let path = path.ok_or("it is not saved, so a manifest of saved files cannot hold it")?;
        let hash = hash_file(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        self.shared.add(meta.index, hash);
        Ok(())
    }
}

impl StatefulHook for Sha256Manifest {
    fn name(&self) -> &str {
        NAME
    }

    fn ordered(&mut self, meta: &FileMeta) -> Option<Box<dyn OrderedHook>> {
        if self.shared.of == Of::SavedFiles {
            return None;
        }
        Some(Box::new(Hashing {
            file: meta.index,
            hash: Sha256::new(),
            shared: Arc::clone(&self.shared),
        }))
    }

    fn on_file_end(&mut self, meta: &FileMeta, outcome: &Outcome) {
        let mut sums = self.shared.sums();
        let sum = sums.pending.remove(&meta.index);
        match (outcome, sum) {
            (Outcome::Done(_), Some(sum)) => {
                sums.ended.insert(meta.name.clone(), sum);
            }
            (Outcome::Cached, _) => {
                sums.cached.insert(meta.name.clone());
            }
            _ => {}
        }
    }

    fn on_run_end(&mut self, _report: &Report) -> Result<(), String> {
        let path = &self.shared.path;
        self.shared
            .sums()
            .write(path)
            .map_err(|error| format!("cannot write the manifest {}: {error}", path.display()))
    }
}

impl Sums {
    fn write(&mut self, path: &Path) -> io::Result<()> {
        self.take_over(path)?;
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".part");
        let written = write_lines(Path::new(&temporary), &self.ended);
        let renamed = written.and_then(|()| fs::rename(&temporary, path));
        if renamed.is_err() {
            // What went wrong before is what the user must know.
            let _ = fs::remove_file(&temporary);
        }
        renamed
    }

    /// Adds the lines of cached files from an older manifest.
    fn take_over(&mut self, path: &Path) -> io::Result<()> {
        if self.cached.is_empty() || !path.exists() {
            return Ok(());
        }
        for line in BufReader::new(File::open(path)?).lines() {
            match parse_line(&line?) {
                Some((name, sum)) if self.cached.contains(&name) => {
                    self.ended.entry(name).or_insert(sum);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Hashes one file's bytes as they flow.
struct Hashing {
    file: u64,
    hash: Sha256,
    shared: Arc<Shared>,
}

impl OrderedHook for Hashing {
    fn on_ordered(&mut self, bytes: Bytes) -> Result<Bytes, String> {
        self.hash.update(&bytes);
        Ok(bytes)
    }

    fn finish(&mut self) -> Result<Bytes, String> {
        self.shared.add(self.file, std::mem::take(&mut self.hash));
        Ok(Bytes::new())
    }
}

fn hash_file(path: &Path) -> io::Result<Sha256> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash),
            read => hash.update(&buffer[..read]),
        }
    }
}

fn write_lines(path: &Path, sums: &BTreeMap<String, String>) -> io::Result<()> {
    let mut out = io::BufWriter::new(File::create(path)?);
    for (name, sum) in sums {
        writeln!(out, "{}", line(name, sum))?;
    }
    out.into_inner()?.sync_all()
}

/// GNU coreutils mark a line with a backslash when they have escaped its name.
fn line(name: &str, sum: &str) -> String {
    if !name.contains(['\\', '\n', '\r']) {
        return format!("{sum}  {name}");
    }
    let name = name
        .replace('\\', "\\\\")
        .replace('\n', "\\n")
        .replace('\r', "\\r");
    format!("\\{sum}  {name}")
}

/// Name and sum of a line; none where it is not one of ours.
fn parse_line(line: &str) -> Option<(String, String)> {
    let escaped = line.strip_prefix('\\');
    let (sum, name) = escaped.unwrap_or(line).split_once("  ")?;
    let name = if escaped.is_some() {
        unescape(name)
    } else {
        name.to_owned()
    };
    Some((name, sum.to_owned()))
}

fn unescape(name: &str) -> String {
    let mut chars = name.chars();
    let next = || {
        let c = chars.next()?;
        if c != '\\' {
            return Some(c);
        }
        Some(match chars.next()? {
            'n' => '\n',
            'r' => '\r',
            c => c,
        })
    };
    std::iter::from_fn(next).collect()
}
