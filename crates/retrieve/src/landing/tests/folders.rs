use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

#[test]
fn the_destination_is_made_where_it_is_missing() {
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path().join("not/there/yet");
    let folder = open(&root);
    save_whole(&folder, &place(&folder, "a/b/c"), b"content", None).unwrap();
    save_whole(&folder, &place(&folder, "a/b/d"), b"other", None).unwrap();
    assert_eq!(std::fs::read(root.join("a/b/c")).unwrap(), b"content");
    assert_eq!(listed(&root.join("a/b")), ["c", "d"]);
}

#[test]
fn a_destination_that_is_a_file_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("file");
    std::fs::write(&file, "").unwrap();
    for path in [file.clone(), file.join("below")] {
        check_kind(Folder::open(&Destination::Folder(path)), ErrorKind::Collision);
    }
}

#[test]
fn many_folders_are_opened_again() {
    let (scratch, folder) = destination();
    for i in (0..300).chain(0..300) {
        let name = format!("deep/{i}/{}", folder.claim(&format!("deep/{i}/first")).is_ok());
        save_whole(&folder, &place(&folder, &name), b"x", None).unwrap();
    }
    assert_eq!(listed(&scratch.path().join("deep")).len(), 300);
    assert_eq!(listed(&scratch.path().join("deep/7")), ["false", "true"]);
}

#[test]
fn symbolic_links_are_not_followed() {
    let (scratch, folder) = destination();
    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path(), scratch.path().join("link")).unwrap();
    std::fs::create_dir(scratch.path().join("a")).unwrap();
    symlink("../a", scratch.path().join("a/inside")).unwrap();
    symlink("/nowhere", scratch.path().join("dangling")).unwrap();
    for name in ["link/x", "link/deeper/x", "a/inside/x", "dangling/x"] {
        let place = place(&folder, name);
        check_kind(save_whole(&folder, &place, b"", None), ErrorKind::Escape);
        check_kind(folder.begin(&place, &identity(1), true), ErrorKind::Escape);
    }
    assert!(listed(outside.path()).is_empty());
}

#[test]
fn a_link_in_the_place_of_a_partial_file_is_not_followed() {
    let (scratch, folder) = destination();
    let victim = scratch.path().join("victim");
    std::fs::write(&victim, "precious").unwrap();
    symlink(&victim, scratch.path().join(".x.haul-partial")).unwrap();
    check_kind(
        save_whole(&folder, &place(&folder, "x"), b"", None),
        ErrorKind::Escape,
    );
    symlink(&victim, scratch.path().join(".y.haul-journal")).unwrap();
    let begun = folder.begin(&place(&folder, "y"), &identity(4), true).unwrap();
    begun.landing.write_at(0, b"four").unwrap();
    begun.landing.written(0..4, 0).unwrap();
    begun.landing.commit(None).unwrap();
    assert_eq!(std::fs::read(&victim).unwrap(), b"precious");
}

#[test]
fn a_link_in_the_place_of_the_target_is_replaced() {
    let (scratch, folder) = destination();
    symlink("/nowhere", scratch.path().join("x")).unwrap();
    let path = save_whole(&folder, &place(&folder, "x"), b"content", None).unwrap();
    assert!(path.symlink_metadata().unwrap().is_file());
}

#[test]
fn a_folder_in_the_place_of_the_target_is_left_alone() {
    let (scratch, folder) = destination();
    std::fs::create_dir(scratch.path().join("x")).unwrap();
    let place = place(&folder, "x");
    check_kind(save_whole(&folder, &place, b"", None), ErrorKind::Collision);
    check_kind(folder.begin(&place, &identity(1), true), ErrorKind::Collision);
    assert_eq!(listed(scratch.path()), ["x"]);
}

#[test]
fn a_file_in_the_place_of_a_folder_is_left_alone() {
    let (scratch, folder) = destination();
    std::fs::write(scratch.path().join("x"), "").unwrap();
    check_kind(
        save_whole(&folder, &place(&folder, "x/y"), b"", None),
        ErrorKind::Collision,
    );
}

#[test]
fn a_destination_of_one_file_takes_one_entry() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("new/file");
    let folder = Folder::open(&Destination::File(path.clone())).unwrap();
    let place = place(&folder, "../any name\0");
    check_kind(folder.claim("another"), ErrorKind::Collision);
    assert_eq!(save_whole(&folder, &place, b"content", None).unwrap(), path);
    assert_eq!(std::fs::read(path).unwrap(), b"content");
}

#[test]
fn a_destination_of_one_file_follows_a_link_to_a_file_only() {
    let scratch = tempfile::tempdir().unwrap();
    let (link, target) = (scratch.path().join("link"), scratch.path().join("target"));
    std::fs::write(&target, "old").unwrap();
    symlink(&target, &link).unwrap();
    let folder = Folder::open(&Destination::File(link.clone())).unwrap();
    save_whole(&folder, &place(&folder, "x"), b"new", None).unwrap();
    assert!(link.is_symlink());
    assert_eq!(std::fs::read(&target).unwrap(), b"new");
    for path in ["/dev/null", "/tmp"] {
        check_kind(
            Folder::open(&Destination::File(path.into())),
            ErrorKind::Collision,
        );
    }
}

/// Root may do everything, so only others see the refusal; what can be seen by all is the mode of new files.
#[test]
fn permissions_are_those_of_a_usual_file() {
    let (scratch, folder) = destination();
    let usual = scratch.path().join("usual");
    std::fs::write(&usual, "").unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode();
    let path = save_whole(&folder, &place(&folder, "x"), b"", None).unwrap();
    assert_eq!(mode(&path), mode(&usual));
    let closed = scratch.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o500)).unwrap();
    if std::fs::write(closed.join("try"), "").is_err() {
        check_kind(
            save_whole(&folder, &place(&folder, "closed/x"), b"", None),
            ErrorKind::Permission,
        );
    }
}
