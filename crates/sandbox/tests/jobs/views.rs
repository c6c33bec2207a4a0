//! What a job sees.

use std::fs;
use std::os::unix::fs::MetadataExt;

use anyhow::{Result, ensure};
use rustix::io::{FdFlags, fcntl_setfd};
use sandbox::{Ended, Mount};
use tests::wait::until;
use tests::{Bench, Need};

use crate::fixture::{Case, FIRST_UID, engine, is_root, processes_with};

pub(crate) fn add(bench: &mut Bench) {
    bench.test("a_job_works_in_its_folder", &[], folder);
    bench.test("files_are_the_callers_again", &[], ownership);
    if is_root() {
        bench.test("each_job_has_a_user_of_its_own", &[], users);
    }
    bench.test("a_job_sees_nothing_of_the_machine", &[], machine_is_hidden);
    bench.test("a_job_does_not_see_other_jobs", &[], other_jobs_are_hidden);
    bench.test("a_job_sees_its_own_processes_only", &[], processes_are_hidden);
    bench.test("the_base_cannot_be_written", &[], base_is_read_only);
    bench.test("mounts_are_seen_whoever_owns_the_folder_above", &[], mounts);
    bench.test("the_environment_is_in_no_command_line", &[], environment);
    bench.test("open_files_of_the_worker_stay_there", &[], open_files);
    for (name, needs, command) in RUNTIMES {
        bench.test(format!("{name}_runs_with_threads"), needs, move || {
            runtime(command)
        });
    }
}

type Runtime = (&'static str, &'static [Need], &'static [&'static str]);

