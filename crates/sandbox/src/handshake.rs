//! The worker's end of the conversation with [`contain`](crate::contain()).

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;

use crate::backend::{Failure, naming};
use crate::job::Gateway;
use crate::wire::Report;

/// How long containing may take, on a machine under load.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// The longest report.
const REPORT_BYTES: usize = 4096;
/// The most descriptors that go with a line.
const DESCRIPTORS: usize = 3;

/// Sends one line of JSON, and descriptors with its first byte.
pub(crate) fn send(
    control: &UnixStream,
    message: &impl Serialize,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let line = format!("{}\n", serde_json::to_string(message)?);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    let bytes = line.as_bytes();
    let sent = sendmsg(
        control,
        &[IoSlice::new(bytes)],
        &mut ancillary,
        SendFlags::NOSIGNAL,
    )?;
    io::Write::write_all(&mut &*control, bytes.get(sent..).unwrap_or_default())
}

/// Receives one line of at most so many bytes, and the descriptors that came with it. Nothing behind the line may have been sent yet.
pub(crate) fn receive(control: &UnixStream, most_bytes: usize) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let (mut line, mut descriptors) = (Vec::new(), Vec::new());
    while !line.ends_with(b"\n") {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut bytes = [0; REPORT_BYTES];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let received = recvmsg(control, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, flags)?;
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = message {
                descriptors.extend(received);
            }
        }
        if received.bytes == 0 || line.len() > most_bytes {
            return Err(io::Error::other(
                "the process that contains it has ended; see its standard error",
            ));
        }
        line.extend(bytes.iter().take(received.bytes));
    }
    Ok((line, descriptors))
}

/// Waits until it is contained: the inode of its network namespace, and where its connections arrive.
pub(crate) fn await_ready(control: &UnixStream) -> Result<(u64, Option<Gateway>), Failure> {
    let (line, sockets) = receive(control, REPORT_BYTES).map_err(naming("containing the job"))?;
    let report = serde_json::from_slice(&line)
        .map_err(io::Error::from)
        .map_err(naming("containing the job"))?;
    match report {
        Report::Ready { network } => Ok((network, gateway(sockets))),
        Report::Failed { ability, what, errno } => {
            let source = errno.map_or_else(
                || io::Error::other("see its standard error"),
                io::Error::from_raw_os_error,
            );
            Err(Failure {
                ability: Some(ability),
                what,
                source,
            })
        }
    }
}

fn gateway(sockets: Vec<OwnedFd>) -> Option<Gateway> {
    let mut sockets = sockets.into_iter();
    Some(Gateway {
        connections: TcpListener::from(sockets.next()?),
        names: UdpSocket::from(sockets.next()?),
        names_tcp: TcpListener::from(sockets.next()?),
        resolver: (Ipv4Addr::LOCALHOST, 53).into(),
    })
}
