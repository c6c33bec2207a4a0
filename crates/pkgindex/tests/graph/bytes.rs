//! Any bytes, for `PKGINDEX_FUZZ_SECONDS` (default: 3): lines of the protocol with something done to them, against the model.

use std::time::{Duration, Instant};

use pkgindex::Cycles;
use pkgindex::testkit::model::Model;
use pkgindex::testkit::random::Random;

use crate::{now, opened};

const NAMES: [&str; 5] = ["a", "b", "@scope/name", "..", "libsigc++"];

/// A line, most often with something done to it.
fn line(random: &mut Random) -> Vec<u8> {
    let mut line = random.line(&NAMES).into_bytes();
    for _ in 0..random.below(3) {
        let at = random.below(line.len());
        match random.below(6) {
            0 => line[at] = random.number().to_le_bytes()[0],
            1 => drop(line.remove(at)),
            2 => line.insert(at, *random.pick(b"|,\r\0 \t\x7f\xffaA").unwrap()),
            3 => line.truncate(at),
            4 => line.extend_from_within(at..),
            _ => line.splice(at..at, vec![b'x'; random.below(300)]).for_each(drop),
        }
        if line.is_empty() {
            break;
        }
    }
    line.push(b'\n');
    line
}

#[test]
fn any_bytes_are_answered_as_the_model_answers_them() {
    let seconds = std::env::var("PKGINDEX_FUZZ_SECONDS").map_or(3, |seconds| seconds.parse().unwrap());
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut seed = 0;
    while Instant::now() < end {
        seed += 1;
        let mut random = Random::new(seed);
        let cycles = *random
            .pick(&[Cycles::Literal, Cycles::Reject, Cycles::Report])
            .unwrap();
        let (index, mut model) = (opened(cycles), Model::new());
        for _ in 0..50 {
            let bytes: Vec<u8> = (0..1 + random.below(10))
                .flat_map(|_| line(&mut random))
                .collect();
            let mut answers = Vec::new();
            now(index.lines(&bytes, &mut answers)).unwrap();
            let expected = model.stream(&bytes, cycles, 1 << 20);
            assert_eq!(
                answers.escape_ascii().to_string(),
                expected.escape_ascii().to_string(),
                "seed {seed}, {}",
                bytes.escape_ascii()
            );
        }
    }
}
