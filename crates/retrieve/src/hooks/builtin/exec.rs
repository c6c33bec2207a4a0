use std::ffi::OsString;
use std::io::{self, PipeReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::words::split_words;
use crate::entry::FileMeta;
use crate::error::{Error, ErrorKind};
use crate::hooks::FunctionalHook;
use crate::outcome::Done;

/// So much of the end of a command's output is kept for the error.
const MAX_OUTPUT_BYTES: usize = 2 << 10;
/// How long output may still come when the command has ended, from children that it left behind.
const OUTPUT_GRACE: Duration = Duration::from_millis(200);
const MAX_PAUSE: Duration = Duration::from_millis(20);

/// Asks a command whether a file is good: status 0 accepts it, any other one and a command that takes too long refuse
/// it. It runs before the file gets its name, so it reads the temporary file and must leave it where it is.
///
/// The command is cut into words as a shell would and run without one; `{}` in a word stands for the path. Whoever wants
/// a shell writes `sh -c '...'` and uses the environment: `HAUL_PATH`, `HAUL_NAME` (below the destination),
/// `HAUL_LOCATION` (without its query), `HAUL_INDEX`, `HAUL_BYTES`, and where they are known `HAUL_SIZE`, `HAUL_ETAG`
/// and `HAUL_CHECKSUM` (`crc64nvme:` and 16 hexadecimal digits, or `crc32c:` or `crc32:` and 8).
///
/// Commands run side by side, one for each core by default; other files go on meanwhile. Each is a process group of its
/// own, which is killed whole at the time limit.
#[derive(Debug)]
pub struct Exec {
    program: String,
    arguments: Vec<String>,
    time_limit: Duration,
    running: Slots,
}

impl Exec {
    /// Runs `command` with a time limit of 60 s.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for no command and for a quote that is not closed.
    pub fn new(command: &str) -> Result<Self, Error> {
        let mut words = split_words(command)?.into_iter();
        let program = words.next();
        let program = program
            .ok_or_else(|| Error::new(ErrorKind::Invalid, "name a command, as in exec:unzip -tq {}"))?;
        Ok(Self {
            program,
            arguments: words.collect(),
            time_limit: Duration::from_secs(60),
            running: Slots::new(thread::available_parallelism().map_or(1, usize::from)),
        })
    }

    /// Gives each command so much time.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Runs so many commands at once, at least 1.
    #[must_use]
    pub fn at_once(mut self, commands: usize) -> Self {
        self.running = Slots::new(commands.max(1));
        self
    }

    fn command(&self, meta: &FileMeta, done: &Done, path: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(self.arguments.iter().map(|word| with_path(word, path)))
            .env("HAUL_PATH", path)
            .env("HAUL_NAME", &meta.name)
            .env("HAUL_LOCATION", meta.location.to_string())
            .env("HAUL_INDEX", meta.index.to_string())
            .env("HAUL_BYTES", done.bytes.to_string());
        let size = meta.size.map(|size| size.to_string());
        let checksum = done.checksum.map(|checksum| checksum_text(&checksum));
        for (name, value) in [
            ("SIZE", size),
            ("ETAG", meta.etag.clone()),
            ("CHECKSUM", checksum),
        ] {
            let name = format!("HAUL_{name}");
            // Not what a run around this one has set.
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }
}

impl FunctionalHook for Exec {
    fn name(&self) -> &str {
        &self.program
    }

    fn verify(&self, meta: &FileMeta, done: &Done, path: Option<&Path>) -> Result<(), String> {
        let path = path.ok_or("it is not saved, so there is no path to give to the command")?;
        let command = self.command(meta, done, path);
        let slot = self.running.take();
        let ended = run(command, self.time_limit).map_err(|error| format!("cannot run it: {error}"))?;
        drop(slot);
        ended.verdict(self.time_limit)
    }
}

/// `{}` in `word` replaced, also where the path is not UTF-8.
fn with_path(word: &str, path: &Path) -> OsString {
    let mut parts = word.split("{}");
    let mut argument = OsString::from(parts.next().unwrap_or_default());
    for part in parts {
        argument.push(path);
        argument.push(part);
    }
    argument
}

fn checksum_text(checksum: &crate::Declared) -> String {
    let name = match checksum.algorithm {
        crate::Algorithm::Crc64Nvme => "crc64nvme",
        crate::Algorithm::Crc32C => "crc32c",
        crate::Algorithm::Crc32 => "crc32",
    };
    format!("{name}:{}", checksum.hex())
}

/// How a command ended.
struct Ended {
    /// None at the time limit.
    status: Option<ExitStatus>,
    output: String,
}

impl Ended {
    fn verdict(&self, limit: Duration) -> Result<(), String> {
        let output = self.output.trim();
        match self.status {
            Some(status) if status.success() => Ok(()),
            Some(status) if output.is_empty() => Err(status.to_string()),
            Some(status) => Err(format!("{status}: {output}")),
            None => Err(format!("no answer after {} s: {output}", limit.as_secs_f32())),
        }
    }
}

fn run(mut command: Command, limit: Duration) -> io::Result<Ended> {
    let (reader, writer) = io::pipe()?;
    let child = command
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .process_group(0)
        .spawn()?;
    // Our copies of the pipe's other end close with it, so that the output can end.
    drop(command);
    let output = Output::read(reader)?;
    let status = wait(child, limit)?;
    let output = output.end();
    Ok(Ended { status, output })
}

/// Waits up to `limit`, then kills the command and what it has started.
fn wait(mut child: Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    let mut pause = Duration::from_millis(1);
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(pause);
        pause = (pause * 2).min(MAX_PAUSE);
    }
    // The group may have ended in this moment; then there is nothing left to kill.
    let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    child.wait()?;
    Ok(None)
}

/// The end of what a command says, read on a thread of its own so that the command never waits for us.
struct Output {
    tail: Arc<Mutex<Vec<u8>>>,
    ended: mpsc::Receiver<()>,
}

impl Output {
    fn read(mut pipe: PipeReader) -> io::Result<Self> {
        let tail = Arc::new(Mutex::new(Vec::new()));
        let (alive, ended) = mpsc::channel::<()>();
        let kept = Arc::clone(&tail);
        let read = move || {
            let _alive = alive;
            let mut buffer = [0; MAX_OUTPUT_BYTES];
            while let Ok(read @ 1..) = pipe.read(&mut buffer) {
                keep_tail(&mut lock(&kept), &buffer[..read]);
            }
        };
        thread::Builder::new()
            .name("exec output".to_owned())
            .spawn(read)?;
        Ok(Self { tail, ended })
    }

    fn end(&self) -> String {
        // Nothing is sent: it returns when the reader has ended or the time is over.
        let _ = self.ended.recv_timeout(OUTPUT_GRACE);
        String::from_utf8_lossy(&lock(&self.tail)).into_owned()
    }
}

fn keep_tail(tail: &mut Vec<u8>, bytes: &[u8]) {
    tail.extend_from_slice(bytes);
    let surplus = tail.len().saturating_sub(MAX_OUTPUT_BYTES);
    tail.drain(..surplus);
}

/// Commands that may still be started.
#[derive(Debug)]
struct Slots {
    free: Mutex<usize>,
    freed: Condvar,
}

/// The right to run one command.
struct Slot<'a>(&'a Slots);

impl Slots {
    fn new(free: usize) -> Self {
        Self {
            free: Mutex::new(free),
            freed: Condvar::new(),
        }
    }

    fn take(&self) -> Slot<'_> {
        let free = self.freed.wait_while(lock(&self.free), |free| *free == 0);
        *free.unwrap_or_else(PoisonError::into_inner) -= 1;
        Slot(self)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        *lock(&self.0.free) += 1;
        self.0.freed.notify_one();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
