//! The few netlink messages that make a job's network: `lo` up, every address local, TCP redirected. As commands:
//!
//! ```text
//! ip link set lo up
//! ip route add local 0.0.0.0/0 dev lo
//! nft add table ip haul
//! nft add chain ip haul out '{ type nat hook output priority -100; }'
//! nft add rule ip haul out ip daddr != 127.0.0.0/8 tcp dport != 53 redirect to :PORT
//! ```

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

const REQUEST: u16 = libc::NLM_F_REQUEST as u16;
const ACKNOWLEDGE: u16 = libc::NLM_F_ACK as u16;
const CREATE: u16 = libc::NLM_F_CREATE as u16;
const APPEND: u16 = libc::NLM_F_APPEND as u16;
const NESTED: u16 = libc::NLA_F_NESTED as u16;
/// `lo` is the first interface of every network namespace.
const LOOPBACK: u32 = 1;
const TABLE: &[u8] = b"haul\0";
const CHAIN: &[u8] = b"out\0";
const DNS_PORT: u16 = 53;
/// Where an IPv4 header has the address that it goes to (RFC 791), and with what the addresses of the own machine begin.
const DESTINATION: u32 = 16;
const LOCALHOST: u8 = 127;

/// Sets `lo` up.
pub(super) fn loopback_up() -> io::Result<()> {
    let up = libc::IFF_UP as u32;
    let mut body = vec![0; 4];
    for word in [LOOPBACK, up, up] {
        body.extend(word.to_ne_bytes());
    }
    let flags = REQUEST | ACKNOWLEDGE;
    exchange(
        SockProtocol::NetlinkRoute,
        &message(libc::RTM_NEWLINK, flags, &body),
    )
}

/// Makes every IPv4 address one of this machine's own.
pub(super) fn all_addresses_local() -> io::Result<()> {
    let (any_length, scope) = (0, libc::RT_SCOPE_HOST);
    let kind = [libc::RT_TABLE_LOCAL, libc::RTPROT_BOOT, scope, libc::RTN_LOCAL];
    let mut body = vec![libc::AF_INET as u8, any_length, 0, 0];
    body.extend(kind);
    body.extend([0; 4]);
    body.extend(attribute(libc::RTA_OIF, &LOOPBACK.to_ne_bytes()));
    let flags = REQUEST | ACKNOWLEDGE | CREATE;
    exchange(
        SockProtocol::NetlinkRoute,
        &message(libc::RTM_NEWROUTE, flags, &body),
    )
}

/// Sends every TCP connection to this port of ours, but those to port 53, and those to 127.0.0.0/8: a program may talk to itself.
pub(super) fn redirect_tcp(port: u16) -> io::Result<()> {
    let mut batch = batch_mark(libc::NFNL_MSG_BATCH_BEGIN);
    batch.extend(nftables(libc::NFT_MSG_NEWTABLE, CREATE, &attribute(1, TABLE)));
    batch.extend(nftables(libc::NFT_MSG_NEWCHAIN, CREATE, &chain()));
    let flags = CREATE | APPEND | ACKNOWLEDGE;
    batch.extend(nftables(libc::NFT_MSG_NEWRULE, flags, &rule(port)));
    batch.extend(batch_mark(libc::NFNL_MSG_BATCH_END));
    exchange(SockProtocol::NetlinkNetFilter, &batch)
}

fn chain() -> Vec<u8> {
    let destination_nat: i32 = -100;
    let hook = [
        number(1, libc::NF_INET_LOCAL_OUT as u32),
        attribute(2, &destination_nat.to_be_bytes()),
    ];
    [
        attribute(1, TABLE),
        attribute(3, CHAIN),
        attribute(7, b"nat\0"),
        nested(4, &hook),
    ]
    .concat()
}

/// The rule as the kernel's small machine reads it: load into register 1, compare, put the port there, redirect.
fn rule(port: u16) -> Vec<u8> {
    let register = |kind| number(kind, libc::NFT_REG_1 as u32);
    let compare = |operation: i32, value: &[u8]| {
        let against = nested(3, &[attribute(1, value)]);
        expression(b"cmp\0", &[register(1), number(2, operation as u32), against])
    };
    let protocol = expression(
        b"meta\0",
        &[number(2, libc::NFT_META_L4PROTO as u32), register(1)],
    );
    let payload = |header: i32, at: u32, length: u32| {
        let place = [number(2, header as u32), number(3, at), number(4, length)];
        expression(b"payload\0", &[&[register(1)][..], &place].concat())
    };
    let new_port = [register(1), nested(2, &[attribute(1, &port.to_be_bytes())])];
    let expressions = [
        protocol,
        compare(libc::NFT_CMP_EQ, &[libc::IPPROTO_TCP as u8]),
        payload(libc::NFT_PAYLOAD_NETWORK_HEADER, DESTINATION, 1),
        compare(libc::NFT_CMP_NEQ, &[LOCALHOST]),
        payload(libc::NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2),
        compare(libc::NFT_CMP_NEQ, &DNS_PORT.to_be_bytes()),
        expression(b"immediate\0", &new_port),
        expression(b"redir\0", &[register(1)]),
    ];
    [attribute(1, TABLE), attribute(2, CHAIN), nested(4, &expressions)].concat()
}

fn expression(name: &[u8], data: &[Vec<u8>]) -> Vec<u8> {
    nested(1, &[attribute(1, name), nested(2, data)])
}

fn nested(kind: u16, inner: &[Vec<u8>]) -> Vec<u8> {
    attribute(kind | NESTED, &inner.concat())
}

fn number(kind: u16, value: u32) -> Vec<u8> {
    attribute(kind, &value.to_be_bytes())
}

/// Length, kind, value, and padding to four bytes. All of ours are short.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = 4 + value.len() as u16;
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn batch_mark(kind: i32) -> Vec<u8> {
    let subsystem = (libc::NFNL_SUBSYS_NFTABLES as u16).to_be_bytes();
    message(kind as u16, REQUEST, &[0, 0, subsystem[0], subsystem[1]])
}

fn nftables(kind: i32, flags: u16, attributes: &[u8]) -> Vec<u8> {
    let kind = (libc::NFNL_SUBSYS_NFTABLES as u16) << 8 | kind as u16;
    let family = [libc::NFPROTO_IPV4 as u8, libc::NFNETLINK_V0 as u8, 0, 0];
    message(kind, REQUEST | flags, &[&family, attributes].concat())
}

fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let length = 16 + body.len() as u32;
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend(body);
    bytes
}

/// Sends messages of which one asks for an answer, and waits for it.
fn exchange(protocol: SockProtocol, messages: &[u8]) -> io::Result<()> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket: OwnedFd = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
    send(socket.as_raw_fd(), messages, MsgFlags::empty())?;
    let mut answer = [0; 4096];
    let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    outcome(answer.get(..length).unwrap_or_default())
}

/// The error number follows the 16 bytes of an answer's header; 0 is success.
fn outcome(answer: &[u8]) -> io::Result<()> {
    let word = answer.get(16..20).and_then(|bytes| bytes.try_into().ok());
    match word.map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(errno) => Err(io::Error::from_raw_os_error(-errno)),
        None => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
    }
}
