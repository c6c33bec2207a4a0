use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::{meta, run};
use crate::entry::Entry;
use crate::hooks::{Decompress, DecompressBy, DecompressLimits, Hooks, Registry};
use crate::{Error, Location};

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn zstd(data: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn text(bytes: usize) -> Vec<u8> {
    (0..)
        .flat_map(|line| format!("line {line}\n").into_bytes())
        .take(bytes)
        .collect()
}

fn registry(by: DecompressBy, limits: DecompressLimits) -> Registry {
    run(Hooks::default().stateful(Decompress::new(by, limits)))
}

/// What comes out of `data` in pieces of `piece` bytes, under this key.
fn through(registry: &Registry, key: &str, data: &[u8], piece: usize) -> Result<Vec<u8>, Error> {
    let mut chain = registry.ordered(&meta(0, key)).unwrap();
    let mut out = Vec::new();
    for piece in data.chunks(piece) {
        out.extend_from_slice(&chain.push(Bytes::copy_from_slice(piece))?);
    }
    out.extend_from_slice(&chain.finish()?);
    Ok(out)
}

fn by_suffix(key: &str, data: &[u8], piece: usize) -> Result<Vec<u8>, Error> {
    through(
        &registry(DecompressBy::Suffix, DecompressLimits::default()),
        key,
        data,
        piece,
    )
}

fn check_error(result: Result<Vec<u8>, Error>, expected: &str) {
    let error = result.unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn gzip_and_zstd_come_out_as_they_went_in_whatever_the_pieces() {
    let data = text(300_000);
    for piece in [1, 7, 65_536, usize::MAX] {
        assert!(by_suffix("x.gz", &gzip(&data), piece).unwrap() == data);
        assert!(by_suffix("x.zst", &zstd(&data), piece).unwrap() == data);
    }
}

#[test]
fn members_and_frames_in_a_row_are_one_file() {
    let parts = [text(1000), Vec::new(), text(200_000)];
    let whole = parts.concat();
    let members: Vec<u8> = parts.iter().flat_map(|part| gzip(part)).collect();
    let frames: Vec<u8> = parts.iter().flat_map(|part| zstd(part)).collect();
    for piece in [1, 100, usize::MAX] {
        assert!(by_suffix("x.gz", &members, piece).unwrap() == whole);
        assert!(by_suffix("x.zst", &frames, piece).unwrap() == whole);
    }
}

#[test]
fn nothing_compressed_is_nothing() {
    assert_eq!(by_suffix("x.gz", &gzip(b""), 1).unwrap(), b"");
    assert_eq!(by_suffix("x.zst", &zstd(b""), 1).unwrap(), b"");
}

#[test]
fn a_file_that_is_cut_short_or_damaged_fails() {
    let data = text(100_000);
    for (key, whole) in [("x.gz", gzip(&data)), ("x.zst", zstd(&data))] {
        for cut in [1, 3, 11, whole.len() / 2, whole.len() - 1] {
            check_error(by_suffix(key, &whole[..cut], 1000), "is cut short");
        }
        check_error(by_suffix(key, b"", 1000), "is empty");
        check_error(
            by_suffix(key, b"plain text, no matter what the name says", 1000),
            "is damaged",
        );
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 0x55;
        assert!(by_suffix(key, &flipped, 1000).is_err());
        let trailing = [whole, b"trailing rubbish".to_vec()].concat();
        assert!(by_suffix(key, &trailing, 1000).is_err());
    }
}

#[test]
fn a_bomb_is_refused_before_it_fills_memory() {
    let zeros = vec![0; 80 << 20];
    for (key, bomb) in [("x.gz", gzip(&zeros)), ("x.zst", zstd(&zeros))] {
        check_error(
            by_suffix(key, &bomb, 4096),
            "expands to more than 200 times its size",
        );
        let limits = DecompressLimits {
            max_push_bytes: 1 << 20,
            ..DecompressLimits::default()
        };
        let limited = registry(DecompressBy::Suffix, limits);
        check_error(
            through(&limited, key, &bomb, usize::MAX),
            "expands to more than 1048576 bytes at a time",
        );
        let limits = DecompressLimits {
            max_bytes: 3 << 20,
            ..DecompressLimits::default()
        };
        let limited = registry(DecompressBy::Suffix, limits);
        check_error(
            through(&limited, key, &bomb, 512),
            "expands to more than 3145728 bytes:",
        );
    }
}

#[test]
fn what_just_fits_the_limit_passes() {
    let data = text(100_000);
    let limits = DecompressLimits {
        max_bytes: 100_000,
        ..DecompressLimits::default()
    };
    let limited = registry(DecompressBy::Suffix, limits);
    assert!(through(&limited, "x.gz", &gzip(&data), usize::MAX).unwrap() == data);
    assert!(through(&limited, "x.zst", &zstd(&data), 100).unwrap() == data);
}

#[test]
fn content_is_known_by_its_first_bytes() {
    let registry = registry(DecompressBy::Content, DecompressLimits::default());
    let data = text(5000);
    for piece in [1, 3, 5000] {
        for packed in [gzip(&data), zstd(&data), data.clone()] {
            assert!(through(&registry, "x", &packed, piece).unwrap() == data);
        }
        for short in [&b""[..], b"\x1f", b"\x1f\x8b", b"\x28\xb5\x2f"] {
            assert_eq!(through(&registry, "x", short, piece).unwrap(), short);
        }
    }
}

/// The name under which `address` is saved when it was to be saved as `name`.
fn saved_name(by: DecompressBy, address: &str, name: &str) -> String {
    let mut entry = Entry::new(Location::parse(address).unwrap());
    entry.name = name.to_owned();
    registry(by, DecompressLimits::default())
        .select(&mut entry)
        .unwrap();
    entry.name
}

#[test]
fn the_saved_name_loses_the_suffix() {
    let cases = [
        ("s3://b/a/x.json.gz", "a/x.json.gz", "a/x.json"),
        ("s3://b/x.tgz", "x.tgz", "x.tar"),
        ("https://h/x.zst?sig=1", "x.zst", "x"),
        ("s3://b/x.gz", "renamed", "renamed"),
        ("s3://b/x", "x.gz", "x.gz"),
        ("s3://b/.gz", ".gz", ".gz"),
        ("s3://b/d/.gz", "d/.gz", "d/.gz"),
    ];
    for (address, name, saved) in cases {
        assert_eq!(saved_name(DecompressBy::Suffix, address, name), saved);
        assert_eq!(saved_name(DecompressBy::Content, address, name), name);
    }
}

#[test]
fn other_files_stay_on_the_parallel_path() {
    let registry = registry(DecompressBy::Suffix, DecompressLimits::default());
    assert!(registry.ordered(&meta(0, "x.json")).unwrap().is_empty());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(data in proptest::collection::vec(any::<u8>(), 0..200), magic in 0..3usize) {
        let magic: &[u8] = [&b"\x1f\x8b\x08\0\0\0\0\0\0\0"[..], &b"\x28\xb5\x2f\xfd"[..], &b""[..]][magic];
        let data = [magic, &data].concat();
        for key in ["x.gz", "x.zst"] {
            if let Err(error) = by_suffix(key, &data, 16) {
                prop_assert!(!error.to_string().contains("panicked"), "{}", error);
            }
        }
    }
}
