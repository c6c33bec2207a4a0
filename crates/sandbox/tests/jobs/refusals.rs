//! What a job asks of the kernel and does not get.

use anyhow::{Result, ensure};
use sandbox::Ended;
use tests::{Bench, Need};

use crate::fixture::Case;

pub(crate) fn add(bench: &mut Bench) {
    let perl = &[Need::Program("perl")];
    bench.test("dangerous_calls_are_refused", perl, calls);
    bench.test("dangerous_sockets_are_refused", perl, sockets);
    bench.test("nobody_becomes_root", &[], privileges);
    bench.test("namespaces_are_refused", &[], namespaces);
}

const NUMBERS: [(&str, libc::c_long); 24] = [
    ("ptrace", libc::SYS_ptrace),
    ("process_vm_readv", libc::SYS_process_vm_readv),
    ("pidfd_getfd", libc::SYS_pidfd_getfd),
    ("mount", libc::SYS_mount),
    ("umount2", libc::SYS_umount2),
    ("fsopen", libc::SYS_fsopen),
    ("open_tree", libc::SYS_open_tree),
    ("pivot_root", libc::SYS_pivot_root),
    ("chroot", libc::SYS_chroot),
    ("unshare", libc::SYS_unshare),
    ("setns", libc::SYS_setns),
    ("clone3", libc::SYS_clone3),
    ("keyctl", libc::SYS_keyctl),
    ("add_key", libc::SYS_add_key),
    ("bpf", libc::SYS_bpf),
    ("perf_event_open", libc::SYS_perf_event_open),
    ("io_uring_setup", libc::SYS_io_uring_setup),
    ("userfaultfd", libc::SYS_userfaultfd),
    ("init_module", libc::SYS_init_module),
    ("kexec_load", libc::SYS_kexec_load),
    ("reboot", libc::SYS_reboot),
    ("swapon", libc::SYS_swapon),
    ("open_by_handle_at", libc::SYS_open_by_handle_at),
    ("a call of the future", 9_999),
];

/// With harmless arguments, so that a call that is let through answers anything but ENOSYS.
fn calls() -> Result<()> {
    let numbers: Vec<_> = NUMBERS.iter().map(|(_, number)| number.to_string()).collect();
    let script = format!(
        "for ({}) {{ syscall($_, 0, 0, 0, 0, 0); print 0 + $!, \"\\n\" }}",
        numbers.join(",")
    );
    let done = Case::perl(&script)?.run()?;
    let answers: Vec<_> = done.stdout.lines().collect();
    ensure!(answers.len() == NUMBERS.len(), "{done:?}");
    for ((name, _), answer) in NUMBERS.iter().zip(answers) {
        ensure!(answer == libc::ENOSYS.to_string(), "{name} answered {answer}");
    }
    Ok(())
}

fn sockets() -> Result<()> {
    let (raw, stream, datagram) = (libc::SOCK_RAW, libc::SOCK_STREAM, libc::SOCK_DGRAM);
    let wanted = [
        (libc::AF_PACKET, raw, 3, false),
        (libc::AF_PACKET, datagram, 3, false),
        (libc::AF_INET, raw, 1, false),
        (libc::AF_INET, raw | libc::SOCK_CLOEXEC, 255, false),
        (libc::AF_INET6, raw, 58, false),
        (libc::AF_NETLINK, raw, libc::NETLINK_AUDIT, false),
        (libc::AF_NETLINK, raw, libc::NETLINK_NETFILTER, false),
        (libc::AF_VSOCK, stream, 0, false),
        (libc::AF_ALG, 5, 0, false),
        (libc::AF_NETLINK, raw, libc::NETLINK_ROUTE, true),
        (libc::AF_UNIX, stream, 0, true),
        (libc::AF_INET, stream, 0, true),
        (libc::AF_INET6, datagram, 0, true),
    ];
    let line = |(family, kind, protocol, _)| {
        format!(
            "print syscall({},{family},{kind},{protocol}) >= 0 ? 1 : $!{{EPERM}} ? 0 : $!;",
            libc::SYS_socket
        )
    };
    let script: String = wanted.map(line).concat();
    let done = Case::perl(&script)?.run()?;
    let expected: String = wanted
        .map(|(.., allowed)| if allowed { "1" } else { "0" })
        .concat();
    ensure!(done.stdout == expected, "{done:?}, not {expected}");
    Ok(())
}

fn privileges() -> Result<()> {
    let script = "grep -E '^(Cap(Eff|Prm|Bnd)|NoNewPrivs|Seccomp|Groups):' /proc/self/status; grep Seccomp: /proc/1/status; \
                  find /usr/bin -perm -4000 -exec cp {} ./ \\; ; cp /usr/bin/id ./id; chmod 4755 ./id; ./id -un; \
                  su -c id; passwd -d root; true";
    let done = Case::shell(script)?.run()?;
    let shown = |key: &str| {
        let mut lines = done.stdout.lines().filter_map(|line| line.split_once(":\t"));
        lines
            .find(|(each, _)| *each == key)
            .map(|(_, value)| value.trim().to_owned())
    };
    for key in ["CapEff", "CapPrm", "CapBnd"] {
        ensure!(
            shown(key).as_deref() == Some("0000000000000000"),
            "{key}: {done:?}"
        );
    }
    ensure!(shown("NoNewPrivs").as_deref() == Some("1"), "{done:?}");
    // The first process is bwrap's, whose memory a job may write to.
    ensure!(done.stdout.matches("Seccomp:\t2\n").count() == 2, "{done:?}");
    ensure!(done.stdout.ends_with("\nscraper\n"), "{done:?}");
    Ok(())
}

fn namespaces() -> Result<()> {
    let script =
        "for kind in user mount pid net ipc uts cgroup; do unshare --$kind true && echo $kind; done; true";
    let done = Case::shell(script)?.run()?;
    ensure!(
        done.ended == Ended::Exited(0) && done.stdout.is_empty(),
        "{done:?}"
    );
    ensure!(done.stderr.matches("unshare failed").count() == 7, "{done:?}");
    Ok(())
}
