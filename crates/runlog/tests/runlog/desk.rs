//! A folder with logs, and a clock that tests move.

use std::time::{Duration, SystemTime};

use runlog::{Line, Log, LogLimits, Logs, Stream, Summary};
use tempfile::TempDir;

pub(crate) struct Desk {
    pub(crate) folder: TempDir,
    pub(crate) logs: Logs,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let logs = Logs::open(folder.path()).unwrap();
        Self { folder, logs }
    }

    /// The same folder in the eyes of a process that starts now.
    pub(crate) fn restart(&self) -> Logs {
        Logs::open(self.folder.path()).unwrap()
    }
}

/// So many milliseconds after the beginning.
pub(crate) fn at(ms: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_000 + ms)
}

pub(crate) fn texts(lines: &[Line]) -> Vec<&str> {
    lines.iter().map(|line| line.text.as_str()).collect()
}

/// All lines of a log, as they can be read by now.
pub(crate) fn all(log: &Log) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    loop {
        let more = log.read(lines.len() as u64).unwrap();
        if more.is_empty() {
            return lines;
        }
        lines.extend(more);
    }
}

/// What becomes of the pieces of a program, written to standard output one after the other.
pub(crate) fn written(pieces: &[&[u8]], limits: LogLimits, secrets: &[&str]) -> (Vec<Line>, Summary) {
    let desk = Desk::new();
    let writer = desk.logs.begin("run", limits, secrets).unwrap();
    for piece in pieces {
        writer.write(Stream::Stdout, piece, at(0)).unwrap();
    }
    let summary = writer.finish(at(0)).unwrap();
    (all(&desk.logs.get("run").unwrap().unwrap()), summary)
}
