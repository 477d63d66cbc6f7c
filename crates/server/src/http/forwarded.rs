//! Who the client is when a proxy stands in between. Only a proxy that the operator trusts is
//! believed; whatever anybody else says of itself is ignored.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, header};
use ringtrip_api::Peer;

use crate::network::Network;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The proxies that are believed.
#[derive(Debug, Clone, Default)]
pub(crate) struct TrustedProxies(Vec<Network>);

impl TrustedProxies {
    pub(crate) const fn new(networks: Vec<Network>) -> Self {
        Self(networks)
    }

    /// Tells whether an address is that of a trusted proxy.
    pub(crate) fn trust(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// Says who sent a request that came over a connection from `peer`. Behind a trusted proxy it is
    /// the last address of `X-Forwarded-For`, or of `Forwarded` (RFC 7239) if there is none, that is
    /// not a trusted proxy itself; an entry that is no address ends the search. Whether it came over
    /// TLS is what the last `X-Forwarded-Proto`, or the client's `proto` in `Forwarded`, says.
    pub(crate) fn resolve(&self, peer: Peer, headers: &HeaderMap) -> Peer {
        if self.0.is_empty() || !self.trust(peer.source) {
            return peer;
        }
        let mut resolved = peer;
        if headers.contains_key(X_FORWARDED_FOR) {
            for hop in items(headers, &X_FORWARDED_FOR, ',').into_iter().rev() {
                let Some(address) = read_address(hop) else {
                    break;
                };
                resolved.source = address;
                if !self.trust(address) {
                    break;
                }
            }
        } else {
            for hop in items(headers, &header::FORWARDED, ',').into_iter().rev() {
                let Some(address) = parameter(hop, "for").and_then(read_address) else {
                    break;
                };
                resolved.source = address;
                if let Some(proto) = parameter(hop, "proto") {
                    resolved.secure = is_secure(proto);
                }
                if !self.trust(address) {
                    break;
                }
            }
        }
        if let Some(proto) = items(headers, &X_FORWARDED_PROTO, ',').last() {
            resolved.secure = is_secure(proto);
        }
        resolved
    }
}

fn is_secure(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("wss")
}

/// Splits all headers of a name into what stands between separators, in order.
fn items<'a>(headers: &'a HeaderMap, name: &HeaderName, separator: char) -> Vec<&'a str> {
    let texts = headers.get_all(name).iter().map(|value| {
        // What is not text is an entry that means nothing.
        value.to_str().unwrap_or("?")
    });
    texts
        .flat_map(|text| text.split(separator).map(str::trim))
        .collect()
}

/// Reads a parameter of an element of `Forwarded`, without its quotes.
fn parameter<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    element.split(';').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        let value = value.trim();
        let value = value
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .unwrap_or(value);
        key.trim().eq_ignore_ascii_case(name).then_some(value)
    })
}

