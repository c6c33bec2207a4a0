//! Clients that do not read.

use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::served::Client;

pub(crate) const SHORT: Duration = Duration::from_millis(200);

/// A client that has room for a few answers only.
pub(crate) fn with_little_room(address: SocketAddr) -> Client {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&address.into()).unwrap();
    Client::new(socket.into())
}

/// Sends empty lines until nobody takes them for a while. Returns how many were taken.
pub(crate) fn flood(client: &mut Client) -> usize {
    client.stream.set_write_timeout(Some(SHORT)).unwrap();
    let lines = vec![b'\n'; 64 << 10];
    let mut taken = 0;
    loop {
        match client.stream.write(&lines) {
            Ok(count) => taken += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return taken,
            Err(error) => panic!("{error}"),
        }
    }
}
