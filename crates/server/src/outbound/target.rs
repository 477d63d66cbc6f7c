//! Where requests may go.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use url::Host;

use crate::network::Network;

/// Ports that are open to all.
pub(super) const PORTS: [u16; 2] = [80, 443];

/// Where requests may go beside the public internet: `10.0.0.0/8`, `192.168.1.7:9000`, `[fd00::]/8:8080`,
/// `hooks.internal`, `hooks.internal:*`. Without a port, the ports that are open to all; `*` is any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    place: Place,
    port: Port,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Network(Network),
    Name(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Port {
    Open,
    One(u16),
    Any,
}

/// A text that names no target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be an address, a network or a host, each with or without a port: 10.0.0.0/8, [fd00::1]:8080, hooks.internal:*"
)]
pub(crate) struct TargetError;

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let (place, rest) = if let Some(bracketed) = text.strip_prefix('[') {
            let (ip, rest) = bracketed.split_once(']').ok_or(TargetError)?;
            let ip: Ipv6Addr = ip.parse().map_err(|_| TargetError)?;
            network(ip.into(), rest)?
        } else if let Ok(ip) = text.parse::<IpAddr>() {
            network(ip, "")?
        } else if let Some((ip, _)) = text.split_once('/') {
            let address = ip.parse().map_err(|_| TargetError)?;
            network(address, &text[ip.len()..])?
        } else {
            let (host, rest) = text.find(':').map_or((text, ""), |at| text.split_at(at));
            match host.parse::<Ipv4Addr>() {
                Ok(ip) => network(ip.into(), rest)?,
                Err(_) => (Place::Name(name(host)?), rest),
            }
        };
        let port = match rest.strip_prefix(':') {
            None if rest.is_empty() => Port::Open,
            None => return Err(TargetError),
            Some("*") => Port::Any,
            Some(port) => Port::One(port.parse().map_err(|_| TargetError)?),
        };
        Ok(Self { place, port })
    }
}

/// Reads `/length` in front of what is left.
fn network(ip: IpAddr, rest: &str) -> Result<(Place, &str), TargetError> {
    let most = if ip.is_ipv4() { 32 } else { 128 };
    let Some(rest) = rest.strip_prefix('/') else {
        return Ok((Place::Network(Network::new(ip, most)), rest));
    };
    let end = rest.find(':').unwrap_or(rest.len());
    let (length, rest) = rest.split_at(end);
    match length.parse() {
        Ok(length) if length <= most => Ok((Place::Network(Network::new(ip, length)), rest)),
        Ok(_) | Err(_) => Err(TargetError),
    }
}

/// Brings a host into the form in which URLs have it.
fn name(host: &str) -> Result<String, TargetError> {
    match Host::parse(host) {
        Ok(Host::Domain(name)) => Ok(name),
        Ok(Host::Ipv4(_) | Host::Ipv6(_)) | Err(_) => Err(TargetError),
    }
}

impl Target {
    pub(super) fn covers(&self, host: Option<&str>, address: SocketAddr) -> bool {
        let port = match self.port {
            Port::Open => PORTS.contains(&address.port()),
            Port::One(port) => port == address.port(),
            Port::Any => true,
        };
        let place = match &self.place {
            Place::Name(name) => host == Some(name),
            Place::Network(network) => network.contains(plain(address.ip())),
        };
        port && place
    }
}

/// Takes an IPv4 address out of the IPv6 address it may be written as (RFC 4291 §2.5.5.2).
fn plain(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(ip, IpAddr::V4),
        IpAddr::V4(_) => ip,
    }
}

