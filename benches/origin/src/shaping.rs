//! How slow the answers are.

use crate::draw::Draw;
use crate::quantity::{QuantityError, duration};
use std::str::FromStr;
use std::time::Duration;

/// No drawn delay is longer.
const MAX_DELAY: Duration = Duration::from_secs(3600);

/// Delays and rates of a bucket.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shaping {
    /// From the request to the first byte of its answer.
    pub first_byte: Delay,
    /// A fraction (0 to 1) of the requests has another delay.
    pub slow: Option<(f64, Delay)>,
    /// Bytes per second of one connection (`SO_MAX_PACING_RATE`, which the kernel keeps on loopback too).
    pub rate: Option<u64>,
    /// From the request to the first byte of a page of a list.
    pub list_page: Delay,
}

/// A distribution of delays.
#[derive(Debug, Clone, PartialEq)]
pub enum Delay {
    /// Always the same.
    Constant(Duration),
    /// Anything between the two.
    Uniform(Duration, Duration),
    /// Half are longer than the median; `sigma` is the standard deviation of the logarithm (0.5 is a usual network).
    LogNormal {
        /// The median.
        median: Duration,
        /// The standard deviation of the natural logarithm.
        sigma: f64,
    },
    /// One of those measured; an empty list is no delay.
    OneOf(Vec<Duration>),
}

impl Delay {
    /// No delay.
    pub const NONE: Self = Self::Constant(Duration::ZERO);

    /// Whether two requests may have different delays.
    pub(crate) fn is_drawn(&self) -> bool {
        !matches!(self, Self::Constant(_))
    }

    pub(crate) fn draw(&self, draw: &mut Draw) -> Duration {
        let drawn = match self {
            Self::Constant(delay) => *delay,
            Self::Uniform(from, to) => *from + to.saturating_sub(*from).mul_f64(draw.unit()),
            Self::LogNormal { median, sigma } => scaled(*median, (sigma * draw.normal()).exp()),
            Self::OneOf(delays) if delays.is_empty() => Duration::ZERO,
            Self::OneOf(delays) => delays[draw.below(delays.len() as u64) as usize],
        };
        drawn.min(MAX_DELAY)
    }
}

fn scaled(median: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(median.as_secs_f64() * factor).unwrap_or(MAX_DELAY)
}

impl Default for Delay {
    fn default() -> Self {
        Self::NONE
    }
}

/// `30ms`, `10ms..50ms`, `lognormal:30ms:0.5` or `oneof:10ms,20ms,2s`.
impl FromStr for Delay {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        if let Some(parameters) = text.strip_prefix("lognormal:") {
            let (median, sigma) = parameters
                .split_once(':')
                .ok_or_else(|| QuantityError::delay(text))?;
            let sigma = sigma.parse().map_err(|_| QuantityError::delay(text))?;
            let median = duration(median)?;
            return Ok(Self::LogNormal { median, sigma });
        }
        if let Some(delays) = text.strip_prefix("oneof:") {
            return Ok(Self::OneOf(
                delays.split(',').map(duration).collect::<Result<_, _>>()?,
            ));
        }
        if let Some((from, to)) = text.split_once("..") {
            return Ok(Self::Uniform(duration(from)?, duration(to)?));
        }
        Ok(Self::Constant(duration(text)?))
    }
}
