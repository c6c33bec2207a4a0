//! Version 2 on a fake tree: plain files where the kernel has its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::{Controls, Legacy, Mounted, Unified, Used, Version, keyed, own_group};
use crate::job::JobLimits;

/// A mounted tree whose top offers these controllers.
struct FakeTree {
    top: TempDir,
}

impl FakeTree {
    fn new(controllers: &str) -> Self {
        let tree = Self {
            top: tempfile::tempdir().unwrap(),
        };
        tree.make_group("", controllers);
        tree
    }

    fn path(&self, group: &str) -> PathBuf {
        self.top.path().join(group)
    }

    fn make_group(&self, group: &str, controllers: &str) {
        let folder = self.path(group);
        fs::create_dir_all(&folder).unwrap();
        for (file, text) in [
            ("cgroup.controllers", controllers),
            ("cgroup.procs", ""),
            ("cgroup.subtree_control", ""),
        ] {
            fs::write(folder.join(file), text).unwrap();
        }
    }

    fn mounts(&self) -> String {
        let top = self.top.path().display();
        format!(
            "25 1 0:22 / /proc rw - proc proc rw\n30 23 0:26 / {top} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
        )
    }

    fn find(&self, own: &str) -> Result<Unified, String> {
        Unified::find(&self.mounts(), &format!("0::{own}\n"))
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap()
    }
}

fn limits() -> JobLimits {
    JobLimits {
        memory_bytes: 512 << 20,
        processes: 100,
        cpu_weight: 200,
        disk_bytes: 0,
        files: 0,
        tmp_bytes: 0,
        time: Duration::ZERO,
        grace: Duration::ZERO,
    }
}

#[test]
fn a_delegated_group_is_used_and_the_worker_moves_down() {
    let tree = FakeTree::new("cpu io memory pids");
    tree.make_group("haul.service", "cpu memory pids");
    let me = std::process::id().to_string();
    fs::write(tree.path("haul.service/cgroup.procs"), format!("{me}\n")).unwrap();
    let unified = tree.find("/haul.service").unwrap();
    assert_eq!(unified.hierarchies(), [tree.path("haul.service")]);
    assert_eq!(tree.read("haul.service/haul-worker/cgroup.procs"), me);
    assert_eq!(
        tree.read("haul.service/cgroup.subtree_control"),
        "+memory +pids +cpu"
    );
}

#[test]
fn a_worker_that_moved_down_before_finds_the_same_group() {
    let tree = FakeTree::new("memory");
    tree.make_group("haul.service", "memory");
    let unified = tree.find("/haul.service/haul-worker").unwrap();
    assert_eq!(unified.hierarchies(), [tree.path("haul.service")]);
}

#[test]
fn a_group_with_other_processes_is_left_alone() {
    let tree = FakeTree::new("");
    tree.make_group("session.scope", "cpu memory pids");
    fs::write(tree.path("session.scope/cgroup.procs"), "1\n").unwrap();
    let found = tree.find("/session.scope");
    assert_eq!(
        found.err().as_deref(),
        Some("this control group is shared with other processes")
    );
    assert!(!tree.path("session.scope/haul-worker").exists());
}

#[test]
fn beside_a_shared_group_the_nearest_above_is_used() {
    let tree = FakeTree::new("cpu memory pids");
    tree.make_group("user.slice/manager", "memory pids");
    tree.make_group("user.slice/manager/haul", "memory pids");
    tree.make_group("user.slice/manager/terminal.scope", "memory pids");
    fs::write(tree.path("user.slice/manager/terminal.scope/cgroup.procs"), "1\n").unwrap();
    let unified = tree.find("/user.slice/manager/terminal.scope").unwrap();
    assert_eq!(unified.hierarchies(), [tree.path("user.slice/manager/haul")]);
    assert_eq!(
        tree.read("user.slice/manager/cgroup.subtree_control"),
        "+memory +pids"
    );
}

