//! Slow answers.

use crate::client::get;
use origin::{Config, Delay, Effect, Object, Origin, Rule, Shaping};
use std::time::{Duration, Instant};

fn time(origin: &Origin, path: &str) -> Duration {
    let begin = Instant::now();
    assert_eq!(get(origin, path, None).status, 200);
    begin.elapsed()
}

fn start(shaping: Shaping) -> Origin {
    let origin = Origin::start(Config {
        shaping,
        ..Config::default()
    })
    .unwrap();
    origin.put("b", "o", Object::new(7, 2_000_000));
    origin
}

const SHORT: Duration = Duration::from_millis(40);

#[test]
fn first_bytes_and_pages_wait() {
    let constant = Delay::Constant(SHORT);
    let origin = start(Shaping {
        first_byte: constant.clone(),
        ..Shaping::default()
    });
    assert!(time(&origin, "/b/o") >= SHORT);
    let origin = start(Shaping {
        list_page: constant.clone(),
        ..Shaping::default()
    });
    assert!(time(&origin, "/b?list-type=2") >= SHORT);
    let origin = start(Shaping {
        slow: Some((1.0, constant)),
        ..Shaping::default()
    });
    assert!(time(&origin, "/b/o") >= SHORT);
    let origin = Origin::start(Config {
        accept_delay: SHORT,
        ..Config::default()
    })
    .unwrap();
    origin.create_bucket("b");
    assert!(time(&origin, "/b?list-type=2") >= SHORT);
}

#[test]
fn a_connection_keeps_its_rate() {
    let origin = start(Shaping {
        rate: Some(10_000_000),
        ..Shaping::default()
    });
    let elapsed = time(&origin, "/b/o");
    assert!(
        elapsed >= Duration::from_millis(100),
        "2 MB at 10 MB/s took {elapsed:?}"
    );
}

#[test]
fn a_rule_slows_particular_requests() {
    let origin = start(Shaping::default());
    origin.set_rules(
        "b",
        vec![
            Rule::new("o", Effect::delay(SHORT)).nth(2),
            Rule::new("o", Effect::rate(10_000_000)),
        ],
    );
    assert!(time(&origin, "/b/o") >= Duration::from_millis(100));
    let second = time(&origin, "/b/o");
    assert!(second >= SHORT && second < Duration::from_secs(5), "{second:?}");
}

#[test]
fn distributions_are_read_as_they_are_written() {
    let ms = Duration::from_millis;
    let check = |text: &str, expected: Delay| assert_eq!(text.parse(), Ok(expected), "{text}");
    check("30ms", Delay::Constant(ms(30)));
    check("10ms..1.5s", Delay::Uniform(ms(10), ms(1500)));
    check(
        "lognormal:30ms:0.5",
        Delay::LogNormal {
            median: ms(30),
            sigma: 0.5,
        },
    );
    check("oneof:10ms,2s", Delay::OneOf(vec![ms(10), ms(2000)]));
    for nonsense in ["", "fast", "-3s", "lognormal:30ms", "10ms..", "oneof:"] {
        assert!(nonsense.parse::<Delay>().is_err(), "{nonsense}");
    }
}

#[test]
fn sizes_are_read_as_they_are_written() {
    let check = |text: &str, expected| assert_eq!(origin::size(text), Ok(expected), "{text}");
    check("65536", 65_536);
    check("64KiB", 65_536);
    check("1.5GB", 1_500_000_000);
    check("0", 0);
    for nonsense in ["", "big", "-1", "1XB", "99999999999GiB"] {
        assert!(origin::size(nonsense).is_err(), "{nonsense}");
    }
    assert_eq!(origin::rate("60MB/s"), Ok(60_000_000));
}
