//! Datagrams in batches between sockets on loopback, and waits that end.
#![expect(clippy::unwrap_used, reason = "what a test prepares must succeed")]

use std::net::SocketAddr;
use std::time::Duration;

use ringtrip_udp::{BATCH, MAX_DATAGRAM_LEN, ReceiveBatch, SendBatch, Socket, Waiter};

fn socket(address: &str) -> Socket {
    Socket::bind(address.parse().unwrap()).unwrap()
}

/// Receives until `count` datagrams are there, each as sender and bytes.
fn receive(socket: &Socket, waiter: &mut Waiter, count: usize) -> Vec<(SocketAddr, Vec<u8>)> {
    let mut batch = ReceiveBatch::new();
    let mut all = Vec::new();
    while all.len() < count {
        if socket.receive(&mut batch).unwrap() == 0 {
            waiter.wait(Some(Duration::from_secs(10))).unwrap();
        }
        all.extend(
            batch
                .datagrams()
                .map(|(from, bytes)| (from, bytes.to_vec())),
        );
    }
    all
}

#[test]
fn batches_arrive_in_order_with_their_senders() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let (a, b) = (socket(address), socket(address));
        assert_ne!(a.local_addr().port(), 0);
        let mut waiter = Waiter::new([&b]).unwrap();
        let payloads: Vec<Vec<u8>> = (0..BATCH as u8 * 3 + 5)
            .map(|n| vec![n; usize::from(n)])
            .collect();
        let sent = SendBatch::new().send(&a, payloads.iter().map(|p| (b.local_addr(), &p[..])));
        assert_eq!((sent.sent, sent.dropped), (payloads.len(), 0));
        let received = receive(&b, &mut waiter, payloads.len());
        for ((from, bytes), payload) in received.iter().zip(&payloads) {
            assert_eq!((*from, bytes), (a.local_addr(), payload));
        }
    }
}

#[test]
fn received_bytes_may_be_changed_where_they_lie() {
    let (a, b) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
    let mut waiter = Waiter::new([&b]).unwrap();
    SendBatch::new().send(&a, [(b.local_addr(), &b"abc"[..])]);
    let mut batch = ReceiveBatch::new();
    while b.receive(&mut batch).unwrap() == 0 {
        waiter.wait(Some(Duration::from_secs(10))).unwrap();
    }
    for (_, bytes) in batch.datagrams() {
        bytes.reverse();
    }
    let seen: Vec<_> = batch.datagrams().map(|(_, bytes)| bytes.to_vec()).collect();
    assert_eq!(seen, [b"cba".to_vec()]);
}

#[test]
fn datagrams_that_do_not_fit_are_passed_over() {
    let (a, b) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
    let mut waiter = Waiter::new([&b]).unwrap();
    let (long, exact) = (vec![1; MAX_DATAGRAM_LEN + 1], vec![2; MAX_DATAGRAM_LEN]);
    SendBatch::new().send(
        &a,
        [&long, &exact].map(|bytes| (b.local_addr(), &bytes[..])),
    );
    let received = receive(&b, &mut waiter, 1);
    assert_eq!(received, [(a.local_addr(), exact)]);
}

#[test]
fn one_refused_datagram_does_not_stop_the_others() {
    let (a, b) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
    let mut waiter = Waiter::new([&b]).unwrap();
    let wrong_family = "[::1]:9".parse().unwrap();
    let nobody = socket("127.0.0.1:0").local_addr();
    let to = [b.local_addr(), wrong_family, nobody, b.local_addr()];
    let sent = SendBatch::new().send(&a, to.map(|to| (to, &b"x"[..])));
    assert_eq!((sent.sent, sent.dropped), (3, 1));
    assert_eq!(receive(&b, &mut waiter, 2).len(), 2);
    // The refusal that came back from `nobody` disturbs neither direction.
    assert_eq!(a.receive(&mut ReceiveBatch::new()).unwrap(), 0);
    assert_eq!(
        SendBatch::new()
            .send(&a, [(b.local_addr(), &b"y"[..])])
            .sent,
        1
    );
    assert_eq!(receive(&b, &mut waiter, 1).len(), 1);
}

#[test]
fn a_waker_ends_waits_and_is_not_lost() {
    let idle = socket("127.0.0.1:0");
    let mut waiter = Waiter::new([&idle]).unwrap();
    let waker = waiter.waker();
    // Before the wait: it returns at once, or this test never ends.
    waker.wake();
    waker.wake();
    waiter.wait(None).unwrap();
    // During the wait.
    let thread = std::thread::spawn(move || waker.wake());
    waiter.wait(None).unwrap();
    thread.join().unwrap();
}

#[test]
fn a_pause_does_not_listen_to_sockets() {
    let (a, b) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
    let mut waiter = Waiter::new([&b]).unwrap();
    SendBatch::new().send(&a, [(b.local_addr(), &b"x"[..])]);
    waiter.pause(Duration::from_micros(500)).unwrap();
    waiter.wait(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(b.receive(&mut ReceiveBatch::new()).unwrap(), 1);
}

#[test]
fn a_taken_address_is_an_error() {
    let first = socket("127.0.0.1:0");
    let error = Socket::bind(first.local_addr()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
}
