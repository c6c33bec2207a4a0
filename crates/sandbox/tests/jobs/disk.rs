//! Jobs that fill the disk, each in its own way.

use std::fs;

use anyhow::{Result, ensure};
use sandbox::{Ended, Mount};
use tests::{Bench, Need};

use crate::fixture::Case;

pub(crate) fn add(bench: &mut Bench) {
    let perl = &[Need::Program("perl")];
    bench.test("one_large_file_fills_the_disk", &[], one_file);
    bench.test(
        "a_program_told_that_its_file_is_too_large_filled_the_disk",
        perl,
        file_too_large,
    );
    bench.test("files_beyond_the_limit_fill_the_disk", &[], several_files);
    bench.test("too_many_files_fill_the_disk", perl, many_files);
    bench.test(
        "too_deep_folders_fill_the_disk_and_can_be_removed",
        perl,
        deep_folders,
    );
    bench.test("files_without_a_name_fill_the_disk", perl, nameless_files);
    let python = &[Need::Output("/usr/bin/python3", &["-V"])];
    bench.test(
        "files_of_a_thread_whose_process_has_ended_fill_the_disk",
        python,
        files_of_a_thread,
    );
    bench.test("files_in_flight_fill_the_disk", python, files_in_flight);
    bench.test("folders_closed_to_their_owner_fill_the_disk", &[], closed_folders);
    bench.test(
        "folders_closed_again_and_again_fill_the_disk",
        perl,
        flickering_folders,
    );
    bench.test("writable_mounts_fill_the_disk", &[], mounts);
    bench.test("links_lead_nowhere_and_count_once", &[], links);
    bench.test("a_job_below_its_limit_is_left_alone", &[], below);
}

fn check_full(case: Case) -> Result<()> {
    let case = case.limited(|limits| {
        limits.disk_bytes = 8 << 20;
        limits.files = 1_000;
    });
    let done = case.run()?;
    ensure!(done.ended == Ended::DiskFull, "{done:?}");
    ensure!(done.usage.wall.as_secs() < 15, "{done:?}");
    Ok(case.folder.close()?)
}

fn one_file() -> Result<()> {
    check_full(Case::shell("exec dd if=/dev/zero of=file bs=1M")?)
}

fn file_too_large() -> Result<()> {
    let script = "$SIG{XFSZ} = 'IGNORE'; open F, '>', 'f'; 1 while syswrite F, 'x' x 65536; die $!";
    check_full(Case::perl(script)?)
}

fn several_files() -> Result<()> {
    check_full(Case::shell(
        "for i in 1 2 3 4; do head -c 7000000 /dev/zero > $i; done; sleep 60",
    )?)
}

fn many_files() -> Result<()> {
    check_full(Case::perl("for (1..2000) { open F, '>', $_ } sleep 60")?)
}

fn deep_folders() -> Result<()> {
    check_full(Case::perl("for (1..900) { mkdir 'd'; chdir 'd' } sleep 60")?)?;
    check_full(Case::perl(
        "for (1..900) { mkdir 'd' x 200; chdir 'd' x 200 } sleep 60",
    )?)
}

fn nameless_files() -> Result<()> {
    let script = "for (1..4) { open $f[$_], '>', 'f'; unlink 'f'; syswrite $f[$_], 'x' x 7000000 } sleep 60";
    check_full(Case::perl(script)?)
}

/// The first thread ends by the system call `exit` (60 on x86-64, 93 elsewhere), so that the process shows no open files.
fn files_of_a_thread() -> Result<()> {
    let script = "
import ctypes, os, platform, threading, time
def hold():
    time.sleep(0.3)
    for _ in range(4):
        file = os.open('f', os.O_CREAT | os.O_WRONLY)
        os.unlink('f')
        os.write(file, b'x' * 7000000)
    time.sleep(60)
threading.Thread(target=hold).start()
ctypes.CDLL(None).syscall(60 if platform.machine() == 'x86_64' else 93, 0)
";
    check_full(Case::new(&["/usr/bin/python3", "-c", script])?)
}

/// Sent over a socket, closed, never received.
fn files_in_flight() -> Result<()> {
    let script = "
import os, socket, time
ends = socket.socketpair()
for _ in range(4):
    file = os.open('f', os.O_CREAT | os.O_WRONLY)
    os.unlink('f')
    os.write(file, b'x' * 7000000)
    socket.send_fds(ends[0], [b'x'], [file])
    os.close(file)
time.sleep(60)
";
    check_full(Case::new(&["/usr/bin/python3", "-c", script])?)
}

fn closed_folders() -> Result<()> {
    let script =
        "mkdir d; cd d; for i in 1 2 3; do head -c 7000000 /dev/zero > $i; done; chmod 0 .; sleep 60";
    check_full(Case::shell(script)?)
}

/// To root no folder is closed, so there it is the file.
fn flickering_folders() -> Result<()> {
    let script = "mkdir 'd'; for (1..3) { open F, '>', \"d/$_\"; print F 'x' x 7000000; close F } \
                  my $end = time + 30; while (time < $end) { chmod 0, 'd' for 1..1000; chmod 0700, 'd' }";
    check_full(Case::perl(script)?)
}

fn mounts() -> Result<()> {
    let build = tempfile::tempdir()?;
    let mount = Mount {
        from: build.path().to_owned(),
        to: "/build".into(),
        writable: true,
    };
    let script = "for i in 1 2 3; do head -c 7000000 /dev/zero > /build/$i; done; sleep 60";
    check_full(Case::shell(script)?.with(|job| job.mounts.push(mount)))
}

fn links() -> Result<()> {
    let script = "head -c 5000000 /dev/zero > f; ln f g; ln f h; ln -s / root; ln -s . loop; sleep 0.4";
    let case = Case::shell(script)?.limited(|limits| {
        limits.disk_bytes = 8 << 20;
        limits.files = 10;
    });
    let done = case.run()?;
    ensure!(done.ended == Ended::Exited(0), "{done:?}");
    ensure!(
        (5_000_000..6_000_000).contains(&done.usage.disk_bytes),
        "{done:?}"
    );
    Ok(())
}

fn below() -> Result<()> {
    let case = Case::shell("truncate -s 8000000 sparse; head -c 6000000 /dev/zero > file; rm file; exit 4")?;
    fs::write(case.folder.path().join("given"), [0; 100_000])?;
    let done = case.limited(|limits| limits.disk_bytes = 8 << 20).run()?;
    ensure!(done.ended == Ended::Exited(4), "{done:?}");
    ensure!(done.usage.disk_bytes >= 100_000, "{done:?}");
    Ok(())
}