#[test]
fn controls_are_what_the_kernel_offers() {
    let unified = FakeTree::new("io memory pids").find("/").unwrap();
    assert_eq!(
        unified.controls(),
        Controls {
            memory: true,
            processes: true,
            cpu: false
        }
    );
}

#[test]
fn limits_are_written_and_use_is_read() {
    let tree = FakeTree::new("cpu memory pids");
    let unified = tree.find("/").unwrap();
    tree.make_group("job", "");
    fs::write(tree.path("job/memory.swap.max"), "max\n").unwrap();
    unified.limit("job", &limits()).unwrap();
    let written = [
        ("memory.max", "536870912"),
        ("memory.swap.max", "0"),
        ("memory.oom.group", "1"),
        ("pids.max", "102"),
        ("cpu.weight", "200"),
    ];
    for (file, text) in written {
        assert_eq!(tree.read(&format!("job/{file}")), text, "{file}");
    }
    let kernel = [
        (
            "memory.events",
            "low 0\nhigh 0\nmax 17\noom 1\noom_kill 3\noom_group_kill 1\n",
        ),
        ("memory.peak", "536870000\n"),
        ("cpu.stat", "usage_usec 1500000\nuser_usec 1\n"),
        ("pids.events", "max 5\n"),
    ];
    for (file, text) in kernel {
        fs::write(tree.path("job").join(file), text).unwrap();
    }
    let used = Used {
        killed_for_memory: 3,
        peak_memory_bytes: 536_870_000,
        cpu: Duration::from_millis(1500),
        refused_processes: 5,
    };
    assert_eq!(unified.used("job"), used);
}

#[test]
fn a_kernel_that_does_not_tell_used_nothing() {
    let unified = FakeTree::new("cpu memory pids").find("/").unwrap();
    assert_eq!(unified.used("nowhere"), Used::default());
}

#[test]
fn without_a_mounted_tree_there_is_none() {
    assert_eq!(
        Unified::find("", "0::/\n").err().as_deref(),
        Some("no control groups are mounted")
    );
}

#[test]
fn the_own_group_is_found_through_the_part_that_is_mounted() {
    let line = "41 32 0:35 /docker/abc /sys/fs/cgroup/memory ro,nosuid - cgroup cgroup rw,memory";
    let mounted = Mounted::parse(line).unwrap();
    assert_eq!(
        mounted.folder("/docker/abc/inner"),
        Path::new("/sys/fs/cgroup/memory/inner")
    );
    assert_eq!(mounted.folder("/docker/abc"), Path::new("/sys/fs/cgroup/memory"));
    assert_eq!(
        mounted.folder("/elsewhere"),
        Path::new("/sys/fs/cgroup/memory/elsewhere")
    );
}

#[test]
fn controllers_that_share_a_hierarchy_share_a_group() {
    let own = "5:cpu,cpuacct:/jobs\n4:memory:/\n0::/unified\n";
    assert_eq!(own_group(own, "cpuacct"), Some("/jobs"));
    assert_eq!(own_group(own, ""), Some("/unified"));
    assert_eq!(own_group(own, "pids"), None);
    let top = tempfile::tempdir().unwrap();
    fs::create_dir(top.path().join("jobs")).unwrap();
    let mounts = format!(
        "1 1 0:1 / {} rw - cgroup cgroup rw,cpu,cpuacct",
        top.path().display()
    );
    let legacy = Legacy::find(&mounts, own);
    assert_eq!(legacy.hierarchies(), [top.path().join("jobs")]);
    assert_eq!(
        legacy.controls(),
        Controls {
            cpu: true,
            ..Controls::default()
        }
    );
}

#[test]
fn counters_are_found_by_their_whole_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("memory.oom_control");
    fs::write(&file, "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n").unwrap();
    assert_eq!(keyed(&file, "oom_kill"), Some(2));
}
