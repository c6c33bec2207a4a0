//! How jobs end, and that nothing of them stays.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use sandbox::{Ended, SandboxError};
use tests::Bench;
use tests::wait::until;

use crate::fixture::{Case, long_sleep, processes_with, sandbox};

pub(crate) fn add(bench: &mut Bench) {
    bench.test("the_exit_code_comes_back", &[], exit_codes);
    bench.test("a_signal_is_not_an_exit_code", &[], signals);
    bench.test("a_missing_program_is_not_started", &[], missing_program);
    bench.test("standard_input_is_empty", &[], standard_input);
    bench.test("a_job_over_its_time_is_ended", &[], timed_out);
    bench.test("stop_asks_first", &[], stop_asks);
    bench.test("stop_ends_who_ignores_it", &[], stop_ends);
    bench.test("stop_reaches_the_children", &[], stop_reaches_children);
    bench.test("stop_works_at_every_stage", &[], stop_at_every_stage);
    bench.test("a_dropped_job_is_stopped", &[], dropped);
    bench.test("daemons_die_with_the_program", &[], daemons);
    bench.test("a_malformed_job_is_refused", &[], malformed);
    bench.test("thirty_jobs_at_a_time", &[], thirty);
}

fn check_end(script: &str, expected: &Ended) -> Result<()> {
    let done = Case::shell(script)?.run()?;
    ensure!(done.ended == *expected, "{script}: {done:?}");
    Ok(())
}

fn exit_codes() -> Result<()> {
    check_end("exit 0", &Ended::Exited(0))?;
    check_end("exit 7", &Ended::Exited(7))?;
    check_end("exit 255", &Ended::Exited(255))
}

fn signals() -> Result<()> {
    check_end("kill -9 $$", &Ended::Signalled(9))?;
    check_end("kill -SEGV $$", &Ended::Signalled(11))
}

fn missing_program() -> Result<()> {
    let done = Case::new(&["/nowhere/program"])?.run()?;
    ensure!(matches!(done.ended, Ended::NotStarted(_)), "{done:?}");
    ensure!(done.stderr.contains("/nowhere/program: No such file"), "{done:?}");
    Ok(())
}

fn standard_input() -> Result<()> {
    let done = Case::shell("wc -c")?.run()?;
    ensure!(done.stdout.trim() == "0", "{done:?}");
    Ok(())
}

fn timed_out() -> Result<()> {
    let case =
        Case::shell("echo begun; sleep 60")?.limited(|limits| limits.time = Duration::from_millis(200));
    let done = case.run()?;
    ensure!(
        done.ended == Ended::TimedOut && done.stdout == "begun\n",
        "{done:?}"
    );
    ensure!(done.usage.wall < Duration::from_secs(10), "{done:?}");
    Ok(())
}

/// Waits until the job has made a file, which is when it is ready to be stopped.
fn until_ready(case: &Case) -> Result<()> {
    let file = case.folder.path().join("ready");
    until("the job to be ready", Duration::from_secs(10), || {
        Ok(file.exists().then_some(()))
    })
}

fn stop_asks() -> Result<()> {
    let script = "trap 'echo bye; exit 3' TERM; touch ready; while :; do sleep 0.01; done";
    let case = Case::shell(script)?.limited(|limits| limits.grace = Duration::from_secs(10));
    let started = case.start()?;
    until_ready(&case)?;
    started.running.stopper().stop();
    let done = started.wait()?;
    ensure!(done.ended == Ended::Stopped && done.stdout == "bye\n", "{done:?}");
    Ok(())
}

fn stop_ends() -> Result<()> {
    let case = Case::shell("trap '' TERM; touch ready; while :; do sleep 0.01; done")?;
    let started = case.start()?;
    until_ready(&case)?;
    let asked = Instant::now();
    started.running.stopper().stop();
    started.running.stopper().stop();
    let done = started.wait()?;
    ensure!(done.ended == Ended::Stopped, "{done:?}");
    ensure!(
        asked.elapsed() >= case.job.limits.grace,
        "it had {:?}",
        asked.elapsed()
    );
    Ok(())
}

