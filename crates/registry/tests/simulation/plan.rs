//! What there is: scrapers, owners, capacity.

use model::{ScraperId, Timestamp};
use registry::{Capacity, Missed, NewScraper, Origin, Overlap, ScraperSettings};

use crate::dice::Dice;

/// 2026-01-01T00:00:00Z.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);
pub(crate) const HOUR: u64 = 3_600_000;
pub(crate) const DAY: u64 = 24 * HOUR;
/// When more is asked for than there is capacity.
pub(crate) const OVERLOAD: std::ops::Range<u64> = 8 * HOUR..9 * HOUR;
/// Owners; the first has half of all scrapers.
pub(crate) const OWNERS: u64 = 8;
/// Of all capacity, on an ordinary hour.
const LOAD: f64 = 0.55;
/// Before and after a program runs.
pub(crate) const AROUND_MS: u64 = 4_000;
const SLOTS: u32 = 4;

pub(crate) struct Job {
    pub(crate) id: ScraperId,
    /// How long its program runs, in seconds, on average.
    pub(crate) seconds: f64,
    pub(crate) settings: ScraperSettings,
    /// Whom it talks to, with seven others.
    pub(crate) host: String,
}

pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) jobs: Vec<Job>,
    pub(crate) workers: usize,
    pub(crate) capacity: Capacity,
    /// Runs a second that all workers together can make.
    pub(crate) rate: f64,
}

impl Plan {
    pub(crate) fn new(seed: u64, schedules: u64) -> Self {
        let mut dice = Dice::new(seed);
        let jobs: Vec<(Job, f64)> = (0..schedules)
            .map(|number| job(number, schedules, &mut dice))
            .collect();
        let runs: f64 = jobs.iter().map(|(_, runs_a_day)| runs_a_day).sum();
        let busy: f64 = jobs
            .iter()
            .map(|(job, runs_a_day)| runs_a_day * (job.seconds + AROUND_MS as f64 / 1_000.0))
            .sum();
        let slots = (busy / 86_400.0 / LOAD).ceil().max(2.0 * f64::from(SLOTS));
        let workers = (slots / f64::from(SLOTS)).ceil() as usize;
        Self {
            seed,
            jobs: jobs.into_iter().map(|(job, _)| job).collect(),
            workers,
            capacity: Capacity {
                memory_mib: 512 * u64::from(SLOTS),
                slots: SLOTS,
            },
            rate: (workers as f64 * f64::from(SLOTS)) / (busy / runs),
        }
    }

    pub(crate) fn new_scraper(job: &Job) -> NewScraper {
        NewScraper {
            id: job.id.clone(),
            origin: Origin::Folder {
                path: "/srv/scraper".into(),
            },
            settings: job.settings.clone(),
        }
    }
}

/// A scraper, and how often it runs in a day. Few of them run often, many seldom.
fn job(number: u64, schedules: u64, dice: &mut Dice) -> (Job, f64) {
    let owner = if dice.is(0.5) { 0 } else { dice.range(1, OWNERS) };
    let often = [
        ("every 30m", 48.0),
        ("every 1h", 24.0),
        ("cron 15 */2 * * * Europe/Oslo", 12.0),
        ("every 3h", 8.0),
    ];
    let seldom = [
        ("daily", 1.0),
        ("every 12h", 2.0),
        ("every 8h", 3.0),
        ("daily between 01:00 and 23:00 Europe/Oslo", 1.0),
    ];
    let choices = if schedules < 3_000 { often } else { seldom };
    let (schedule, runs_a_day) = choices[dice.range(0, 4) as usize];
    let mut settings = ScraperSettings {
        schedule: Some(schedule.to_owned()),
        overlap: [Overlap::Skip, Overlap::Queue, Overlap::Cancel][dice.range(0, 3) as usize],
        missed: [Missed::Skip, Missed::Once][dice.range(0, 2) as usize],
        pause_after_failures: 0,
        ..ScraperSettings::default()
    };
    // A few need half a worker or all of one.
    settings.limits.memory_mib = match dice.range(0, 100) {
        0 => 2_048,
        1..5 => 1_024,
        _ => 512,
    };
    let job = Job {
        id: format!("owner-{owner}/scraper-{number}").parse().unwrap(),
        seconds: 20.0 + 80.0 * dice.share(),
        settings,
        host: format!("site-{}.example", number / 8),
    };
    (job, runs_a_day)
}
