//! Many datagrams in one system call.

use std::io;
use std::mem::{self, MaybeUninit};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;

use crate::Socket;

/// Datagrams moved by one system call.
pub const BATCH: usize = 32;

/// The longest datagram that is received whole; a longer one is passed over.
pub const MAX_DATAGRAM_LEN: usize = 2048;

/// Buffers for one batch of datagrams, used again and again.
pub struct ReceiveBatch {
    buffers: Box<[[u8; MAX_DATAGRAM_LEN]; BATCH]>,
    addresses: Box<[libc::sockaddr_storage; BATCH]>,
    lengths: [u32; BATCH],
    truncated: [bool; BATCH],
    filled: usize,
}

impl Default for ReceiveBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl ReceiveBatch {
    /// Makes an empty batch.
    pub fn new() -> Self {
        Self {
            buffers: vec![[0; MAX_DATAGRAM_LEN]; BATCH]
                .into_boxed_slice()
                .try_into()
                .expect("the vector has exactly this length"),
            addresses: Box::new([no_address(); BATCH]),
            lengths: [0; BATCH],
            truncated: [false; BATCH],
            filled: 0,
        }
    }

    /// Returns the datagrams of the last [`Socket::receive`], with whom they are from.
    pub fn datagrams(&mut self) -> impl Iterator<Item = (SocketAddr, &mut [u8])> {
        let filled = self.filled;
        self.buffers[..filled]
            .iter_mut()
            .zip(&self.addresses[..filled])
            .zip(&self.lengths)
            .zip(&self.truncated)
            .filter_map(|(((buffer, address), len), truncated)| {
                let address = read_address(address)?;
                let bytes = buffer.get_mut(..*len as usize)?;
                (!truncated).then_some((address, bytes))
            })
    }
}

impl std::fmt::Debug for ReceiveBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReceiveBatch")
            .field("filled", &self.filled)
            .finish_non_exhaustive()
    }
}

impl Socket {
    /// Takes what has arrived, up to [`BATCH`] datagrams, without waiting. Returns how many there were;
    /// fewer than [`BATCH`] means that nothing is left.
    ///
    /// # Errors
    /// When the socket itself fails. That an earlier datagram could not be delivered is no error.
    pub fn receive(&self, batch: &mut ReceiveBatch) -> io::Result<usize> {
        batch.filled = 0;
        let mut slices = [libc::iovec {
            iov_base: std::ptr::null_mut(),
            iov_len: 0,
        }; BATCH];
        let mut headers = [no_header(); BATCH];
        for (at, header) in headers.iter_mut().enumerate() {
            slices[at] = libc::iovec {
                iov_base: batch.buffers[at].as_mut_ptr().cast(),
                iov_len: MAX_DATAGRAM_LEN,
            };
            header.msg_hdr.msg_name = (&raw mut batch.addresses[at]).cast();
            header.msg_hdr.msg_namelen = ADDRESS_LEN;
            header.msg_hdr.msg_iov = &raw mut slices[at];
            header.msg_hdr.msg_iovlen = 1;
        }
        let received = loop {
            // SAFETY: `headers` holds BATCH entries; each points to one of `slices`, which points to a
            // buffer of the given length, and to an address of the given length. All of them live and
            // stay put until the call returns, and nothing else refers to them. The descriptor is open
            // as long as `self` is. A null timeout is allowed; MSG_DONTWAIT keeps the call short.
            let result = unsafe {
                libc::recvmmsg(
                    self.as_raw_fd(),
                    headers.as_mut_ptr(),
                    BATCH as libc::c_uint,
                    libc::MSG_DONTWAIT,
                    std::ptr::null_mut(),
                )
            };
            match usize::try_from(result) {
                Ok(received) => break received,
                Err(_) => {
                    let error = io::Error::last_os_error();
                    match error.raw_os_error() {
                        // Interrupted, or told once what became of an earlier datagram.
                        Some(
                            libc::EINTR
                            | libc::ECONNREFUSED
                            | libc::EHOSTUNREACH
                            | libc::ENETUNREACH,
                        ) => {}
                        Some(libc::EAGAIN) => break 0,
                        Some(_) | None => return Err(error),
                    }
                }
            }
        };
        for (at, header) in headers.iter().enumerate().take(received) {
            batch.lengths[at] = header.msg_len;
            batch.truncated[at] = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
        }
        batch.filled = received;
        Ok(received)
    }
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sent {
    /// Datagrams that the kernel took.
    pub sent: usize,
    /// Datagrams that it refused: buffer full, unreachable, no route.
    pub dropped: usize,
}

/// Room for the addresses of one batch, used again and again.
pub struct SendBatch {
    addresses: Box<[libc::sockaddr_storage; BATCH]>,
}

impl Default for SendBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl SendBatch {
    /// Makes an empty batch.
    pub fn new() -> Self {
        Self {
            addresses: Box::new([no_address(); BATCH]),
        }
    }

