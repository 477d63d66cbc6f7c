//! What a shard wants sent: buffers made once, filled front to back, handed out as one batch.

use std::net::SocketAddr;

/// The longest datagram we send. What we receive is never longer than an Ethernet frame, and what we
/// send is at most a header extension and a tag longer.
pub const MAX_DATAGRAM_LEN: usize = 1600;

/// A datagram to be sent, borrowed from its shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transmit<'a> {
    /// Index of the socket to send from.
    pub socket: usize,
    /// Where to.
    pub to: SocketAddr,
    /// What.
    pub bytes: &'a [u8],
}

#[derive(Debug)]
struct Slot {
    socket: usize,
    to: SocketAddr,
    len: usize,
}

/// A fixed number of outgoing datagrams.
#[derive(Debug)]
pub(crate) struct TransmitQueue {
    slots: Vec<Slot>,
    buffers: Box<[[u8; MAX_DATAGRAM_LEN]]>,
    taken: usize,
    overflowed: u64,
}

impl TransmitQueue {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            slots: Vec::with_capacity(capacity),
            buffers: vec![[0; MAX_DATAGRAM_LEN]; capacity].into_boxed_slice(),
            taken: 0,
            overflowed: 0,
        }
    }

    /// Returns how many more datagrams fit.
    pub(crate) fn room(&self) -> usize {
        self.buffers.len() - self.slots.len()
    }

    pub(crate) const fn overflowed(&self) -> u64 {
        self.overflowed
    }

    /// Lets `write` fill a buffer; the datagram is queued if it returns a length.
    pub(crate) fn push(
        &mut self,
        socket: usize,
        to: SocketAddr,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> bool {
        let Some(buffer) = self.buffers.get_mut(self.slots.len()) else {
            self.overflowed += 1;
            return false;
        };
        match write(buffer) {
            Some(len) if len <= MAX_DATAGRAM_LEN => {
                self.slots.push(Slot { socket, to, len });
                true
            }
            Some(_) | None => false,
        }
    }

    /// Queues a copy; what is too long is dropped.
    pub(crate) fn push_copy(&mut self, socket: usize, to: SocketAddr, bytes: &[u8]) -> bool {
        self.push(socket, to, |buffer| {
            buffer.get_mut(..bytes.len())?.copy_from_slice(bytes);
            Some(bytes.len())
        })
    }

    /// Takes the next datagram; after the last one, all buffers are free again.
    pub(crate) fn take(&mut self) -> Option<Transmit<'_>> {
        if self.taken == self.slots.len() {
            self.clear();
            return None;
        }
        self.taken += 1;
        self.get(self.taken - 1)
    }

    /// Returns what is queued and not yet taken.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = Transmit<'_>> {
        self.slots[self.taken..]
            .iter()
            .zip(&self.buffers[self.taken..])
            .map(|(slot, buffer)| Transmit {
                socket: slot.socket,
                to: slot.to,
                bytes: &buffer[..slot.len],
            })
    }

    pub(crate) fn clear(&mut self) {
        self.slots.clear();
        self.taken = 0;
    }

    fn get(&self, at: usize) -> Option<Transmit<'_>> {
        let (slot, buffer) = (self.slots.get(at)?, self.buffers.get(at)?);
        Some(Transmit {
            socket: slot.socket,
            to: slot.to,
            bytes: &buffer[..slot.len],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hands_out_in_order_and_drops_when_full() {
        let to = "127.0.0.1:9".parse().unwrap();
        let mut queue = TransmitQueue::new(2);
        assert!(queue.push_copy(0, to, b"a") && queue.push_copy(1, to, b"bc"));
        assert!(!queue.push_copy(0, to, b"d"));
        assert_eq!(
            (queue.room(), queue.overflowed(), queue.iter().len()),
            (0, 1, 2)
        );
        assert_eq!(queue.take().map(|t| t.bytes.to_vec()), Some(b"a".to_vec()));
        assert_eq!(
            queue.take().map(|t| (t.socket, t.bytes.to_vec())),
            Some((1, b"bc".to_vec()))
        );
        assert!(queue.take().is_none());
        assert_eq!(queue.room(), 2);
        assert!(
            !queue.push(0, to, |_| None),
            "nothing written, nothing queued"
        );
        assert!(!queue.push_copy(0, to, &[0; MAX_DATAGRAM_LEN + 1]));
        assert_eq!(queue.room(), 2);
    }
}
