//! What became of a run, for people and for programs.

use indicatif::{DecimalBytes, HumanCount};
use retrieve::{ErrorKind, Report, Stats};
use serde::Serialize;
use serde_json::{Value, json};

use crate::exit::Exit;

/// So many files are named in the terminal; JSON has more.
const NAMED: usize = 20;

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// By itself.
    ByItself,
    /// Somebody pressed Ctrl-C.
    Interrupted,
}

/// A report in words.
pub(crate) struct Summary<'a> {
    pub(crate) report: &'a Report,
    pub(crate) ended: Ended,
    /// Whether the same command would leave alone what is there.
    pub(crate) skips_what_is_there: bool,
}

/// A file that failed, as JSON.
#[derive(Serialize)]
struct Failed {
    location: String,
    name: String,
    kind: ErrorKind,
    error: String,
}

impl Summary<'_> {
    /// How the process ends.
    pub(crate) fn exit(&self) -> Exit {
        let Stats {
            entries,
            files_done,
            files_cached,
            ..
        } = self.report.stats;
        match self.ended {
            Ended::Interrupted if self.report.error.is_some() => Exit::Interrupted,
            _ if self.is_misunderstood() => Exit::Usage,
            _ if !self.report.is_complete() => Exit::Failed,
            _ if entries > 0 && files_done + files_cached == 0 => Exit::Nothing,
            _ => Exit::Done,
        }
    }

    /// An endpoint, an option or a manifest made no sense, and nothing was done.
    fn is_misunderstood(&self) -> bool {
        let error = self.report.error.as_ref();
        error.is_some_and(|error| error.kind() == ErrorKind::Invalid) && self.report.stats.files_done == 0
    }

    /// `5,000 files, 312 MB in 1.1 s (284 MB/s)`, what else there is to say, and what to do.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        // Where nothing was found, the error says all there is to say.
        if self.report.stats.entries > 0 || self.report.error.is_none() {
            lines.push(self.figures());
        }
        lines.extend(self.failures());
        lines.extend(self.hooks());
        lines.extend(self.advice());
        lines
    }

    fn figures(&self) -> String {
        let stats = &self.report.stats;
        let seconds = self.report.elapsed.as_secs_f64();
        let mut text = format!(
            "{}, {} in {seconds:.1} s",
            files(stats.files_done),
            DecimalBytes(stats.bytes)
        );
        if stats.bytes > 0 && seconds > 0.0 {
            let rate = DecimalBytes((stats.bytes as f64 / seconds) as u64);
            text = format!("{text} ({rate}/s)");
        }
        let parts = [
            (
                stats.files_cached,
                format!("{} there already", files(stats.files_cached)),
            ),
            (
                stats.files_skipped,
                format!("{} left out", files(stats.files_skipped)),
            ),
            (
                stats.resumed_bytes,
                format!("{} kept from an earlier run", DecimalBytes(stats.resumed_bytes)),
            ),
            (
                stats.retries,
                format!("{} attempts repeated", HumanCount(stats.retries)),
            ),
            (
                stats.files_failed,
                format!("{} failed", files(stats.files_failed)),
            ),
        ];
        let parts = parts.into_iter().filter(|(count, _)| *count > 0);
        parts.fold(text, |text, (_, part)| format!("{text}; {part}"))
    }

    fn failures(&self) -> Vec<String> {
        let failed = &self.report.failed;
        let mut lines: Vec<_> = failed
            .iter()
            .take(NAMED)
            .map(|(meta, error)| format!("  {}", super::failure(meta, error)))
            .collect();
        let more = self.report.stats.files_failed.saturating_sub(lines.len() as u64);
        if more > 0 {
            lines.push(format!("  and {} more; --json names them", HumanCount(more)));
        }
        lines
    }

    fn hooks(&self) -> Vec<String> {
        let hooks = self.report.hooks.iter();
        hooks
            .filter_map(|hook| Some(format!("{}: {}", hook.name, hook.failure.as_ref()?)))
            .collect()
    }

    fn advice(&self) -> Option<String> {
        let report = self.report;
        let again = match self.skips_what_is_there || report.stats.files_done == 0 {
            true => "run the same command again",
            false => "run the same command again with --cache",
        };
        let is_full = report
            .failed
            .iter()
            .any(|(_, error)| error.kind() == ErrorKind::DiskFull);
        if self.exit() == Exit::Interrupted {
            return Some(format!("interrupted; to go on where it was, {again}"));
        }
        if is_full {
            return Some(format!(
                "the disk is full: make room, then {again} to go on where it was"
            ));
        }
        if let Some(error) = &report.error {
            return Some(format!("error: {}", super::explain(error)));
        }
        if report.stats.files_failed > 0 {
            return Some(format!("to try what failed again, {again}"));
        }
        if self.exit() == Exit::Nothing {
            let entries = HumanCount(report.stats.entries);
            return Some(format!(
                "none of {entries} names was chosen by --include and --exclude"
            ));
        }
        None
    }

    /// The report for programs.
    pub(crate) fn json(&self) -> Value {
        let report = self.report;
        let failed = report.failed.iter().map(|(meta, error)| Failed {
            location: meta.location.to_string(),
            name: meta.name.clone(),
            kind: error.kind(),
            error: super::explain(error),
        });
        json!({
            "complete": report.is_complete(),
            "interrupted": self.exit() == Exit::Interrupted,
            "elapsed_ms": u64::try_from(report.elapsed.as_millis()).unwrap_or(u64::MAX),
            "error": report.error.as_ref().map(|error| json!({ "kind": error.kind(), "error": super::explain(error) })),
            "failed": failed.collect::<Vec<_>>(),
            "stats": report.stats,
            "hooks": report.hooks,
        })
    }
}

fn files(count: u64) -> String {
    match count {
        1 => "1 file".to_owned(),
        count => format!("{} files", HumanCount(count)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn check(report: &Report, ended: Ended, exit: Exit, words: &[&str]) {
        let summary = Summary {
            report,
            ended,
            skips_what_is_there: false,
        };
        assert_eq!(summary.exit(), exit);
        let said = summary.lines().join("\n");
        for word in words {
            assert!(said.contains(word), "{word:?} in {said}");
        }
    }

    fn report() -> Report {
        Report {
            stats: Stats {
                entries: 5_000,
                files_done: 5_000,
                bytes: 312_000_000,
                ..Stats::default()
            },
            elapsed: Duration::from_millis(1_100),
            ..Report::default()
        }
    }

    #[test]
    fn figures_are_a_line() {
        let line = "5,000 files, 312.00 MB in 1.1 s (283.64 MB/s)";
        check(&report(), Ended::ByItself, Exit::Done, &[line]);
    }

    #[test]
    fn an_interrupted_run_says_how_to_go_on() {
        let mut report = report();
        report.error = Some(retrieve::Error::new(ErrorKind::Cancelled, "cancelled"));
        check(
            &report,
            Ended::Interrupted,
            Exit::Interrupted,
            &["again with --cache"],
        );
    }

    #[test]
    fn a_run_that_chose_nothing_found_nothing() {
        let mut report = report();
        report.stats.files_done = 0;
        report.stats.files_skipped = 5_000;
        check(&report, Ended::ByItself, Exit::Nothing, &["none of 5,000 names"]);
    }
}
