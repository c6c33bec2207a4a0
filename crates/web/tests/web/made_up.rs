//! Made-up scrapers, whose runs ended in many ways. Nothing is run: a worker of another process wrote what they left.

use std::time::{Duration, SystemTime};

use model::{OwnerName, RunId, ScraperId, Timestamp};
use registry::{
    Asked, Capacity, Cause, Domain, Ending, Event, Lease, NewScraper, Origin, Outcome, Phase, RowChanges,
    ScraperSettings, Secret, SecretName, Usage,
};
use runlog::{LogLimits, Logs, Stream, Writer};
use rusqlite::Connection;

use crate::fixture::Parts;

/// A line, a value and a name that a page must not take for its own.
pub(crate) const HOSTILE: &str = "</li><script>alert('x')</script> & \"quotes\"";

/// A run that a worker has.
pub(crate) struct Working {
    lease: Lease,
    log: Writer,
}

impl Working {
    /// Asks for a run of `scraper`, and takes it.
    pub(crate) async fn start(parts: &Parts, scraper: &ScraperId, cause: Cause, at: Timestamp) -> Self {
        let registry = parts.runner.registry();
        let asked = registry.ask(scraper, cause, at).await.unwrap();
        let (Asked::Queued(run) | Asked::Already(run)) = asked;
        let capacity = Capacity {
            memory_mib: 100_000,
            slots: 20,
        };
        let leases = registry.admit("worker", capacity, at).await.unwrap();
        let lease = leases.into_iter().find(|lease| lease.run.id == run).unwrap();
        for phase in [Phase::Syncing, Phase::Building, Phase::Running] {
            registry.advance(run, lease.epoch, phase, at).await.unwrap();
        }
        let logs = Logs::open(&parts.folder.path().join("runs/logs")).unwrap();
        let log = logs.begin(&run.to_string(), LogLimits::default(), &[]).unwrap();
        Self { lease, log }
    }

    pub(crate) fn run(&self) -> RunId {
        self.lease.run.id
    }

    pub(crate) fn say(&self, stream: Stream, text: &str) {
        let line = format!("{text}\n");
        self.log
            .write(stream, line.as_bytes(), SystemTime::now())
            .unwrap();
    }

    /// Ends the run.
    pub(crate) async fn end(self, parts: &Parts, ending: Ending, at: Timestamp) -> RunId {
        self.log.finish(SystemTime::now()).unwrap();
        let registry = parts.runner.registry();
        let ended = registry.finish(self.lease.run.id, self.lease.epoch, ending, None, at);
        ended.await.unwrap();
        self.lease.run.id
    }
}

/// A scraper whose code is in a repository.
pub(crate) async fn add(parts: &Parts, id: &str, settings: ScraperSettings) -> ScraperId {
    let new = NewScraper {
        id: id.parse().unwrap(),
        origin: Origin::Git {
            url: format!("https://git.example/{id}.git"),
            reference: Some("main".into()),
        },
        settings,
    };
    let added = parts.runner.registry().add_scraper(new, before(40 * 24)).await;
    added.unwrap().id
}

/// An ending, after some work.
pub(crate) fn ending(outcome: Outcome, message: &str, [added, changed, removed]: [u64; 3]) -> Ending {
    let mut ending = Ending::new(outcome, message);
    let rows = RowChanges {
        added,
        changed,
        removed,
        unchanged: 1_204,
    };
    ending.changes.insert("data".into(), rows);
    ending.usage = Usage {
        wall_ms: 83_000,
        cpu_ms: 4_200,
        peak_memory_bytes: 93_000_000,
        disk_bytes: 1_000_000,
    };
    ending.language = Some("python".into());
    ending.revision = Some("3f786850e387550fdab836ed7e6dc881de23001b".into());
    ending.exit_code = (outcome == Outcome::Succeeded).then_some(0);
    ending
}

/// Whoever asks on a page.
pub(crate) fn person(name: &str) -> Cause {
    Cause::Person {
        by: OwnerName::new(name).unwrap(),
    }
}

/// So many hours ago.
pub(crate) fn before(hours: u64) -> Timestamp {
    SystemTime::now()
        .checked_sub(Duration::from_secs(hours * 3_600))
        .unwrap()
        .into()
}

/// Puts a table of applications, and one with many columns, in force.
pub(crate) async fn fill(parts: &Parts, id: &ScraperId, rows: usize) {
    let path = parts.folder.path().join("made-up.sqlite");
    drop(std::fs::remove_file(&path));
    let database = Connection::open(&path).unwrap();
    let wide: Vec<String> = (1..=24).map(|number| format!("column_{number}")).collect();
    let tables = format!(
        "CREATE TABLE data(council_reference TEXT PRIMARY KEY, address TEXT, description TEXT, info_url TEXT, lots INTEGER, area REAL, on_notice_to, plan BLOB);
         CREATE TABLE wide({}); CREATE TABLE \"<b>odd & empty</b>\"(x)",
        wide.join(", ")
    );
    database.execute_batch(&tables).unwrap();
    for number in 0..rows {
        let description = match number {
            0 => HOSTILE.to_owned(),
            1 => "A long description of what is to be built where the old one stood. ".repeat(8),
            _ => format!("Dwelling {number}"),
        };
        let row = rusqlite::params![
            format!("2026.{number:04}"),
            "2 Zingel Place, Bega NSW 2550",
            description,
            format!("https://datracker.example.gov/application/{number}"),
            number as i64 * 1_000,
            number as f64 / 3.0,
            vec![0_u8; 2_000]
        ];
        let add = "INSERT INTO data VALUES(?1, ?2, ?3, ?4, ?5, ?6, NULL, ?7)";
        database.execute(add, row).unwrap();
    }
    let values = vec!["'some value'"; wide.len()].join(", ");
    let wide = format!("INSERT INTO wide VALUES({values})");
    database.execute_batch(&wide).unwrap();
    drop(database);
    parts.runner.import_data(id, &path).await.unwrap();
}

