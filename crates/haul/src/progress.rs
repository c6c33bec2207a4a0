//! What a person at a terminal sees of long work. Nothing, or little, where stderr is no terminal.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use crawler::Progress;
use indicatif::{DecimalBytes, HumanCount, HumanDuration, ProgressBar, ProgressStyle};
use retrieve::Stats;
use retrieve::hooks::Estimate;

use crate::output;

/// A bar of files that are read.
pub(crate) fn of_files(count: u64) -> ProgressBar {
    let bar = ProgressBar::new(count);
    bar.set_style(style("{bar:30} {pos}/{len} files, {per_sec}, {eta} left {msg}"));
    bar
}

/// A bar of runs that are measured.
pub(crate) fn of_runs(count: u64) -> ProgressBar {
    let bar = ProgressBar::new(count);
    bar.set_style(style("{bar:30} {pos}/{len} runs, {eta} left, {msg}"));
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

/// A line that counts.
pub(crate) struct Count(ProgressBar);

impl Count {
    /// Says what is counted.
    pub(crate) fn new(what: &str) -> Self {
        let bar = ProgressBar::new_spinner();
        bar.set_style(style("{spinner} {msg}: {human_pos}, {per_sec}"));
        bar.set_message(what.to_owned());
        Self(bar)
    }

    pub(crate) fn show(&self, count: u64) {
        self.0.set_position(count);
    }

    pub(crate) fn end(&self) {
        self.0.finish_and_clear();
    }
}

/// A line that shows how far a crawl is.
pub(crate) struct CrawlBar(ProgressBar);

impl CrawlBar {
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::new(0);
        bar.set_style(style("{spinner} {bar:20} {msg}"));
        bar.enable_steady_tick(Duration::from_millis(250));
        Self(bar)
    }

    /// Shows `progress`.
    pub(crate) fn show(&self, progress: &Progress) {
        let totals = &progress.totals;
        self.0.set_length(totals.seen.max(1));
        self.0.set_position(totals.seen.saturating_sub(totals.open));
        self.0.set_message(describe(progress));
    }

    /// Shows what happens after the crawl.
    pub(crate) fn say(&self, text: &'static str) {
        self.0.set_message(text);
    }

    pub(crate) fn end(&self) {
        self.0.finish_and_clear();
    }
}

/// A line that shows how far a retrieval is; where stderr is no terminal, a new one now and then.
pub(crate) struct RetrievalBar {
    /// None where nobody watches.
    bar: Option<ProgressBar>,
    estimate: Estimate,
    said_at: Instant,
}

impl RetrievalBar {
    /// From line to line in a log.
    const SAY_EVERY: Duration = Duration::from_secs(10);

    pub(crate) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            bar.set_style(style("{bar:20} {wide_msg}"));
            bar
        });
        Self {
            bar,
            estimate: Estimate::default(),
            said_at: Instant::now(),
        }
    }

    /// Shows `stats`; to be called ten times a second.
    pub(crate) fn show(&mut self, stats: &Stats) {
        self.estimate.observe(stats);
        match &self.bar {
            Some(bar) => {
                bar.set_length(stats.expected_bytes.max(1));
                bar.set_position(stats.bytes + stats.resumed_bytes);
                bar.set_message(describe_retrieval(stats, &self.estimate));
            }
            None if self.said_at.elapsed() >= Self::SAY_EVERY => {
                output::say(&describe_retrieval(stats, &self.estimate));
                self.said_at = Instant::now();
            }
            None => {}
        }
    }

    pub(crate) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Files and bytes of how many, the rate, the time that is left, what went wrong.
fn describe_retrieval(stats: &Stats, estimate: &Estimate) -> String {
    let ended = stats.files_done + stats.files_cached + stats.files_skipped + stats.files_failed;
    let more = if stats.listing_done { "" } else { "+" };
    let there = DecimalBytes(stats.bytes + stats.resumed_bytes);
    let mut text = format!(
        "{}/{}{more} files, {there}/{}{more}",
        HumanCount(ended),
        HumanCount(stats.entries),
        DecimalBytes(stats.expected_bytes),
    );
    if let Some(rate) = estimate.bytes_per_second() {
        text = format!("{text}, {}/s", DecimalBytes(rate as u64));
    }
    if let Some(left) = estimate.remaining(stats) {
        text = format!("{text}, {} left", HumanDuration(left));
    }
    for (count, what) in [
        (stats.retries, "attempts repeated"),
        (stats.files_failed, "failed"),
    ] {
        if count > 0 {
            text = format!("{text}, {} {what}", HumanCount(count));
        }
    }
    text
}

/// Pages done, queued and failed, the rate, the amount, the host.
pub(crate) fn describe(progress: &Progress) -> String {
    let totals = &progress.totals;
    let host = progress.current_host.as_deref().unwrap_or("");
    format!(
        "{} done, {} queued, {} failed, {:.0}/s, {} {host}",
        totals.seen.saturating_sub(totals.open),
        totals.open,
        totals.failed + totals.escalated,
        progress.pages_per_second,
        output::bytes(progress.fetched_bytes),
    )
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