/// Tells whether an address is on the public internet, by IANA's registries of special addresses. Of
/// IPv6, only what is handed out is (2000::/3), without the parts that stand for something else.
pub(super) fn is_public(ip: IpAddr) -> bool {
    const SPECIAL: [(Ipv4Addr, u8); 15] = [
        (Ipv4Addr::new(0, 0, 0, 0), 8),
        (Ipv4Addr::new(10, 0, 0, 0), 8),
        (Ipv4Addr::new(100, 64, 0, 0), 10),
        (Ipv4Addr::new(127, 0, 0, 0), 8),
        (Ipv4Addr::new(169, 254, 0, 0), 16),
        (Ipv4Addr::new(172, 16, 0, 0), 12),
        (Ipv4Addr::new(192, 0, 0, 0), 24),
        (Ipv4Addr::new(192, 0, 2, 0), 24),
        (Ipv4Addr::new(192, 88, 99, 0), 24),
        (Ipv4Addr::new(192, 168, 0, 0), 16),
        (Ipv4Addr::new(198, 18, 0, 0), 15),
        (Ipv4Addr::new(198, 51, 100, 0), 24),
        (Ipv4Addr::new(203, 0, 113, 0), 24),
        (Ipv4Addr::new(224, 0, 0, 0), 4),
        (Ipv4Addr::new(240, 0, 0, 0), 4),
    ];
    const SPECIAL_V6: [(Ipv6Addr, u8); 5] = [
        // Protocol assignments: Teredo, benchmarking, ORCHID.
        (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
        (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
        // 6to4 stands for any IPv4 address.
        (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
        (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
        // Direct delegation to AS112: answers for private reverse zones.
        (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48),
    ];
    const NAT64: Ipv6Addr = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0);
    match plain(ip) {
        IpAddr::V4(v4) => !SPECIAL
            .iter()
            .any(|(network, length)| Network::new((*network).into(), *length).contains(v4.into())),
        // Where there is no IPv4, a translator is reached under an address that holds the one meant.
        IpAddr::V6(v6) if Network::new(NAT64.into(), 96).contains(ip) => {
            let [.., a, b, c, d] = v6.octets();
            is_public(Ipv4Addr::new(a, b, c, d).into())
        }
        IpAddr::V6(_) => {
            let handed_out = Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0);
            Network::new(handed_out.into(), 3).contains(ip)
                && !SPECIAL_V6
                    .iter()
                    .any(|(network, length)| Network::new((*network).into(), *length).contains(ip))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_addresses_are_not_public() {
        for special in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2620:4f:8000::1",
        ] {
            assert!(!is_public(special.parse().unwrap()), "{special}");
        }
        for public in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.1.1.1",
            "128.0.0.1",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2001:200::1",
            "2606:4700::1111",
            "2a00:1450:4001::1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn targets_are_read_in_every_form() {
        let covers = |target: &str, host: Option<&str>, address: &str| {
            let target: Target = target.parse().unwrap();
            target.covers(host, address.parse().unwrap())
        };
        for (target, host, address, expected) in [
            ("10.0.0.0/8", None, "10.1.2.3:80", true),
            ("10.0.0.0/8", None, "10.1.2.3:443", true),
            ("10.0.0.0/8", None, "10.1.2.3:8080", false),
            ("10.0.0.0/8", None, "11.1.2.3:80", false),
            ("10.0.0.0/8:*", None, "10.1.2.3:8080", true),
            ("10.1.2.3:9000", None, "10.1.2.3:9000", true),
            ("10.1.2.3:9000", None, "10.1.2.3:80", false),
            ("10.1.2.3", None, "10.1.2.4:80", false),
            ("10.0.0.0/8:*", None, "[::ffff:10.0.0.1]:1", true),
            ("0.0.0.0/0", None, "127.0.0.1:80", true),
            ("fd00::/8", None, "[fd00::1]:443", true),
            ("fd00::/8:8443", None, "[fd00::1]:8443", true),
            ("[fd00::]/8:8443", None, "[fd00::1]:8443", true),
            ("[::1]:*", None, "[::1]:1234", true),
            ("::1", None, "[::1]:80", true),
            ("::1", None, "[::2]:80", false),
            ("::/0:*", None, "[fe80::1]:1", true),
            ("::/0:*", None, "127.0.0.1:1", false),
            (
                "Hooks.Internal",
                Some("hooks.internal"),
                "10.0.0.1:443",
                true,
            ),
            (
                "hooks.internal",
                Some("other.internal"),
                "10.0.0.1:443",
                false,
            ),
            ("hooks.internal", None, "10.0.0.1:443", false),
            (
                "hooks.internal:8080",
                Some("hooks.internal"),
                "10.0.0.1:8080",
                true,
            ),
            ("localhost:*", Some("localhost"), "127.0.0.1:7", true),
        ] {
            assert_eq!(
                covers(target, host, address),
                expected,
                "{target} {address}"
            );
        }
        for bad in [
            "",
            ":",
            ":80",
            "10.0.0.0/33",
            "10.0.0.0/8:",
            "10.0.0.0/x",
            "10.0.0.1:99999",
            "[::1",
            "[::1]x",
            "::1/129",
            "a b",
            "host:port",
            "host:1:2",
            "10.0.0/8",
            "http://x",
        ] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }
}
