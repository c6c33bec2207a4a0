use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use semver::Version;

use crate::manifest::Manifest;
use crate::versions::{self, Wanted};

/// How long an interpreter may take to tell its version.
const PROBE_TIME: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// One installed interpreter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interpreter {
    pub(crate) version: Version,
    /// The program itself, where a version manager put a script in its place.
    pub(crate) program: PathBuf,
    /// The folder that has to be there for it to work.
    pub(crate) prefix: PathBuf,
}

impl Interpreter {
    /// Whether both are one installation, whose program may have several names.
    fn is_same(&self, other: &Self) -> bool {
        self.version == other.version && self.prefix == other.prefix
    }

    /// Whether every sandbox has it.
    pub(crate) fn is_below_usr(&self) -> bool {
        self.prefix.starts_with("/usr")
    }
}

/// All interpreters in these folders that answer, each once.
pub(crate) fn find(manifest: &Manifest, folders: &[PathBuf]) -> Vec<Interpreter> {
    let mut asked = HashSet::new();
    let mut found: Vec<Interpreter> = Vec::new();
    for program in folders
        .iter()
        .flat_map(|folder| candidates(folder, &manifest.program))
    {
        let Ok(real) = fs::canonicalize(&program) else {
            continue;
        };
        if !asked.insert(real) {
            continue;
        }
        let answer = ask(&program, &manifest.probe);
        found.extend(answer.filter(|answer| !found.iter().any(|known| known.is_same(answer))));
    }
    found
}

/// What of the installed comes nearest to what is wanted: it fulfils the wish, or its version is near; needs nothing beside `/usr`; is the newest.
pub(crate) fn nearest<'a>(installed: &'a [Interpreter], wanted: Option<&Wanted>) -> Option<&'a Interpreter> {
    installed.iter().min_by_key(|interpreter| {
        let distance = match wanted {
            Some(wanted) if !wanted.accepts(&interpreter.version) => {
                Some(wanted.distance(&interpreter.version))
            }
            _ => None,
        };
        (
            distance,
            !interpreter.is_below_usr(),
            std::cmp::Reverse(interpreter.version.clone()),
        )
    })
}

/// The programs in `folder` that are called `program`, or that with a version behind it. Of scripts only the plain name counts: they are a version
/// manager's, who answers it with the version that was chosen and every other name slowly or not at all.
fn candidates(folder: &Path, program: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let named = entries.map(|entry| entry.path()).filter(|path| {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let version = name.strip_prefix(program);
        let is_version = |rest: &str| {
            rest.chars()
                .all(|letter| letter.is_ascii_digit() || letter == '.')
        };
        version.is_some_and(|rest| rest.is_empty() || is_version(rest) && !is_script(path))
            && is_executable(path)
    });
    let mut found: Vec<PathBuf> = named.collect();
    found.sort();
    found
}

fn is_script(path: &Path) -> bool {
    let mut start = [0; 2];
    File::open(path).is_ok_and(|mut file| file.read_exact(&mut start).is_ok()) && start == *b"#!"
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// Asks a program for its version, its path and the folder of its installation.
fn ask(program: &Path, probe: &[String]) -> Option<Interpreter> {
    let answer = output(Command::new(program).args(probe))?;
    let mut lines = answer.lines().map(str::trim);
    Some(Interpreter {
        version: versions::version(lines.next()?)?,
        program: PathBuf::from(lines.next().filter(|line| line.starts_with('/'))?),
        prefix: fs::canonicalize(lines.next()?).ok()?,
    })
}

/// What a command prints in a short time, if it succeeds.
fn output(command: &mut Command) -> Option<String> {
    let command = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    if !succeeds(&mut child) {
        return None;
    }
    let mut text = String::new();
    child.stdout?.take(1 << 16).read_to_string(&mut text).ok()?;
    Some(text)
}

fn succeeds(child: &mut Child) -> bool {
    let started = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if started.elapsed() < PROBE_TIME => std::thread::sleep(LOOK_EVERY),
            _ => break,
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    false
}
