//! A stable minute of a part of the day, each day, week or month.

use std::fmt;

use jiff::Timestamp as Instant;
use jiff::ToSpan;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use model::Timestamp;

use crate::every::stable_hash;
use crate::zone::Zone;

const ADVICE: &str =
    "write such as daily between 01:00 and 05:00 Europe/Oslo, weekly on monday, or monthly on 15";
const DAY: u32 = 24 * 60;
/// Days of a month that every month has.
const COMMON_DAYS: u64 = 28;
/// Looking back: a minute of a window is up to 48 hours after the beginning of its day.
const DAYS_BACK: i64 = 2;
/// Two months, and what was looked back.
const DAYS_AHEAD: i64 = 64;

/// When, and where its clocks hang.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Window {
    days: Days,
    from: Minute,
    /// After `from`, by the clock that goes round.
    to: Minute,
    zone: Zone,
}

/// The days on which it happens; without a day, the name decides.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Days {
    All,
    Weekly(Option<Weekday>),
    /// In a month without this day, its last.
    Monthly(Option<i8>),
}

/// Of the day, 0 to 1440.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Minute(u32);

impl Window {
    /// Reads the words from `daily`, `weekly` or `monthly` on.
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        let (days, words) = Days::parse(words)?;
        let (from, to, words) = match words {
            ["between", from, "and", to, rest @ ..] => (Minute::parse(from)?, Minute::parse(to)?, rest),
            rest => (Minute(0), Minute(DAY), rest),
        };
        if from == to || from == Minute(DAY) {
            return Err(
                "write a window that begins before it ends, such as between 22:00 and 04:00".to_owned(),
            );
        }
        let zone = match words {
            [] => Zone::utc(),
            [zone] => Zone::parse(zone)?,
            _ => return Err(ADVICE.to_owned()),
        };
        Ok(Self { days, from, to, zone })
    }

    pub(crate) fn next_after(&self, name: &str, last: Timestamp) -> Option<Timestamp> {
        let millis = i64::try_from(last.as_millis()).ok()?;
        let zone = self.zone.zone();
        let today = Instant::from_millisecond(millis)
            .ok()?
            .to_zoned(zone.clone())
            .date();
        let hash = stable_hash(name);
        (-DAYS_BACK..DAYS_AHEAD)
            .filter_map(|days| today.checked_add(days.days()).ok())
            .filter(|date| self.days.has(*date, hash))
            .filter_map(|date| self.moment(date, hash, zone))
            .find(|moment| *moment > last)
    }

    /// The minute of the window that begins on this day. One that clocks skip is moved on by what they skip, and of two it is the first.
    fn moment(&self, date: Date, hash: u64, zone: &TimeZone) -> Option<Timestamp> {
        let length = (DAY + self.to.0 - self.from.0 - 1) % DAY + 1;
        let offset = hash % u64::from(length);
        let minutes = i64::from(self.from.0).checked_add(i64::try_from(offset).ok()?)?;
        let time = date.at(0, 0, 0, 0).checked_add(minutes.minutes()).ok()?;
        let moment = zone.to_ambiguous_zoned(time).compatible().ok()?;
        let millis = u64::try_from(moment.timestamp().as_millisecond()).ok()?;
        Some(Timestamp::from_millis(millis))
    }
}

impl Days {
    fn parse<'a, 'b>(words: &'a [&'b str]) -> Result<(Self, &'a [&'b str]), String> {
        match words {
            ["weekly", "on", day, rest @ ..] => Ok((Self::Weekly(Some(weekday(day)?)), rest)),
            ["monthly", "on", day, rest @ ..] => Ok((Self::Monthly(Some(day_of_month(day)?)), rest)),
            ["daily", rest @ ..] => Ok((Self::All, rest)),
            ["weekly", rest @ ..] => Ok((Self::Weekly(None), rest)),
            ["monthly", rest @ ..] => Ok((Self::Monthly(None), rest)),
            _ => Err(ADVICE.to_owned()),
        }
    }

    fn has(self, date: Date, hash: u64) -> bool {
        // The lower half of the hash chose the minute.
        let share = |days: u64| (hash >> 32) % days;
        let is_day = |number: i8, share: u64| u64::try_from(number).is_ok_and(|number| number == share);
        match self {
            Self::All => true,
            Self::Weekly(Some(day)) => date.weekday() == day,
            Self::Weekly(None) => is_day(date.weekday().to_monday_zero_offset(), share(7)),
            Self::Monthly(Some(day)) => date.day() == day.min(date.days_in_month()),
            Self::Monthly(None) => is_day(date.day(), share(COMMON_DAYS) + 1),
        }
    }
}

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

fn weekday(word: &str) -> Result<Weekday, String> {
    let found = WEEKDAYS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
    found
        .map(|(_, day)| *day)
        .ok_or_else(|| "write a day of the week, such as monday".to_owned())
}

fn day_of_month(word: &str) -> Result<i8, String> {
    word.parse()
        .ok()
        .filter(|day| (1..=31).contains(day) && !word.starts_with(['+', '0']))
        .ok_or_else(|| "write a day of the month from 1 to 31".to_owned())
}

impl Minute {
    fn parse(text: &str) -> Result<Self, String> {
        let two_digits = |text: &str| match text.as_bytes() {
            [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => {
                Some(u32::from(tens - b'0') * 10 + u32::from(ones - b'0'))
            }
            _ => None,
        };
        let parts = text.split_once(':');
        let parts = parts.and_then(|(hour, minute)| Some((two_digits(hour)?, two_digits(minute)?)));
        parts
            .filter(|(hour, minute)| *minute < 60 && hour * 60 + minute <= DAY)
            .map(|(hour, minute)| Self(hour * 60 + minute))
            .ok_or_else(|| "write times of day from 00:00 to 24:00".to_owned())
    }
}

impl fmt::Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |day: &Weekday| {
            WEEKDAYS
                .iter()
                .find(|(_, known)| known == day)
                .map_or("", |(word, _)| *word)
        };
        match self {
            Self::All => f.write_str("daily"),
            Self::Weekly(None) => f.write_str("weekly"),
            Self::Weekly(Some(day)) => write!(f, "weekly on {}", word(day)),
            Self::Monthly(None) => f.write_str("monthly"),
            Self::Monthly(Some(day)) => write!(f, "monthly on {day}"),
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.days.fmt(f)?;
        // Alone, these two words are intervals.
        let is_interval = matches!(self.days, Days::All | Days::Weekly(None)) && self.zone == Zone::utc();
        if is_interval || (self.from, self.to) != (Minute(0), Minute(DAY)) {
            write!(f, " between {} and {}", self.from, self.to)?;
        }
        self.zone.fmt(f)
    }
}