/// Reads `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`.
fn read_address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    bare.parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()))
        .ok()
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn check(
        connection: &str,
        headers: &[(&'static str, &'static str)],
        source: &str,
        secure: bool,
    ) {
        let proxies = TrustedProxies::new(vec![
            "127.0.0.1".parse().unwrap(),
            "10.0.0.0/8".parse().unwrap(),
            "fd00::/8".parse().unwrap(),
        ]);
        let peer = Peer {
            source: connection.parse().unwrap(),
            secure: false,
        };
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        let resolved = proxies.resolve(peer, &map);
        let expected: IpAddr = source.parse().unwrap();
        assert_eq!(
            (resolved.source, resolved.secure),
            (expected, secure),
            "{headers:?}"
        );
    }

    #[test]
    fn a_trusted_proxy_tells_who_the_client_is() {
        let (xff, xfp) = ("x-forwarded-for", "x-forwarded-proto");
        check("127.0.0.1", &[], "127.0.0.1", false);
        check("127.0.0.1", &[(xff, "203.0.113.9")], "203.0.113.9", false);
        check(
            "127.0.0.1",
            &[(xff, "203.0.113.9"), (xfp, "https")],
            "203.0.113.9",
            true,
        );
        check(
            "127.0.0.1",
            &[(xff, "203.0.113.9:4711"), (xfp, "WSS")],
            "203.0.113.9",
            true,
        );
        check(
            "10.0.0.7",
            &[(xff, "[2001:db8::9]:443")],
            "2001:db8::9",
            false,
        );
        check(
            "fd00::1",
            &[(xff, "::ffff:203.0.113.9")],
            "203.0.113.9",
            false,
        );
        // Through two proxies of ours, in one header or in two.
        check(
            "127.0.0.1",
            &[(xff, "203.0.113.9, 10.0.0.7")],
            "203.0.113.9",
            false,
        );
        check(
            "127.0.0.1",
            &[(xff, "203.0.113.9"), (xff, "10.0.0.7")],
            "203.0.113.9",
            false,
        );
        check(
            "127.0.0.1",
            &[(xff, "10.0.0.8, 10.0.0.7")],
            "10.0.0.8",
            false,
        );
    }

    #[test]
    fn what_the_client_put_in_front_is_not_believed() {
        let (xff, xfp) = ("x-forwarded-for", "x-forwarded-proto");
        check(
            "127.0.0.1",
            &[(xff, "192.0.2.1, 203.0.113.9")],
            "203.0.113.9",
            false,
        );
        check(
            "127.0.0.1",
            &[(xff, "192.0.2.1"), (xff, "203.0.113.9, 10.0.0.7")],
            "203.0.113.9",
            false,
        );
        check(
            "127.0.0.1",
            &[(xff, "192.0.2.1, nonsense")],
            "127.0.0.1",
            false,
        );
        check("127.0.0.1", &[(xff, "192.0.2.1, ")], "127.0.0.1", false);
        check(
            "127.0.0.1",
            &[(xff, "192.0.2.1, unknown, 10.0.0.7")],
            "10.0.0.7",
            false,
        );
        check("127.0.0.1", &[(xfp, "https, http")], "127.0.0.1", false);
        check(
            "127.0.0.1",
            &[(xfp, "https"), (xfp, "http")],
            "127.0.0.1",
            false,
        );
    }

    #[test]
    fn a_stranger_is_who_it_is() {
        let (xff, xfp) = ("x-forwarded-for", "x-forwarded-proto");
        check(
            "203.0.113.9",
            &[(xff, "127.0.0.1"), (xfp, "https")],
            "203.0.113.9",
            false,
        );
        check(
            "203.0.113.9",
            &[("forwarded", "for=127.0.0.1;proto=https")],
            "203.0.113.9",
            false,
        );
        check("fe80::1", &[(xff, "127.0.0.1")], "fe80::1", false);
    }

    #[test]
    fn the_standard_header_is_read_where_the_usual_one_is_missing() {
        let forwarded = "forwarded";
        check(
            "127.0.0.1",
            &[(forwarded, "for=203.0.113.9;proto=https")],
            "203.0.113.9",
            true,
        );
        check(
            "127.0.0.1",
            &[(forwarded, "For=\"[2001:db8::9]:47\"; Proto=http")],
            "2001:db8::9",
            false,
        );
        check(
            "127.0.0.1",
            &[(
                forwarded,
                "for=192.0.2.1;proto=https, for=203.0.113.9;proto=http, for=10.0.0.7;proto=https",
            )],
            "203.0.113.9",
            false,
        );
        check(
            "127.0.0.1",
            &[(forwarded, "for=192.0.2.1, for=_hidden")],
            "127.0.0.1",
            false,
        );
        check(
            "127.0.0.1",
            &[
                (forwarded, "for=192.0.2.1;proto=https"),
                ("x-forwarded-for", "203.0.113.9"),
            ],
            "203.0.113.9",
            false,
        );
    }
}
