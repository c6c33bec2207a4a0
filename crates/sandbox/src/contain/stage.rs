use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use rustix::fs::{Mode, OFlags, open};

use crate::uids::FOLDER;
use crate::wire::Place;

/// Brings places that only root reaches to where the job's user reaches them: a folder in a mount namespace of our own, with
/// nothing else in it. Root's `/root` or a work folder with mode 0700 above it need no other permissions for that.
pub(super) fn reachable(places: &[Place]) -> io::Result<Vec<Place>> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_PRIVATE | MsFlags::MS_REC, none)?;
    let opened: Vec<_> = places.iter().map(open_place).collect::<io::Result<_>>()?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), FOLDER, Some("tmpfs"), flags, Some("mode=0755"))?;
    let mut reachable = Vec::new();
    for (index, (place, opened)) in places.iter().zip(opened).enumerate() {
        let from = Path::new(FOLDER).join(index.to_string());
        make_mount_point(&opened, &from)?;
        let source = format!("/proc/self/fd/{}", opened.as_raw_fd());
        mount(
            Some(source.as_str()),
            &from,
            none,
            MsFlags::MS_BIND | MsFlags::MS_REC,
            none,
        )?;
        reachable.push(Place {
            from,
            to: place.to.clone(),
            writable: place.writable,
        });
    }
    Ok(reachable)
}

fn open_place(place: &Place) -> io::Result<File> {
    let opened = open(&place.from, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    Ok(File::from(opened))
}

fn make_mount_point(place: &File, at: &Path) -> io::Result<()> {
    if !place.metadata()?.is_dir() {
        return fs::write(at, "");
    }
    fs::create_dir(at)?;
    fs::set_permissions(at, fs::Permissions::from_mode(0o755))
}
