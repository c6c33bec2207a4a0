//! Which system calls a job may make: two filters that hold together.
//!
//! The first allows what programs need, as container engines do; what it does not know answers ENOSYS, so that a C library that tries
//! something newer falls back. The second refuses, with EPERM, what depends on arguments.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, sock_filter,
};

use super::calls::{ALLOWED, ALLOWED_OF_ARCHITECTURE};

/// The filters. The first does not allow to load another: load the last first.
pub(super) fn filters() -> Result<[BpfProgram; 2], BackendError> {
    Ok([known_calls()?, refused_arguments()?])
}

/// The bytes that `bwrap --add-seccomp-fd` reads.
pub(super) fn bytes(program: &[sock_filter]) -> Vec<u8> {
    let instruction = |each: &sock_filter| {
        let [a, b] = each.code.to_ne_bytes();
        let [c, d, e, f] = each.k.to_ne_bytes();
        [a, b, each.jt, each.jf, c, d, e, f]
    };
    program.iter().flat_map(instruction).collect()
}

fn known_calls() -> Result<BpfProgram, BackendError> {
    let calls = ALLOWED.iter().chain(ALLOWED_OF_ARCHITECTURE);
    let rules = calls.map(|&call| (call, Vec::new())).collect();
    compile(
        rules,
        SeccompAction::Errno(libc::ENOSYS as u32),
        SeccompAction::Allow,
    )
}

fn refused_arguments() -> Result<BpfProgram, BackendError> {
    let rules = BTreeMap::from([
        (
            libc::SYS_socket,
            vec![other_families()?, raw_sockets()?, other_netlink()?],
        ),
        (
            libc::SYS_clone,
            namespaces()?.into_iter().chain([files_of_its_own()?]).collect(),
        ),
        (libc::SYS_close_range, vec![close_in_a_copy()?]),
        (libc::SYS_ioctl, terminal_input()?),
    ]);
    compile(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EPERM as u32),
    )
}

fn compile(
    rules: BTreeMap<c_long, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    matching: SeccompAction,
) -> Result<BpfProgram, BackendError> {
    let architecture = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, otherwise, matching, architecture)?.try_into()
}

/// Packets, virtual machines, Bluetooth, and what else is neither Unix, nor IP, nor the list of the own addresses (netlink).
fn other_families() -> Result<SeccompRule, BackendError> {
    let families = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
    let other = families.map(|family| argument(0, SeccompCmpOp::Ne, family as u64));
    SeccompRule::new(other.into_iter().collect::<Result<_, _>>()?)
}

/// The kind of a socket is in the low four bits; the others are flags.
fn raw_sockets() -> Result<SeccompRule, BackendError> {
    SeccompRule::new(vec![
        argument(0, SeccompCmpOp::Ne, libc::AF_NETLINK as u64)?,
        argument(1, SeccompCmpOp::MaskedEq(0xf), libc::SOCK_RAW as u64)?,
    ])
}

fn other_netlink() -> Result<SeccompRule, BackendError> {
    SeccompRule::new(vec![
        argument(0, SeccompCmpOp::Eq, libc::AF_NETLINK as u64)?,
        argument(2, SeccompCmpOp::Ne, libc::NETLINK_ROUTE as u64)?,
    ])
}

/// One rule for each kind of namespace.
fn namespaces() -> Result<Vec<SeccompRule>, BackendError> {
    let kinds = [
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWNS,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWCGROUP,
    ];
    let flag = |kind: i32| {
        let kind = kind as u64;
        SeccompRule::new(vec![argument(0, SeccompCmpOp::MaskedEq(kind), kind)?])
    };
    kinds.into_iter().map(flag).collect()
}

/// A thread with open files of its own: the supervisor counts those of a process once.
fn files_of_its_own() -> Result<SeccompRule, BackendError> {
    let flags = (libc::CLONE_THREAD | libc::CLONE_FILES) as u64;
    let thread = libc::CLONE_THREAD as u64;
    SeccompRule::new(vec![argument(0, SeccompCmpOp::MaskedEq(flags), thread)?])
}

/// Another way to get them.
fn close_in_a_copy() -> Result<SeccompRule, BackendError> {
    let unshare = u64::from(libc::CLOSE_RANGE_UNSHARE);
    SeccompRule::new(vec![argument(2, SeccompCmpOp::MaskedEq(unshare), unshare)?])
}

/// What types into somebody's terminal.
fn terminal_input() -> Result<Vec<SeccompRule>, BackendError> {
    let request = |number| SeccompRule::new(vec![argument(1, SeccompCmpOp::Eq, number)?]);
    [libc::TIOCSTI, libc::TIOCLINUX]
        .into_iter()
        .map(request)
        .collect()
}

fn argument(index: u8, is: SeccompCmpOp, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(index, SeccompCmpArgLen::Dword, is, value)
}
