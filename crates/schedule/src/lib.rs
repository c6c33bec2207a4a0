//! When something that repeats happens next.
//!
//! A [`Schedule`] is read from a line that people write, and answers one question, [`Schedule::next_after`]. It keeps no
//! clock and no state: whoever asks says when the thing happened last.
//!
//! | text | means |
//! |---|---|
//! | `every 6h`, `every 30m` | an interval of seconds, minutes, hours, days (`d`) or weeks (`w`), from one second to 52 weeks |
//! | `hourly`, `daily`, `weekly` | `every 1h`, `every 1d`, `every 1w`; a day has 24 hours |
//! | `daily between 01:00 and 05:00 Europe/Oslo` | a minute of this window, each day, by the clocks of a place |
//! | `weekly on monday between 22:00 and 04:00` | the same once a week; the window begins on this day |
//! | `monthly`, `monthly on 15` | once a month, on this day or the last of a shorter month |
//! | `cron 0 3 * * *` | minute, hour, day of month, month, day of week, in UTC |
//! | `cron 0 3 * * * Europe/Oslo` | the same by the clocks of a place, named as in the IANA time zone database |
//!
//! Of a window's parts, day, times and place may be left out: `weekly between 08:00 and 10:00` has a day of its own for each name, `monthly
//! on 1` the whole day, and without a place it is UTC.
//!
//! # Intervals and windows
//!
//! *Thousands of things with one interval do not happen at once*: each has its place in the interval, which follows from
//! its name and never changes. They keep to it, whatever time each of them takes. Where something happened out of turn,
//! by hand, say, the next turn is left out if it is less than half an interval away.
//!
//! The same in windows: each name has its minute of the window, and its day of the week or of the month where none is written (from 1 to 28 in a
//! month). The last minute is the one before the window's end.
//!
//! # Clocks that are moved
//!
//! As in Vixie's cron: *a time of day that does not exist* (clocks went from 2:00 to 3:00, the schedule says 2:30) happens
//! at the first moment after it, *one that exists twice* happens the first time. Where the minute or the hour is a
//! wildcard or a step (`*`, `*/15`), it is elapsed time that counts: minutes that do not exist are left out, those that
//! exist twice count twice. A window's minute that does not exist is moved on by what the clocks skip.
//!
//! The time zones are those of the machine; where it has none, those that are built in.
//!
//! ```
//! use model::Timestamp;
//! use schedule::Schedule;
//!
//! let nightly = Schedule::parse("cron 0 3 * * * Europe/Oslo")?;
//! let now = Timestamp::from_millis(1_767_225_600_000); // 2026-01-01T00:00:00Z
//! let next = nightly.next_after("docs", now).ok_or("never")?;
//! assert_eq!(next.as_millis(), 1_767_232_800_000); // 02:00 in London is 03:00 in Oslo
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod every;
mod wall;
mod window;
mod zone;

use std::fmt;
use std::str::FromStr;

use model::Timestamp;

use crate::every::Every;
use crate::wall::Wall;
use crate::window::Window;

/// Bytes of a schedule's text at most.
pub const MAX_BYTES: usize = 200;

/// When something that repeats happens. Its text ([`Display`](fmt::Display)) means the same when it is read again.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule(Rule);

#[derive(Clone, Debug, PartialEq)]
enum Rule {
    Every(Every),
    Wall(Box<Wall>),
    Window(Window),
}

/// Why a text is no schedule, and what to write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a schedule: {reason}")]
pub struct InvalidSchedule {
    text: String,
    reason: String,
}

impl Schedule {
    /// Reads a schedule.
    ///
    /// # Errors
    ///
    /// When it is none of the forms above, its interval is too short or too long, its time zone is not known, or it
    /// would never happen (31 February).
    pub fn parse(text: &str) -> Result<Self, InvalidSchedule> {
        let rule = if text.len() > MAX_BYTES {
            Err(format!("write at most {MAX_BYTES} bytes"))
        } else {
            Rule::parse(text)
        };
        rule.map(Self).map_err(|reason| InvalidSchedule {
            text: text.chars().take(60).collect(),
            reason,
        })
    }

    /// When its next turn is after `now`, of all that [`Schedule::next_after`] knows; none where there is none. For what keeps to its turns, so that a late one
    /// does not cost the next.
    pub fn first_after(&self, name: &str, now: Timestamp) -> Option<Timestamp> {
        match &self.0 {
            Rule::Every(every) => Some(every.first_after(name, now)),
            Rule::Wall(_) | Rule::Window(_) => self.next_after(name, now),
        }
    }

    /// When it happens for the first time after it happened at `last`, but not before half an interval has passed: for what counts from when it was
    /// done. None where it never does again. `name` is what the schedule is for: its place in an interval or a window follows from it.
    pub fn next_after(&self, name: &str, last: Timestamp) -> Option<Timestamp> {
        match &self.0 {
            Rule::Every(every) => Some(every.next_after(name, last)),
            Rule::Wall(wall) => wall.next_after(last),
            Rule::Window(window) => window.next_after(name, last),
        }
    }
}

impl Rule {
    fn parse(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        match words.as_slice() {
            ["hourly"] => Every::parse("1h").map(Self::Every),
            ["daily"] => Every::parse("1d").map(Self::Every),
            ["weekly"] => Every::parse("1w").map(Self::Every),
            ["daily" | "weekly" | "monthly", ..] => Window::parse(&words).map(Self::Window),
            ["every", interval] => Every::parse(interval).map(Self::Every),
            ["cron", fields @ ..] => Wall::parse(fields).map(|wall| Self::Wall(Box::new(wall))),
            _ => Err(
                "write an interval such as every 6h, hourly or daily, a window such as daily between 01:00 and 05:00 \
                 Europe/Oslo, or cron 0 3 * * * Europe/Oslo"
                    .into(),
            ),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Rule::Every(every) => every.fmt(f),
            Rule::Wall(wall) => wall.fmt(f),
            Rule::Window(window) => window.fmt(f),
        }
    }
}

impl FromStr for Schedule {
    type Err = InvalidSchedule;

    fn from_str(text: &str) -> Result<Self, InvalidSchedule> {
        Self::parse(text)
    }
}
