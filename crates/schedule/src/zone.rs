//! Where clocks hang.

use std::fmt;

use jiff::tz::TimeZone;

/// A time zone and its name.
#[derive(Clone, Debug)]
pub(crate) struct Zone {
    /// None is UTC.
    name: Option<String>,
    zone: TimeZone,
}

impl Zone {
    pub(crate) fn utc() -> Self {
        let zone = TimeZone::UTC;
        Self { name: None, zone }
    }

    pub(crate) fn parse(name: &str) -> Result<Self, String> {
        if name.eq_ignore_ascii_case("UTC") {
            return Ok(Self::utc());
        }
        let zone = TimeZone::get(name)
            .map_err(|_| format!("there is no time zone {name:?}; write one such as Europe/Oslo"))?;
        let name = Some(name.to_owned());
        Ok(Self { name, zone })
    }

    pub(crate) fn zone(&self) -> &TimeZone {
        &self.zone
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// Behind other words.
impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, " {name}"),
            None => Ok(()),
        }
    }
}