    /// Sends datagrams, [`BATCH`] at a time, without waiting. One that the kernel refuses is
    /// dropped, as the network would, and the rest are still sent.
    pub fn send<'a>(
        &mut self,
        socket: &Socket,
        datagrams: impl IntoIterator<Item = (SocketAddr, &'a [u8])>,
    ) -> Sent {
        let mut total = Sent::default();
        let mut datagrams = datagrams.into_iter();
        loop {
            let mut slices = [libc::iovec {
                iov_base: std::ptr::null_mut(),
                iov_len: 0,
            }; BATCH];
            let mut headers = [no_header(); BATCH];
            let mut filled = 0;
            for (to, bytes) in datagrams.by_ref().take(BATCH) {
                slices[filled] = libc::iovec {
                    iov_base: bytes.as_ptr().cast_mut().cast(),
                    iov_len: bytes.len(),
                };
                let header = &mut headers[filled].msg_hdr;
                header.msg_namelen = write_address(to, &mut self.addresses[filled]);
                header.msg_name = (&raw mut self.addresses[filled]).cast();
                header.msg_iov = &raw mut slices[filled];
                header.msg_iovlen = 1;
                filled += 1;
            }
            if filled == 0 {
                return total;
            }
            send_all(socket, &mut headers[..filled], &mut total);
            if filled < BATCH {
                return total;
            }
        }
    }
}

impl std::fmt::Debug for SendBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SendBatch")
    }
}

fn send_all(socket: &Socket, headers: &mut [libc::mmsghdr], total: &mut Sent) {
    let mut rest = headers;
    while !rest.is_empty() {
        let count = libc::c_uint::try_from(rest.len()).unwrap_or(BATCH as libc::c_uint);
        // SAFETY: `rest` holds `count` entries made by `SendBatch::send`, whose names and slices
        // point to memory that lives until that function returns; the kernel only reads the datagrams.
        // The descriptor is open as long as `socket` is.
        let result = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                rest.as_mut_ptr(),
                count,
                libc::MSG_DONTWAIT,
            )
        };
        let done = match usize::try_from(result) {
            Ok(sent) => {
                total.sent += sent;
                sent
            }
            Err(_) => {
                let refused = match io::Error::last_os_error().raw_os_error() {
                    Some(libc::EINTR) => 0,
                    // The socket's buffer is full: what waits would only come too late.
                    Some(libc::EAGAIN) => rest.len(),
                    // The first one has no way; the others may have.
                    Some(_) | None => 1,
                };
                total.dropped += refused;
                refused
            }
        };
        rest = &mut rest[done..];
    }
}

const ADDRESS_LEN: libc::socklen_t = mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;

fn no_address() -> libc::sockaddr_storage {
    // SAFETY: the type is plain data for which all zeros is a valid value (family AF_UNSPEC).
    unsafe { MaybeUninit::zeroed().assume_init() }
}

fn no_header() -> libc::mmsghdr {
    // SAFETY: the type is plain data for which all zeros is a valid value (null pointers, no lengths).
    unsafe { MaybeUninit::zeroed().assume_init() }
}

fn read_address(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match libc::c_int::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that the kernel wrote a sockaddr_in, which is smaller than the
            // storage and aligned no more strictly.
            let v4 = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above, for sockaddr_in6.
            let v6 = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            let port = u16::from_be(v6.sin6_port);
            Some(SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id).into())
        }
        _ => None,
    }
}

fn write_address(address: SocketAddr, storage: &mut libc::sockaddr_storage) -> libc::socklen_t {
    match address {
        SocketAddr::V4(v4) => {
            let written = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr {
                    s_addr: u32::from(*v4.ip()).to_be(),
                },
                sin_zero: [0; 8],
            };
            // SAFETY: the storage is larger than a sockaddr_in and aligned at least as strictly, and
            // it is borrowed exclusively.
            unsafe {
                (&raw mut *storage)
                    .cast::<libc::sockaddr_in>()
                    .write(written)
            };
            mem::size_of::<libc::sockaddr_in>() as libc::socklen_t
        }
        SocketAddr::V6(v6) => {
            let written = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr {
                    s6_addr: v6.ip().octets(),
                },
                sin6_scope_id: v6.scope_id(),
            };
            // SAFETY: as above, for sockaddr_in6.
            unsafe {
                (&raw mut *storage)
                    .cast::<libc::sockaddr_in6>()
                    .write(written)
            };
            mem::size_of::<libc::sockaddr_in6>() as libc::socklen_t
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_kernel_form() {
        for text in ["192.0.2.7:65535", "[2001:db8::1]:1", "[fe80::2%3]:9"] {
            let address: SocketAddr = text.parse().unwrap();
            let mut storage = no_address();
            let len = write_address(address, &mut storage);
            assert!(len <= ADDRESS_LEN);
            assert_eq!(read_address(&storage), Some(address));
        }
        assert_eq!(read_address(&no_address()), None);
    }
}
