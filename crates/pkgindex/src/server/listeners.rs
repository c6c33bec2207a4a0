//! The sockets that listen.

use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

/// How many connections the system holds for us until they are accepted.
const BACKLOG: i32 = 4096;

/// After how long in silence the system asks whether the client is still there, so that lost ones do not keep their places for ever.
const KEEPALIVE: Duration = Duration::from_secs(300);

/// Binds all addresses.
pub(super) fn bind(addresses: &[SocketAddr]) -> io::Result<Vec<TcpListener>> {
    let with_ipv4 = addresses.iter().any(SocketAddr::is_ipv4);
    let listeners = addresses.iter().map(|&address| {
        listen(address, with_ipv4).map_err(|error| {
            let advice = advice(error.kind());
            io::Error::new(
                error.kind(),
                format!("cannot listen on {address}: {error}{advice}"),
            )
        })
    });
    listeners.collect()
}

fn advice(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::AddrInUse => "; stop the program that uses it or choose another port",
        io::ErrorKind::AddrNotAvailable => "; choose an address of this machine",
        io::ErrorKind::PermissionDenied => "; choose a port above 1023 or give this program the right",
        _ => "",
    }
}

fn listen(address: SocketAddr, with_ipv4: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(with_ipv4)?;
    }
    socket.set_reuse_address(true)?;
    // Accepted connections have these two from their listener.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Listeners in a reactor.
pub(super) struct Listeners {
    listeners: Vec<tokio::net::TcpListener>,
    /// Which one is asked first; another one each time, so that none waits behind a busy one.
    first: usize,
}

impl Listeners {
    /// Must be called inside a runtime.
    pub(super) fn new(listeners: Vec<TcpListener>) -> io::Result<Self> {
        Ok(Self {
            listeners: listeners
                .into_iter()
                .map(tokio::net::TcpListener::from_std)
                .collect::<Result<_, _>>()?,
            first: 0,
        })
    }

    /// The next connection of any listener, taken out of this reactor, because another one will watch it.
    pub(super) async fn accept(&mut self) -> io::Result<TcpStream> {
        let (stream, _) = poll_fn(|context| self.poll_accept(context)).await?;
        stream.into_std()
    }

    fn poll_accept(
        &mut self,
        context: &mut Context,
    ) -> Poll<io::Result<(tokio::net::TcpStream, SocketAddr)>> {
        self.first = (self.first + 1) % self.listeners.len().max(1);
        let (behind, ahead) = self.listeners.split_at(self.first);
        for listener in ahead.iter().chain(behind) {
            if let Poll::Ready(accepted) = listener.poll_accept(context) {
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    }
}