fn stop_reaches_children() -> Result<()> {
    let child = "trap 'echo child; exit 0' TERM; touch ready; while :; do sleep 0.01; done";
    let script = format!("trap 'echo parent' TERM; sh -c \"{child}\" & wait; wait");
    let case = Case::shell(&script)?.limited(|limits| limits.grace = Duration::from_secs(10));
    let started = case.start()?;
    until_ready(&case)?;
    started.running.stopper().stop();
    let done = started.wait()?;
    ensure!(done.ended == Ended::Stopped, "{done:?}");
    ensure!(
        done.stdout.contains("parent") && done.stdout.contains("child"),
        "{done:?}"
    );
    Ok(())
}

fn stop_at_every_stage() -> Result<()> {
    let sleep = long_sleep(1);
    for stage in 0..12 {
        let case = Case::shell(&sleep)?.limited(|limits| limits.grace = Duration::ZERO);
        let started = case.start()?;
        std::thread::sleep(Duration::from_millis(2 * stage));
        started.running.stopper().stop();
        let done = started.wait()?;
        ensure!(done.ended == Ended::Stopped, "at stage {stage}: {done:?}");
    }
    ensure!(processes_with(&sleep).is_empty(), "something is left");
    Ok(())
}

fn dropped() -> Result<()> {
    let sleep = long_sleep(2);
    let case = Case::shell(&sleep)?.limited(|limits| limits.grace = Duration::ZERO);
    drop(sandbox().start(case.job.clone())?);
    until("the job to end", Duration::from_secs(10), || {
        Ok(processes_with(&sleep).is_empty().then_some(()))
    })
}

/// One daemon holds the pipes; the other has left its session, and its parent has ended.
fn daemons() -> Result<()> {
    let sleep = long_sleep(3);
    let script = format!("{sleep} & (setsid sh -c 'trap \"\" TERM HUP; {sleep}' &) ; echo done");
    let done = Case::shell(&script)?.run()?;
    ensure!(
        done.ended == Ended::Exited(0) && done.stdout == "done\n",
        "{done:?}"
    );
    ensure!(done.usage.wall < Duration::from_secs(10), "{done:?}");
    ensure!(processes_with(&sleep).is_empty(), "something is left");
    Ok(())
}

fn malformed() -> Result<()> {
    let refused = |case: Case, why: &str| match sandbox().start(case.job) {
        Err(SandboxError::Failed { what, .. }) => {
            ensure!(what.contains(why), "{what}");
            Ok(())
        }
        _ => anyhow::bail!("not refused: {why}"),
    };
    let case = || Case::shell("exit 0");
    refused(case()?.with(|job| job.name = "../up".to_owned()), "name")?;
    refused(case()?.with(|job| job.command.clear()), "command")?;
    refused(
        case()?.with(|job| job.environment.push(("A=B".to_owned(), String::new()))),
        "variable",
    )?;
    refused(
        case()?.with(|job| job.environment.push(("A".to_owned(), "\0".to_owned()))),
        "zero byte",
    )?;
    refused(
        case()?.with(|job| job.folder = "/nowhere".into()),
        "/nowhere is not there",
    )?;
    refused(case()?.with(|job| job.folder = "relative".into()), "absolute")
}

fn thirty() -> Result<()> {
    let cases = (0..30)
        .map(|_| Case::shell("id -un; cat /proc/sys/kernel/random/uuid"))
        .collect::<Result<Vec<_>>>()?;
    let started = cases.iter().map(Case::start).collect::<Result<Vec<_>>>()?;
    for each in started {
        let done = each.wait()?;
        ensure!(
            done.ended == Ended::Exited(0) && done.stdout.starts_with("scraper\n"),
            "{done:?}"
        );
    }
    Ok(())
}
