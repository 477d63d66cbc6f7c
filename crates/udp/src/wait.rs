//! Waiting for sockets, a waker and a moment, whichever comes first.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use crate::Socket;

/// Ends a wait from another thread. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Waker {
    event: Arc<OwnedFd>,
}

impl Waker {
    /// Wakes the waiter, or lets its next wait return at once. Several wakes before that count as one.
    pub fn wake(&self) {
        let one: u64 = 1;
        // SAFETY: the descriptor is open as long as `self.event` is, and the buffer is eight bytes of
        // an initialised integer that lives until the call returns.
        let _ = unsafe { libc::write(self.event.as_raw_fd(), (&raw const one).cast(), 8) };
        // The only way to fail is a counter at its limit: then the waiter is woken already.
    }
}

/// Waits for a fixed set of sockets and its waker.
#[derive(Debug)]
pub struct Waiter {
    /// The waker first, then the sockets.
    polled: Vec<libc::pollfd>,
    event: Arc<OwnedFd>,
}

impl Waiter {
    /// Makes a waiter. The sockets must stay open as long as it is used; one that is closed merely no
    /// longer wakes it.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn new<'a>(sockets: impl IntoIterator<Item = &'a Socket>) -> io::Result<Self> {
        // SAFETY: no pointers are passed.
        let raw = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if raw < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call above just opened this descriptor and nobody else owns it.
        let event = unsafe { OwnedFd::from_raw_fd(raw) };
        let entry = |fd| libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        };
        let mut polled = vec![entry(event.as_raw_fd())];
        polled.extend(sockets.into_iter().map(|socket| entry(socket.as_raw_fd())));
        Ok(Self {
            polled,
            event: Arc::new(event),
        })
    }

    /// Returns a waker for this waiter.
    pub fn waker(&self) -> Waker {
        Waker {
            event: Arc::clone(&self.event),
        }
    }

    /// Waits until a socket has something, the waker is used, or the time is over; [`None`] waits for
    /// ever. May return early for no reason.
    ///
    /// # Errors
    /// When the kernel lacks memory.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.poll(timeout, self.polled.len())
    }

    /// Waits for the waker or the time alone, whatever arrives on the sockets meanwhile.
    ///
    /// # Errors
    /// When the kernel lacks memory.
    pub fn pause(&mut self, time: Duration) -> io::Result<()> {
        self.poll(Some(time), 1)
    }

    fn poll(&mut self, timeout: Option<Duration>, count: usize) -> io::Result<()> {
        let limit = timeout.map(|timeout| libc::timespec {
            tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: libc::c_long::from(timeout.subsec_nanos().cast_signed()),
        });
        let limit = limit
            .as_ref()
            .map_or(std::ptr::null(), |limit| &raw const *limit);
        let polled = &mut self.polled[..count];
        // SAFETY: `polled` holds as many entries as stated, `limit` is null or points to a timespec on
        // this stack frame, and a null signal mask is allowed.
        let ready = unsafe {
            libc::ppoll(
                polled.as_mut_ptr(),
                polled.len() as libc::nfds_t,
                limit,
                std::ptr::null(),
            )
        };
        if ready < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::Interrupted {
                Ok(())
            } else {
                Err(error)
            };
        }
        if polled[0].revents != 0 {
            let mut count = 0_u64;
            // SAFETY: the descriptor is open as long as `self.event` is, and the buffer is eight bytes
            // that live until the call returns.
            let _ = unsafe { libc::read(self.event.as_raw_fd(), (&raw mut count).cast(), 8) };
        }
        Ok(())
    }
}