/// Scrapers in every state; the run that goes on.
pub(crate) async fn make_up(parts: &Parts) -> Working {
    busy(parts).await;
    troubled(parts).await;
    add(parts, "ada/new", ScraperSettings::default()).await;
    let long =
        "ada/a-scraper-with-a-very-long-name-which-somebody-chose-in-a-hurry_and.did-not-think-of-telephones";
    add(parts, long, ScraperSettings::default()).await;
    let waiting = add(parts, "bob/waits", ScraperSettings::default()).await;
    let settings = ScraperSettings {
        description: "Runs at this moment".into(),
        ..ScraperSettings::default()
    };
    let live = add(parts, "ada/live", settings).await;
    let old = Working::start(parts, &live, person("ada"), before(30)).await;
    old.end(
        parts,
        ending(Outcome::Succeeded, "it succeeded", [12, 0, 0]),
        before(29),
    )
    .await;
    let running = Working::start(parts, &live, person("ada"), before(0)).await;
    running.say(Stream::InternalOut, "haul: Running python -u scraper.py");
    let registry = parts.runner.registry();
    registry.ask(&waiting, Cause::Schedule, before(0)).await.unwrap();
    running
}

/// One that is well: many runs, data, domains, secrets, webhooks.
async fn busy(parts: &Parts) {
    let settings = ScraperSettings {
        description: "Development applications of the Bega Valley Shire".into(),
        schedule: Some("daily".into()),
        ..ScraperSettings::default()
    };
    let id = add(parts, "ada/bega", settings).await;
    let registry = parts.runner.registry();
    for event in [Event::Finished, Event::Failed] {
        let url = format!("https://hooks.example.gov/{event:?}?what=SCRAPER&how=OUTCOME");
        registry
            .add_webhook(&id, &url, vec![event], before(900))
            .await
            .unwrap();
    }
    for number in 0..30 {
        let at = before(24 * (31 - number));
        let working = Working::start(parts, &id, Cause::Schedule, at).await;
        let last = number == 29;
        for line in 0..if last { 2_500 } else { 3 } {
            working.say(Stream::Stdout, &format!("page {line}: 20 applications"));
        }
        say_all(&working);
        let end = match number {
            11 => ending(
                Outcome::Failed,
                "the program ended with exit code 1; its log says why",
                [0; 3],
            ),
            20 => ending(Outcome::Succeeded, "it succeeded", [0; 3]),
            _ => ending(
                Outcome::Succeeded,
                "it succeeded",
                [number * 3, number % 5, number % 3],
            ),
        };
        working
            .end(
                parts,
                with_domains(end, number),
                at.after(Duration::from_secs(83)),
            )
            .await;
    }
    for rows in [20, 40] {
        fill(parts, &id, rows).await;
    }
    for name in ["MORPH_TOKEN", "MORPH_API_KEY_OF_THE_COUNCIL"] {
        let name = SecretName::new(name).unwrap();
        registry
            .set_secret(&id, &name, Secret::new("sesame, open"))
            .await
            .unwrap();
    }
}

/// A line of every stream, and lines that are odd.
fn say_all(working: &Working) {
    working.say(Stream::InternalOut, "haul: Running python -u scraper.py");
    working.say(Stream::Stdout, HOSTILE);
    working.say(Stream::Stderr, "scraper.py:12: DeprecationWarning: this goes");
    working.say(Stream::Stdout, "    indented\tand with a tab");
    working.say(
        Stream::Stdout,
        &"https://datracker.example.gov/a-long-address-without-a-space/".repeat(6),
    );
    working.say(
        Stream::InternalErr,
        "haul: the log is full; what follows is left out",
    );
}

fn with_domains(mut ending: Ending, hour: u64) -> Ending {
    let names = (0..9).map(|number| format!("server-{number}.datracker.example.gov"));
    let odd = "a-name-that-is-so-long-that-no-telephone-can-show-it-on-one-line.development-applications.example.gov";
    let names = names.chain([odd.to_owned()]);
    ending.domains = names
        .enumerate()
        .map(|(at, host)| Domain {
            host,
            connections: 12 * (at as u64 + 1),
            refused: u64::from(at == 3),
            bytes_in: 1_234_567 * hour,
            bytes_out: 12_345,
            first_at: before(900),
            last_at: before(24),
        })
        .collect();
    ending
}

/// One that is paused after failures.
async fn troubled(parts: &Parts) {
    let settings = ScraperSettings {
        description: "Grants of a department whose site changes every week".into(),
        schedule: Some("every 6h".into()),
        pause_after_failures: 4,
        ..ScraperSettings::default()
    };
    let id = add(parts, "bob/grants", settings).await;
    let messages = [
        (
            Outcome::BuildFailed,
            "the dependencies could not be installed; the log says why",
        ),
        (
            Outcome::TimedOut,
            "it ran longer than 24 h; make it quicker, or allow it more time",
        ),
        (
            Outcome::NoData,
            "it left no data.sqlite; write one into the folder where it starts",
        ),
        (
            Outcome::OutOfMemory,
            "it needed more than its 512 MiB of memory; allow it more, or keep less at a time",
        ),
    ];
    for (number, (outcome, message)) in messages.into_iter().enumerate() {
        let at = before(60 - number as u64 * 6);
        let working = Working::start(parts, &id, Cause::Schedule, at).await;
        say_all(&working);
        working
            .end(
                parts,
                ending(outcome, message, [0; 3]),
                at.after(Duration::from_secs(83)),
            )
            .await;
    }
}