const RUNTIMES: [Runtime; 5] = [
    (
        "perl",
        &[Need::Program("perl")],
        &["perl", "-e", "system('true') == 0 or die; print 'ok'"],
    ),
    (
        "ruby",
        &[Need::Program("ruby")],
        &[
            "ruby",
            "-rsocket",
            "-ropenssl",
            "-e",
            "print Thread.new { `printf ok` }.value",
        ],
    ),
    (
        "php",
        &[Need::Program("php")],
        &["php", "-r", "echo shell_exec('printf ok');"],
    ),
    (
        "python",
        &[Need::Output("/usr/bin/python3", &["-V"])],
        &["/usr/bin/python3", "-c", PYTHON],
    ),
    ("node", &[Need::Program("node")], &["node", "-e", NODE]),
];
const PYTHON: &str = "
import multiprocessing.pool, ssl, subprocess
with multiprocessing.pool.Pool(2) as pool: pool.map(abs, [1, 2])
with multiprocessing.pool.ThreadPool(2) as pool: print(pool.map(str, ['ok'])[0], end='')
";
const NODE: &str = "
require('os').networkInterfaces();
const { Worker } = require('worker_threads');
new Worker(\"process.stdout.write(require('child_process').execSync('printf ok'))\", { eval: true });
";

fn runtime(command: &[&str]) -> Result<()> {
    let done = Case::new(command)?
        .limited(|limits| limits.memory_bytes = 512 << 20)
        .run()?;
    ensure!(done.ended == Ended::Exited(0) && done.stdout == "ok", "{done:?}");
    Ok(())
}

fn folder() -> Result<()> {
    let case = Case::shell("pwd; cat input; echo written > output; mkdir -p a/b; id -un")?;
    fs::write(case.folder.path().join("input"), "given\n")?;
    let done = case.run()?;
    ensure!(done.stdout == "/app\ngiven\nscraper\n", "{done:?}");
    ensure!(fs::read_to_string(case.folder.path().join("output"))? == "written\n");
    Ok(())
}

fn ownership() -> Result<()> {
    let case = Case::shell(
        "mkdir closed; touch closed/file; chmod 0 closed/file closed; cp /bin/true true; chmod 6755 true; ln -s /etc/passwd link",
    )?;
    fs::write(case.folder.path().join("before"), "")?;
    let done = case.run()?;
    ensure!(done.ended == Ended::Exited(0), "{done:?}");
    let me = fs::metadata("/proc/self")?.uid();
    for name in ["", "before", "closed", "closed/file", "link"] {
        let owner = fs::symlink_metadata(case.folder.path().join(name))?.uid();
        ensure!(owner == me, "{name:?} belongs to {owner}");
    }
    let mode = fs::metadata(case.folder.path().join("true"))?.mode();
    ensure!(mode & 0o7777 == 0o755, "a file runs as its owner: {mode:o}");
    Ok(case.folder.close()?)
}

fn users() -> Result<()> {
    let cases = [Case::shell("sleep 63")?, Case::shell("sleep 63")?];
    let started = cases.iter().map(Case::start).collect::<Result<Vec<_>>>()?;
    let [first, second] = cases.each_ref().map(|case| fs::metadata(case.folder.path()));
    let (first, second) = (first?.uid(), second?.uid());
    for each in started {
        each.running.stopper().stop();
        each.wait()?;
    }
    ensure!(
        first != second && first >= FIRST_UID && second >= FIRST_UID,
        "{first} and {second}"
    );
    Ok(())
}

fn machine_is_hidden() -> Result<()> {
    let script = "ls -A /; echo; ls -A /etc | tr '\\n' ' '; cat /etc/shadow /etc/machine-id; hostname; ls /home /srv /root";
    let done = Case::shell(script)?.run()?;
    let (root, rest) = done.stdout.split_once("\n\n").unwrap_or_default();
    let known = [
        "app", "bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "sbin", "tmp", "usr",
    ];
    // An engine's containers have some of their own.
    let of_container: &[_] = if engine().is_some() {
        &["run", "sys", "var"]
    } else {
        &[]
    };
    for name in root.lines() {
        ensure!(
            known.contains(&name) || of_container.contains(&name),
            "/{name} is there"
        );
    }
    ensure!(
        rest.contains("passwd") && !rest.contains("shadow") && rest.ends_with(" haul\n"),
        "{rest:?}"
    );
    ensure!(
        done.stderr.matches("No such file").count() == 5,
        "{}",
        done.stderr
    );
    Ok(())
}

fn other_jobs_are_hidden() -> Result<()> {
    let other = Case::shell("exit 0")?;
    fs::write(other.folder.path().join("data.sqlite"), "")?;
    let script = format!(
        "ls {0} {0}/data.sqlite /tmp; ls -d /tmp /srv /home",
        other.folder.path().display()
    );
    let done = Case::shell(&script)?.run()?;
    ensure!(done.stdout == "/tmp:\n/tmp\n", "{done:?}");
    Ok(())
}

fn processes_are_hidden() -> Result<()> {
    let script = "grep -l . /proc/[0-9]*/comm | wc -l; cat /proc/1/environ | wc -c; kill -9 1; echo $?";
    let done = Case::shell(script)?.run()?;
    let lines: Vec<_> = done.stdout.lines().collect();
    let [processes, of_first, killed] = lines.as_slice() else {
        anyhow::bail!("{done:?}")
    };
    ensure!(processes.parse::<u32>()? <= 5, "{done:?}");
    ensure!(
        of_first.trim() == "0",
        "what contains has an environment: {done:?}"
    );
    // A signal that is sent to it is not heard, or may not even be sent.
    ensure!(
        *killed == "0" || done.stderr.contains("not permitted"),
        "{done:?}"
    );
    Ok(())
}

fn base_is_read_only() -> Result<()> {
    let places = "/ /usr /usr/bin /etc /etc/ssl/certs /dev /proc/sys/kernel/hostname /bin /lib";
    let script = format!(
        "for each in {places}; do (echo x > $each/x || echo x > $each) 2>/dev/null && echo $each; done; true"
    );
    let done = Case::shell(&script)?.run()?;
    ensure!(
        done.ended == Ended::Exited(0) && done.stdout.is_empty(),
        "{done:?}"
    );
    Ok(())
}

fn mounts() -> Result<()> {
    let closed = tempfile::tempdir()?;
    let [shown, open] = ["shown", "open"].map(|name| closed.path().join(name));
    for folder in [&shown, &open] {
        fs::create_dir(folder)?;
        fs::write(folder.join("file"), "seen\n")?;
    }
    let mount = |from: &std::path::Path, to: &str, writable| Mount {
        from: from.to_owned(),
        to: to.into(),
        writable,
    };
    let script =
        "cat /root/.tools/file /build/file /shims/one; echo x > /root/.tools/file; echo new > /build/file";
    let case = Case::shell(script)?.with(|job| {
        job.mounts.push(mount(&shown, "/root/.tools", false));
        job.mounts.push(mount(&open, "/build", true));
        job.mounts.push(mount(&shown.join("file"), "/shims/one", false));
    });
    let done = case.run()?;
    ensure!(done.stdout == "seen\nseen\nseen\n", "{done:?}");
    ensure!(done.stderr.contains("Read-only"), "{done:?}");
    ensure!(fs::read_to_string(shown.join("file"))? == "seen\n");
    ensure!(fs::read_to_string(open.join("file"))? == "new\n");
    Ok(())
}

fn environment() -> Result<()> {
    let secret = format!("s3cret-{}", std::process::id());
    let case = Case::shell("echo $MORPH_SECRET; touch ready; sleep 62; exit 1")?
        .with(|job| job.environment.push(("MORPH_SECRET".to_owned(), secret.clone())));
    ensure!(
        !format!("{:?}", case.job).contains(&secret),
        "it is in the Debug output"
    );
    let started = case.start()?;
    let ready = case.folder.path().join("ready");
    until("the job to start", std::time::Duration::from_secs(10), || {
        Ok(ready.exists().then_some(()))
    })?;
    ensure!(!processes_with("sleep").is_empty());
    ensure!(processes_with(&secret).is_empty(), "it is in a command line");
    started.running.stopper().stop();
    let done = started.wait()?;
    ensure!(done.stdout == format!("{secret}\n"), "{done:?}");
    Ok(())
}

fn open_files() -> Result<()> {
    let file = tempfile::tempfile()?;
    fcntl_setfd(&file, FdFlags::empty())?;
    let done = Case::shell("ls /proc/self/fd | tr '\\n' ' '")?.run()?;
    // The last is the one that lists.
    ensure!(done.stdout == "0 1 2 3 ", "{done:?}");
    Ok(())
}
