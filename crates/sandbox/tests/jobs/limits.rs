//! Memory, processes, time of processors.

use std::time::Duration;

use anyhow::{Result, ensure};
use sandbox::{Ability, Ended};
use tests::{Bench, Need};

use crate::fixture::{Case, test_with};

pub(crate) fn add(bench: &mut Bench) {
    test_with(
        bench,
        Ability::Memory,
        "a_memory_bomb_is_named_with_its_peak",
        memory_bomb,
    );
    test_with(
        bench,
        Ability::Memory,
        "a_child_killed_for_memory_takes_the_job_with_it",
        child_bomb,
    );
    test_with(
        bench,
        Ability::Memory,
        "files_in_tmp_count_as_memory",
        tmp_is_memory,
    );
    test_with(bench, Ability::Processes, "a_fork_bomb_hits_its_limit", fork_bomb);
    test_with(bench, Ability::Cpu, "the_time_of_all_processes_counts", cpu);
    bench.test(
        "without_a_group_data_is_limited_for_each_process",
        &[Need::Program("perl")],
        data_limit,
    );
    bench.test("tmp_and_shared_memory_have_a_size", &[], tmp_is_limited);
}

const BOMB: &str = "my @hoard; push @hoard, 'x' x 1000000 while 1";

fn check_out_of_memory(case: Case) -> Result<()> {
    let limit = 64 << 20;
    let done = case.limited(|limits| limits.memory_bytes = limit).run()?;
    ensure!(done.ended == Ended::OutOfMemory, "{done:?}");
    let peak = done.usage.peak_memory_bytes;
    ensure!(peak > limit * 9 / 10 && peak <= limit, "the peak is {peak}");
    Ok(())
}

fn memory_bomb() -> Result<()> {
    check_out_of_memory(Case::perl(BOMB)?)
}

fn child_bomb() -> Result<()> {
    check_out_of_memory(Case::shell(&format!("perl -e \"{BOMB}\"; sleep 60"))?)
}

fn tmp_is_memory() -> Result<()> {
    let case = Case::shell("dd if=/dev/zero of=/tmp/file bs=1M")?;
    check_out_of_memory(case.limited(|limits| limits.tmp_bytes = 1 << 30))
}

fn fork_bomb() -> Result<()> {
    let script = "while (1) { fork; select(undef, undef, undef, 0.001) }";
    let bomb = Case::perl(script)?.limited(|limits| {
        limits.processes = 40;
        limits.time = Duration::from_secs(1);
    });
    let bomb = bomb.start()?;
    let other = Case::shell("for i in 1 2 3 4 5; do true | true; done; echo well")?.run()?;
    ensure!(
        other.ended == Ended::Exited(0) && other.stdout == "well\n",
        "{other:?}"
    );
    let done = bomb.wait()?;
    ensure!(
        done.ended == Ended::TimedOut && done.usage.refused_processes > 0,
        "{done:?}"
    );
    Ok(())
}

fn cpu() -> Result<()> {
    let script = "for i in 1 2; do perl -e '1 while times < 0.3' & done; wait";
    let done = Case::shell(script)?.run()?;
    ensure!(done.usage.cpu >= Duration::from_millis(500), "{done:?}");
    Ok(())
}

/// Where a control group limits memory this cannot be seen, so then the group does what is asked here.
fn data_limit() -> Result<()> {
    let done = Case::perl(BOMB)?
        .limited(|limits| limits.memory_bytes = 64 << 20)
        .run()?;
    ensure!(
        matches!(done.ended, Ended::OutOfMemory | Ended::Exited(1)),
        "{done:?}"
    );
    Ok(())
}

fn tmp_is_limited() -> Result<()> {
    let script =
        "for each in /tmp /dev/shm; do dd if=/dev/zero of=$each/file bs=64k; stat -c %s $each/file; done";
    let done = Case::shell(script)?
        .limited(|limits| limits.tmp_bytes = 1 << 20)
        .run()?;
    ensure!(done.stdout == "1048576\n1048576\n", "{done:?}");
    ensure!(done.stderr.matches("No space left").count() == 2, "{done:?}");
    Ok(())
}
