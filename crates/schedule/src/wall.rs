//! Times of day, by the clocks of a place.

use std::fmt;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp as Instant;
use model::Timestamp;

use crate::zone::Zone;

/// Minute, hour, day of month, month, day of week.
const FIELDS: usize = 5;
const ADVICE: &str = "write minute, hour, day of month, month and day of week, such as cron 0 3 * * *";

/// A cron pattern and where its clocks hang.
#[derive(Clone, Debug)]
pub(crate) struct Wall {
    /// As written, with one space between two fields.
    pattern: String,
    cron: Cron,
    zone: Zone,
}

impl Wall {
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        let (fields, zone) = match words.len() {
            FIELDS => (words, None),
            _ => match words.split_last() {
                Some((zone, fields)) if fields.len() == FIELDS => (fields, Some(*zone)),
                _ => return Err(ADVICE.to_owned()),
            },
        };
        let pattern = fields.join(" ");
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        let cron = parser
            .parse(&pattern)
            .map_err(|error| format!("{ADVICE} ({error})"))?;
        let zone = zone.map_or_else(|| Ok(Zone::utc()), Zone::parse)?;
        let wall = Self { pattern, cron, zone };
        // A pattern without a year that happens at all happens again within eight years.
        match wall.next_after(Timestamp::default()) {
            Some(_) => Ok(wall),
            None => Err("there is no such day".to_owned()),
        }
    }

    pub(crate) fn next_after(&self, last: Timestamp) -> Option<Timestamp> {
        let last = i64::try_from(last.as_millis()).ok()?;
        let last = Instant::from_millisecond(last)
            .ok()?
            .to_zoned(self.zone.zone().clone());
        let next = self.cron.find_next_occurrence(&last, false).ok()?;
        let next = u64::try_from(next.timestamp().as_millisecond()).ok()?;
        Some(Timestamp::from_millis(next))
    }
}

impl PartialEq for Wall {
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern && self.zone == other.zone
    }
}

impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cron {}", self.pattern)?;
        self.zone.fmt(f)
    }
}
