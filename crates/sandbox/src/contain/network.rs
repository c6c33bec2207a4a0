use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};

use super::netlink;

/// The sockets that a job's connections arrive at, made inside its network.
pub(super) struct Sockets {
    connections: TcpListener,
    names: UdpSocket,
    names_tcp: TcpListener,
}

impl Sockets {
    /// In the order in which the worker takes them.
    pub(super) fn as_fds(&self) -> [BorrowedFd<'_>; 3] {
        [
            self.connections.as_fd(),
            self.names.as_fd(),
            self.names_tcp.as_fd(),
        ]
    }
}

/// Makes this network namespace lead only to three sockets. Nothing of it can be seen outside.
///
/// A connection from an address that is local to an address that is local has the same address at both ends. So what answers
/// a datagram to 8.8.8.8 sends from 8.8.8.8, and the job's resolver takes it, without a rule for it.
pub(super) fn make() -> io::Result<Sockets> {
    netlink::loopback_up()?;
    netlink::all_addresses_local()?;
    let connections = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    netlink::redirect_tcp(connections.local_addr()?.port())?;
    Ok(Sockets {
        connections,
        names: UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 53))?,
        names_tcp: TcpListener::bind((Ipv4Addr::UNSPECIFIED, 53))?,
    })
}
