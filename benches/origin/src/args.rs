//! The command line.

use clap::Parser;
use origin::{
    Checksum, Config, Delay, Duplicates, Effect, Fault, Faults, Object, QuantityError, Rule, Shaping,
    duration, rate, size,
};
use std::net::SocketAddr;
use std::time::Duration;

/// A read-only S3 subset on loopback, with delays and faults.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Args {
    /// Address to listen on; may be given several times.
    #[arg(long, default_value = "127.0.0.1:9000")]
    listen: Vec<SocketAddr>,
    /// An object: BUCKET/KEY=SIZE.
    #[arg(long, value_parser = placed::<u64>)]
    object: Vec<(Place, u64)>,
    /// Many objects of one size, PREFIX/00000000 and on: BUCKET/PREFIX=COUNTxSIZE.
    #[arg(long, value_parser = placed::<Many>)]
    files: Vec<(Place, Many)>,
    /// Many keys of small objects, PREFIX/00000000 and on: BUCKET/PREFIX=COUNT.
    #[arg(long, value_parser = placed::<u64>)]
    keys: Vec<(Place, u64)>,
    /// Time to the first byte: 30ms, 10ms..50ms, lognormal:30ms:0.5 or oneof:10ms,2s.
    #[arg(long, default_value = "0s")]
    ttfb: Delay,
    /// A fraction of the requests has another time to the first byte: FRACTION:DELAY.
    #[arg(long, value_parser = slow)]
    slow: Option<(f64, Delay)>,
    /// Bytes per second of one connection: 60MB/s.
    #[arg(long, value_parser = rate)]
    rate: Option<u64>,
    /// Time to the first byte of a page of a list.
    #[arg(long, default_value = "0s")]
    list_latency: Delay,
    /// How long a new connection waits before its first request is read.
    #[arg(long, default_value = "0s", value_parser = duration)]
    accept_delay: Duration,
    /// The only access key that is let in.
    #[arg(long)]
    access_key: Option<String>,
    /// The checksum that objects declare: crc64nvme, crc32c or crc32.
    #[arg(long, value_parser = checksum)]
    checksum: Option<Checksum>,
    /// Decides contents and faults.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Probabilities of faults: reset=0.01,slow-down=0.02.
    #[arg(long, value_parser = probability, value_delimiter = ',')]
    faults: Vec<(Fault, f64)>,
    /// One range of one object meets at most so many faults.
    #[arg(long)]
    max_faults: Option<u32>,
    /// How long a stall lasts; without it, until the client closes.
    #[arg(long, value_parser = duration)]
    stall: Option<Duration>,
    /// The seconds that a SlowDown tells in Retry-After.
    #[arg(long)]
    retry_after: Option<u64>,
    /// Lists meet faults too.
    #[arg(long)]
    list_faults: bool,
    /// An effect for particular requests: KEY[@FROM-TO][#NTH]=EFFECT[,EFFECT]; the key may end in `*`, an effect is
    /// delay:TIME, rate:RATE or FAULT[:AFTER_BYTES].
    #[arg(long, value_parser = rule)]
    rule: Vec<Rule>,
    /// Count the bytes that were sent more than once.
    #[arg(long)]
    count_duplicates: bool,
}

/// A bucket and a key, or the beginning of keys.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    bucket: String,
    key: String,
}

/// `COUNTxSIZE`.
#[derive(Debug, Clone)]
struct Many {
    count: u64,
    size: u64,
}

