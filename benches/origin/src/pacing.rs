//! The rate of a connection, kept by the kernel.

use std::io;
use std::net::TcpStream;
use std::os::fd::AsRawFd;

/// Lets a socket send at most so many bytes per second; all bits set is as fast as it can. TCP keeps the rate itself,
/// whatever the interface, so it holds on loopback too.
#[expect(unsafe_code, reason = "no crate that we use wraps SO_MAX_PACING_RATE")]
pub(crate) fn set_rate(stream: &TcpStream, bytes_per_second: u64) -> io::Result<()> {
    let value = std::ptr::from_ref(&bytes_per_second).cast();
    // SAFETY: the descriptor is open while `stream` lives, and `value` points to eight readable bytes.
    let status = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MAX_PACING_RATE,
            value,
            8,
        )
    };
    if status == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
