//! A bound, non-blocking UDP socket.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};

use socket2::{Domain, Protocol, Type};

/// What the kernel may hold for us while a thread is busy: about a tenth of a second at 20,000
/// packets a second. The kernel grants less where its limit is lower.
const BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// A UDP socket bound to one local address.
#[derive(Debug)]
pub struct Socket {
    socket: socket2::Socket,
    local: SocketAddr,
}

impl Socket {
    /// Binds to an address; port 0 picks a free port. IPv6 sockets take IPv6 only.
    ///
    /// # Errors
    /// When the address is taken, not ours, or not allowed.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = socket2::Socket::new(
            Domain::for_address(address),
            Type::DGRAM,
            Some(Protocol::UDP),
        )?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        // Larger buffers only help; without them it works too.
        let _ = socket.set_recv_buffer_size(BUFFER_BYTES);
        let _ = socket.set_send_buffer_size(BUFFER_BYTES);
        let local = socket
            .local_addr()?
            .as_socket()
            .ok_or(io::ErrorKind::Unsupported)?;
        Ok(Self { socket, local })
    }

    /// Returns the address it is bound to.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
