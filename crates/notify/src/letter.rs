//! Letters, as text.

use registry::{Ending, News, Outcome, Run, TableChanges};

use crate::body::{rfc3339, run_page};

/// A letter as it is read.
pub(crate) struct Text {
    pub(crate) subject: String,
    pub(crate) body: String,
}

/// What to write about `news`; `base` is where this server is reached.
pub(crate) fn write(news: &News, base: &str) -> Text {
    let (subject, body) = match news {
        News::Failed(run) => failed(run, base),
        News::Recovered(run) => recovered(run, base),
        News::Paused(run) => paused(run, base),
        News::Digest { failing, runs } => digest(*failing, runs, base),
    };
    Text {
        subject,
        body: format!("{body}\n-- \n{}", footer(base)),
    }
}

fn failed(run: &Run, base: &str) -> (String, String) {
    let subject = format!("{} failed: {}", run.scraper, outcome(run));
    let body = format!(
        "{} failed, and did not before.\n\n{}\nYou get the next letter when it works again, and a list of all that fail once a day.\n",
        run.scraper,
        facts(run, base)
    );
    (subject, body)
}

fn recovered(run: &Run, base: &str) -> (String, String) {
    let subject = format!("{} works again", run.scraper);
    let body = format!(
        "{} failed before, and its last run succeeded.\n\n{}",
        run.scraper,
        facts(run, base)
    );
    (subject, body)
}

fn paused(run: &Run, base: &str) -> (String, String) {
    let subject = format!("{} is paused", run.scraper);
    let body = format!(
        "{} failed so often in a row that its schedule stands still, as its settings say. Let it go on on its page once it is mended.\n\n{}",
        run.scraper,
        facts(run, base)
    );
    (subject, body)
}

fn digest(failing: u64, runs: &[Run], base: &str) -> (String, String) {
    let subject = match runs {
        [run] => format!("{} still fails", run.scraper),
        _ => format!("{failing} scrapers fail"),
    };
    let mut body = "The last run of each of these scrapers did not succeed.\n".to_owned();
    for run in runs {
        body.push_str(&format!(
            "\n{}: {}\n{}\n",
            run.scraper,
            outcome(run),
            run_page(base, run)
        ));
    }
    let named = u64::try_from(runs.len()).unwrap_or(u64::MAX);
    if failing > named {
        body.push_str(&format!("\nAnd {} more.\n", failing - named));
    }
    (subject, body)
}

/// What there is to know of one run.
fn facts(run: &Run, base: &str) -> String {
    let mut text = format!("Run {}: {}\n", run.id, outcome(run));
    if let Some(ending) = &run.ending {
        text.push_str(&told(ending));
    }
    if let Some(finished_at) = run.finished_at {
        text.push_str(&format!("Finished: {}\n", rfc3339(finished_at)));
    }
    text.push_str(&format!("Log: {}\n", run_page(base, run)));
    text
}

fn told(ending: &Ending) -> String {
    let mut text = String::new();
    if !ending.message.is_empty() {
        text.push_str(&format!("{}\n", ending.message));
    }
    text.push_str(&rows(&ending.changes));
    text
}

fn rows(tables: &TableChanges) -> String {
    let line = |(table, rows): (&String, &registry::RowChanges)| {
        format!(
            "Table {table}: {} added, {} removed, {} changed, {} unchanged\n",
            rows.added, rows.removed, rows.changed, rows.unchanged
        )
    };
    tables.iter().map(line).collect()
}

/// How a run ended, in words.
fn outcome(run: &Run) -> String {
    let Some(ending) = &run.ending else {
        return "not over".to_owned();
    };
    match (ending.outcome, ending.exit_code) {
        (Outcome::Failed, Some(code)) => format!("exit code {code}"),
        (outcome, _) => outcome.word().replace('_', " "),
    }
}

fn footer(base: &str) -> String {
    format!("You get mail about your scrapers because your account says so. Change that at {base}/account\n")
}