/// An argument that cannot be read.
#[derive(Debug, thiserror::Error)]
enum ArgumentError {
    #[error("write it like {0}")]
    Form(&'static str),
    #[error(transparent)]
    Quantity(#[from] QuantityError),
    #[error(transparent)]
    Fault(#[from] origin::UnknownFault),
}

impl Args {
    pub(crate) fn config(&self) -> Config {
        Config {
            listen: self.listen.clone(),
            access_key: self.access_key.clone(),
            accept_delay: self.accept_delay,
            duplicates: if self.count_duplicates {
                Duplicates::Counted
            } else {
                Duplicates::Ignored
            },
            shaping: Shaping {
                first_byte: self.ttfb.clone(),
                slow: self.slow.clone(),
                rate: self.rate,
                list_page: self.list_latency.clone(),
            },
            faults: self.faults(),
            rules: self.rule.clone(),
            ..Config::default()
        }
    }

    fn faults(&self) -> Faults {
        let faults = Faults {
            seed: self.seed,
            stall: self.stall,
            retry_after_s: self.retry_after,
            max_per_range: self.max_faults.unwrap_or(u32::MAX),
            lists: self.list_faults,
            ..Faults::none()
        };
        self.faults.iter().fold(faults, |faults, (fault, probability)| {
            faults.with(*fault, *probability)
        })
    }

    /// What to put, by bucket.
    pub(crate) fn objects(
        &self,
    ) -> impl Iterator<Item = (String, Box<dyn Iterator<Item = (String, Object)> + '_>)> {
        let single = self.object.iter().zip(0..).map(|((place, size), number)| {
            let object = self.make(number, *size);
            let one: Box<dyn Iterator<Item = _>> = Box::new(std::iter::once((place.key.clone(), object)));
            (place.bucket.clone(), one)
        });
        let files = self
            .files
            .iter()
            .map(|(place, many)| self.numbered(place, many.count, |_| many.size));
        let keys = self
            .keys
            .iter()
            .map(|(place, count)| self.numbered(place, *count, |number| number % 4096));
        single.chain(files).chain(keys)
    }

    fn numbered<'a>(
        &'a self,
        place: &'a Place,
        count: u64,
        size: impl Fn(u64) -> u64 + 'a,
    ) -> (String, Box<dyn Iterator<Item = (String, Object)> + 'a>) {
        let slash = if place.key.is_empty() { "" } else { "/" };
        let object = move |number| {
            (
                format!("{}{slash}{number:08}", place.key),
                self.make(number, size(number)),
            )
        };
        (place.bucket.clone(), Box::new((0..count).map(object)))
    }

    fn make(&self, number: u64, size: u64) -> Object {
        let object = Object::new(self.seed.wrapping_add(number), size);
        match self.checksum {
            Some(algorithm) => object.with_checksum(algorithm),
            None => object,
        }
    }
}

/// What stands after the equals sign of a [`Place`].
trait Value: Sized {
    fn read(text: &str) -> Result<Self, ArgumentError>;
}

impl Value for u64 {
    fn read(text: &str) -> Result<Self, ArgumentError> {
        Ok(size(text)?)
    }
}

impl Value for Many {
    fn read(text: &str) -> Result<Self, ArgumentError> {
        let (count, each) = text
            .split_once('x')
            .ok_or(ArgumentError::Form("BUCKET/PREFIX=5000x64KiB"))?;
        Ok(Self {
            count: size(count)?,
            size: size(each)?,
        })
    }
}

fn placed<T: Value>(text: &str) -> Result<(Place, T), ArgumentError> {
    let form = ArgumentError::Form("BUCKET/KEY=SIZE");
    let Some((place, value)) = text.rsplit_once('=') else {
        return Err(form);
    };
    let (bucket, key) = place.split_once('/').unwrap_or((place, ""));
    let place = Place {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
    };
    Ok((place, T::read(value)?))
}

fn slow(text: &str) -> Result<(f64, Delay), ArgumentError> {
    let (fraction, delay) = text.split_once(':').ok_or(ArgumentError::Form("0.01:2s"))?;
    Ok((unit(fraction)?, delay.parse()?))
}

fn probability(text: &str) -> Result<(Fault, f64), ArgumentError> {
    let (fault, probability) = text.split_once('=').ok_or(ArgumentError::Form("reset=0.01"))?;
    Ok((fault.parse()?, unit(probability)?))
}

fn unit(text: &str) -> Result<f64, ArgumentError> {
    let number = text.parse().ok().filter(|number| (0.0..=1.0).contains(number));
    number.ok_or(ArgumentError::Form("a number from 0 to 1"))
}

fn checksum(text: &str) -> Result<Checksum, ArgumentError> {
    let all = [Checksum::Crc64Nvme, Checksum::Crc32c, Checksum::Crc32];
    let known = all.into_iter().find(|checksum| checksum.name() == text);
    known.ok_or(ArgumentError::Form("crc64nvme, crc32c or crc32"))
}

fn rule(text: &str) -> Result<Rule, ArgumentError> {
    const FORM: ArgumentError = ArgumentError::Form("KEY@0-8MiB#1=delay:2s,rate:1MB/s");
    let (requests, effects) = text.rsplit_once('=').ok_or(FORM)?;
    let (place, nth) = match requests.rsplit_once('#') {
        Some((place, nth)) => (place, Some(nth.parse().map_err(|_| FORM)?)),
        None => (requests, None),
    };
    let (keys, offsets) = match place.rsplit_once('@') {
        Some((keys, offsets)) => (keys, Some(offsets.split_once('-').ok_or(FORM)?)),
        None => (place, None),
    };
    let mut rule = Rule::new(keys, effect(effects)?);
    if let Some((from, to)) = offsets {
        rule = rule.at(size(from)?..size(to)?);
    }
    Ok(match nth {
        Some(nth) => rule.nth(nth),
        None => rule,
    })
}

fn effect(text: &str) -> Result<Effect, ArgumentError> {
    let mut effect = Effect::default();
    for part in text.split(',') {
        match part.split_once(':').unwrap_or((part, "")) {
            ("delay", delay) => effect.delay = Some(duration(delay)?),
            ("rate", bytes) => effect.rate = Some(rate(bytes)?),
            (fault, "") => effect.fault = Some(fault.parse()?),
            (fault, after) => {
                effect.fault = Some(fault.parse()?);
                effect.after_bytes = Some(size(after)?);
            }
        }
    }
    Ok(effect)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_rule(text: &str, expected: &Rule) {
        assert_eq!(&rule(text).unwrap(), expected, "{text}");
    }

    #[test]
    fn a_rule_is_keys_then_offsets_then_number_then_effects() {
        check_rule(
            "a*=delay:2s",
            &Rule::new("a*", Effect::delay(Duration::from_secs(2))),
        );
        check_rule(
            "a/b@0-8MiB=rate:1MB/s",
            &Rule::new("a/b", Effect::rate(1_000_000)).at(0..8 << 20),
        );
        check_rule(
            "a=b#2=reset:100",
            &Rule::new("a=b", Effect::fault(Fault::Reset, 100)).nth(2),
        );
        assert!(rule("a=melt").is_err());
        assert!(rule("a#x=reset").is_err());
    }

    #[test]
    fn the_example_of_the_readme_is_understood() {
        let line = "origin --listen 127.0.0.1:0 --object b/one=1GiB --files b/small=5000x64KiB --keys b/many=200000 \
                    --ttfb lognormal:30ms:0.5 --slow 0.01:2s --rate 60MB/s --list-latency 50ms --checksum crc64nvme \
                    --faults reset=0.01,slow-down=0.02 --max-faults 2 --rule one@0-8MiB#1=delay:2s,rate:1MB/s";
        let args = Args::try_parse_from(line.split_whitespace()).unwrap();
        let counts: Vec<usize> = args.objects().map(|(_, objects)| objects.count()).collect();
        assert_eq!(counts, [1, 5000, 200_000]);
        assert_eq!(args.config().faults.probability(Fault::SlowDown), 0.02);
        assert_eq!(args.config().shaping.rate, Some(60_000_000));
    }
}
