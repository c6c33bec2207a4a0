use std::str::FromStr;

use crate::error::{Error, ErrorKind};

const DAY_MINUTES: u32 = 24 * 60;

/// Rates by time of day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    periods: Vec<Period>,
    otherwise: Option<u64>,
}

/// Minutes since midnight; around midnight where the end comes first, all day where they are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Period {
    from: u32,
    to: u32,
    rate: Option<u64>,
}

impl Schedule {
    /// The same rate all day, in bytes per second; none is no limit.
    pub fn constant(bytes_per_second: Option<u64>) -> Self {
        Self {
            periods: Vec::new(),
            otherwise: bytes_per_second,
        }
    }

    /// The rate in bytes per second at a minute since midnight; none is no limit. The first period that holds it
    /// counts.
    pub fn at(&self, minute: u32) -> Option<u64> {
        let period = self.periods.iter().find(|period| period.holds(minute));
        period.map_or(self.otherwise, |period| period.rate)
    }
}

impl Period {
    fn holds(&self, minute: u32) -> bool {
        if self.from < self.to {
            return (self.from..self.to).contains(&minute);
        }
        minute >= self.from || minute < self.to
    }
}

/// Reads `RATE` or `HH:MM-HH:MM RATE, ..., RATE`, such as `08:00-18:00 10MB/s, 50MB/s`; the rate without a time holds
/// at all others, which have no limit without it. A rate is a number with `B`, `kB`, `MB`, `GB` (powers of 1000), `KiB`,
/// `MiB`, `GiB` (of 1024) or `kbit`, `Mbit`, `Gbit`, each with `/s` or without, or `unlimited`.
impl FromStr for Schedule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut schedule = Self::default();
        let mut ended = false;
        for part in text.split([',', ';']).map(str::trim) {
            if ended {
                return Err(invalid(text, "the rate without a time comes last"));
            }
            match part.split_once(char::is_whitespace) {
                Some((period, rate)) if period.contains(':') => {
                    schedule.periods.push(parse_period(period, rate.trim())?);
                }
                _ => {
                    schedule.otherwise = parse_rate(part)?;
                    ended = true;
                }
            }
        }
        Ok(schedule)
    }
}

fn parse_period(period: &str, rate: &str) -> Result<Period, Error> {
    let times = period.split_once('-');
    let times = times.and_then(|(from, to)| Some((parse_time(from)?, parse_time(to)?)));
    let (from, to) = times.ok_or_else(|| invalid(period, "write 08:00-18:00"))?;
    let (from, to) = (from % DAY_MINUTES, to % DAY_MINUTES);
    let rate = parse_rate(rate)?;
    Ok(Period { from, to, rate })
}

/// Minutes since midnight; 24:00 is one, too.
fn parse_time(text: &str) -> Option<u32> {
    let (hours, minutes) = text.split_once(':')?;
    let digits = |text: &str, most| text.parse::<u32>().ok().filter(|value| *value <= most);
    let minute = digits(hours, 24)? * 60 + digits(minutes, 59)?;
    Some(minute).filter(|minute| *minute <= DAY_MINUTES)
}

fn parse_rate(text: &str) -> Result<Option<u64>, Error> {
    let rate = text.trim_end_matches("/s").trim_end();
    if ["unlimited", "off"].contains(&rate) {
        return Ok(None);
    }
    let split = rate.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = rate.split_at(split.unwrap_or(rate.len()));
    let number: Option<f64> = number.parse().ok();
    let bytes = number.zip(unit_bytes(unit.trim()));
    let bytes = bytes
        .map(|(number, unit)| number * unit)
        .filter(|rate| *rate >= 1.0);
    match bytes {
        Some(bytes) => Ok(Some(bytes as u64)),
        None => Err(invalid(
            text,
            "write 500kB/s, 10MB/s, 1.5GiB/s, 100Mbit/s or unlimited",
        )),
    }
}

fn unit_bytes(unit: &str) -> Option<f64> {
    let bytes = match unit {
        "" | "B" => 1.0,
        "k" | "K" | "kB" | "KB" => 1e3,
        "M" | "MB" => 1e6,
        "G" | "GB" => 1e9,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        "kbit" => 1e3 / 8.0,
        "Mbit" => 1e6 / 8.0,
        "Gbit" => 1e9 / 8.0,
        _ => return None,
    };
    Some(bytes)
}

fn invalid(text: &str, advice: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("{text:?} is no rate: {advice}"))
}
