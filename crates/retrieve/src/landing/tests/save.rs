use std::time::{Duration, SystemTime};

use super::*;

#[test]
fn a_whole_file_replaces_the_old_one_and_has_its_time() {
    let (scratch, folder) = destination();
    std::fs::write(scratch.path().join("x"), "a much longer old file").unwrap();
    let times = [Duration::new(1_700_000_000, 123_456_789), Duration::ZERO]
        .map(|since| SystemTime::UNIX_EPOCH + since);
    let before = SystemTime::UNIX_EPOCH - Duration::from_millis(1500);
    let place = place(&folder, "x");
    for time in times.into_iter().chain([before]) {
        let path = save_whole(&folder, &place, b"new", Some(time)).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(path.metadata().unwrap().modified().unwrap(), time);
    }
    assert_eq!(listed(scratch.path()), ["x"]);
}

#[test]
fn an_empty_file_is_a_file() {
    let (_scratch, folder) = destination();
    let saved = save_whole(&folder, &place(&folder, "whole"), b"", None).unwrap();
    let begun = folder
        .begin(&place(&folder, "begun"), &identity(0), true)
        .unwrap();
    let begun = begun.landing.commit(None).unwrap();
    for path in [saved, begun] {
        assert_eq!(path.metadata().unwrap().len(), 0);
    }
}

#[test]
fn what_a_killed_run_left_is_cleared() {
    let (scratch, folder) = destination();
    std::fs::write(scratch.path().join(".x.haul-partial"), "a long rest").unwrap();
    let path = save_whole(&folder, &place(&folder, "x"), b"new", None).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), b"new");
    assert_eq!(listed(scratch.path()), ["x"]);
}

#[test]
fn names_of_any_length_have_partial_files() {
    let (scratch, folder) = destination();
    for name in [
        "x".repeat(255),
        "x".repeat(254) + "y",
        "z".repeat(242),
        "z".repeat(241),
    ] {
        let place = place(&folder, &name);
        let stream = folder.stream(&place).unwrap();
        assert!(stream.temporary().exists());
        let other = save_whole(
            &folder,
            &self::place(&folder, &format!("{}{}", &name[1..], "w")),
            b"",
            None,
        );
        other.unwrap();
        stream.commit(None).unwrap();
    }
    assert_eq!(listed(scratch.path()).len(), 8);
}

#[test]
fn a_stream_is_saved_in_its_order_or_not_at_all() {
    let (scratch, folder) = destination();
    let place = place(&folder, "x");
    let mut stream = folder.stream(&place).unwrap();
    stream.append(b"one ").unwrap();
    drop(stream);
    assert!(listed(scratch.path()).is_empty());
    let mut stream = folder.stream(&place).unwrap();
    stream.append(b"one ").unwrap();
    stream.append(b"two").unwrap();
    assert_eq!(listed(scratch.path()), [".x.haul-partial"]);
    assert_eq!(std::fs::read(stream.commit(None).unwrap()).unwrap(), b"one two");
    assert_eq!(listed(scratch.path()), ["x"]);
}

#[test]
fn a_second_run_on_one_file_is_told() {
    let (scratch, first) = destination();
    let second = open(scratch.path());
    let (here, there) = (place(&first, "x"), place(&second, "x"));
    let begun = first.begin(&here, &identity(1), true).unwrap();
    let message = check_kind(second.begin(&there, &identity(1), true), ErrorKind::Collision);
    assert!(message.contains("another run"), "{message}");
    check_kind(save_whole(&second, &there, b"", None), ErrorKind::Collision);
    check_kind(second.stream(&there), ErrorKind::Collision);
    begun.landing.write_at(0, b"1").unwrap();
    begun.landing.commit(None).unwrap();
    // The first one still holds its file, which has its name now.
    save_whole(&second, &there, b"2", None).unwrap();
    assert_eq!(std::fs::read(scratch.path().join("x")).unwrap(), b"2");
}

#[test]
fn of_many_that_save_one_file_each_is_whole_or_told() {
    let (scratch, _) = destination();
    let save = |byte: u8| {
        let folder = open(scratch.path());
        let place = place(&folder, "x");
        for _ in 0..200 {
            match save_whole(&folder, &place, &[byte; 5000], None) {
                Ok(path) => {
                    let content = std::fs::read(path).unwrap();
                    assert!(content.len() == 5000 && content.iter().all(|other| *other == content[0]));
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::Collision),
            }
        }
    };
    std::thread::scope(|scope| (1..5).for_each(|byte| drop(scope.spawn(move || save(byte)))));
    assert_eq!(listed(scratch.path()), ["x"]);
}
