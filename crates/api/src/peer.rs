//! Where a request came from, as its listener tells.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::operation::Input;

/// The other end of a request. The listener puts one into every request's extensions; a handler
/// takes it as an argument. Without one nothing is known: a request of nowhere, and not secure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The client's address: of its connection, or what a trusted proxy says it is.
    pub source: IpAddr,
    /// Whether the request came over TLS, to this node or to a trusted proxy.
    pub secure: bool,
}

impl Peer {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self {
        source: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        secure: false,
    };

    /// Returns the peer of a request.
    pub(crate) fn of(parts: &Parts) -> Self {
        parts.extensions.get().copied().unwrap_or(Self::UNKNOWN)
    }

    /// Returns what limits count by: the address, or the network of 64 bits that an IPv6 address is
    /// in, since every customer has at least that many to choose from.
    pub const fn network(&self) -> IpAddr {
        network_of(self.source)
    }

    /// Tells whether what is sent can be read by no third party: it came over TLS, or never left the
    /// client's machine.
    pub const fn is_private(&self) -> bool {
        self.secure || self.source.is_loopback()
    }
}

/// What one subscriber has: an IPv4 address, or the first half of an IPv6 one.
pub(crate) const fn network_of(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(parts))
    }
}

impl Input for Peer {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_count_by_address_and_by_network() {
        for (source, network) in [
            ("203.0.113.9", "203.0.113.9"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ] {
            let peer = Peer {
                source: source.parse().unwrap(),
                secure: false,
            };
            assert_eq!(peer.network(), network.parse::<IpAddr>().unwrap());
        }
    }

    #[test]
    fn tls_and_loopback_are_private_and_nothing_else_is() {
        let peer = |source: &str, secure| Peer {
            source: source.parse().unwrap(),
            secure,
        };
        for (peer, expected) in [
            (peer("203.0.113.9", true), true),
            (peer("127.0.0.1", false), true),
            (peer("::1", false), true),
            (peer("203.0.113.9", false), false),
            (peer("10.0.0.1", false), false),
            (Peer::UNKNOWN, false),
        ] {
            assert_eq!(peer.is_private(), expected, "{peer:?}");
        }
    }
}
