//! The client's address, seen through trusted proxies only.
//!
//! Whoever connects can send any forwarding header, so a header is worth as much as its last writer: it is read from the
//! right, each address vouched for by the trusted proxy to its right, and the walk ends at the first one that is not trusted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::http::{HeaderMap, HeaderValue};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::config::ForwardedHeader;

/// The proxies whose word about the client's address is believed.
#[derive(Debug, Clone)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    /// The other header is ignored: a proxy passes it through as the client sent it.
    header: ForwardedHeader,
}

impl TrustedProxies {
    /// No networks: nobody is believed and every request comes from its peer.
    #[must_use]
    pub fn new(networks: impl IntoIterator<Item = IpNet>, header: ForwardedHeader) -> Self {
        Self {
            networks: networks.into_iter().map(canonical_network).collect(),
            header,
        }
    }

    /// The address of the client behind a connection from `peer`.
    ///
    /// The header counts only when `peer` is trusted. Its lines are one list; from the right, the first address that is no
    /// trusted proxy is the client's; when all are trusted, the leftmost is. When an address on that way cannot be parsed
    /// (`unknown`, an obfuscated name, an empty element, a broken line) it is the peer's. Never an IPv4-mapped address.
    #[must_use]
    pub fn client_address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return peer;
        }
        self.forwarded_client(headers).unwrap_or(peer)
    }

    fn forwarded_client(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let mut leftmost = None;
        // Line by line, so that a broken line from the client cannot spoil a line that a proxy added after it.
        for line in headers.get_all(header_name(self.header)).iter().rev() {
            for node in nodes(self.header, line)?.iter().rev() {
                let address = parse_node(node)?;
                if !self.trusts(address) {
                    return Some(address);
                }
                leftmost = Some(address);
            }
        }
        leftmost
    }

    fn trusts(&self, canonical: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&canonical))
    }
}

fn header_name(header: ForwardedHeader) -> &'static str {
    match header {
        ForwardedHeader::XForwardedFor => "x-forwarded-for",
        ForwardedHeader::Forwarded => "forwarded",
    }
}

/// The nodes of one header line, in order, not yet parsed; `None` when the line breaks the header's grammar.
fn nodes(header: ForwardedHeader, line: &HeaderValue) -> Option<Vec<String>> {
    let line = line.to_str().ok()?;
    match header {
        ForwardedHeader::XForwardedFor => Some(line.split(',').map(|node| node.trim().to_owned()).collect()),
        ForwardedHeader::Forwarded => forwarded_nodes(line),
    }
}

/// The network that wrong passwords are counted in: an IPv4 address's /24, an IPv6 address's /64, as "203.0.113.0/24".
#[must_use]
pub fn address_prefix(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => format!("{}/24", Ipv4Addr::from_bits(ip.to_bits() & !0xff)),
        IpAddr::V6(ip) => format!("{}/64", Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
    }
}

/// `::ffff:10.0.0.0/104` is 10.0.0.0/8: addresses are compared in their canonical form only.
fn canonical_network(network: IpNet) -> IpNet {
    match network {
        IpNet::V6(v6) => mapped_network(v6).map_or(network, IpNet::V4),
        IpNet::V4(_) => network,
    }
}

fn mapped_network(network: Ipv6Net) -> Option<Ipv4Net> {
    let prefix = network.prefix_len().checked_sub(96)?;
    Ipv4Net::new(network.addr().to_ipv4_mapped()?, prefix).ok()
}

/// An address as proxies write it (RFC 7239, section 6): `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1`, `[2001:db8::1]:443`.
fn parse_node(node: &str) -> Option<IpAddr> {
    if let Ok(bare) = node.parse::<IpAddr>() {
        return Some(bare.to_canonical());
    }
    let (address, port) = match node.strip_prefix('[') {
        Some(bracketed) => {
            let (address, port) = bracketed.split_once(']')?;
            (IpAddr::V6(address.parse().ok()?), port)
        }
        None => {
            let (address, port) = node.split_at(node.find(':')?);
            (IpAddr::V4(address.parse().ok()?), port)
        }
    };
    is_port(port).then(|| address.to_canonical())
}

/// Nothing, `:443`, or RFC 7239's obfuscated `:_name`.
fn is_port(text: &str) -> bool {
    match text.strip_prefix(':') {
        None => text.is_empty(),
        Some(port) => match port.strip_prefix('_') {
            Some(name) => !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)),
            None => port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok(),
        },
    }
}

/// The `for` of each element of a `Forwarded` line (RFC 7239, section 4), empty where an element has none.
///
/// Strict about quotes and separators, so that a client cannot open a quoted string that swallows what a proxy appends:
/// such a line is broken as a whole. Lenient about blanks after `;` and about addresses that should have been quoted.
fn forwarded_nodes(line: &str) -> Option<Vec<String>> {
    let mut nodes = Vec::new();
    let mut node = None;
    let mut rest = trim_start(line);
    loop {
        // A pair may be missing: `for=a;` is allowed.
        if !rest.is_empty() && !rest.starts_with([';', ',']) {
            let (name, value) = rest.split_once('=')?;
            let (value, after) = take_value(value)?;
            let is_for = name.eq_ignore_ascii_case("for");
            if !is_token(name) || (is_for && node.is_some()) {
                return None;
            }
            if is_for {
                node = Some(value);
            }
            rest = trim_start(after);
        }
        if let Some(next_element) = rest.strip_prefix(',') {
            nodes.push(node.take().unwrap_or_default());
            rest = trim_start(next_element);
        } else if let Some(next_pair) = rest.strip_prefix(';') {
            rest = trim_start(next_pair);
        } else if rest.is_empty() {
            nodes.push(node.unwrap_or_default());
            return Some(nodes);
        } else {
            return None;
        }
    }
}

/// Splits a value, quoted or not, from what follows it.
fn take_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ';', ' ', '\t', '"']).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return (!value.is_empty()).then(|| (value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return Some((value, characters.as_str())),
            '\\' => value.push(characters.next()?),
            _ => value.push(character),
        }
    }
    None
}

/// RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

fn trim_start(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;
    use crate::config::ForwardedHeader::{Forwarded, XForwardedFor};

    const PEER: &str = "10.0.0.1";

    fn client(header: ForwardedHeader, peer: &str, lines: &[(&str, &str)]) -> String {
        let networks = [
            "10.0.0.0/8",
            "192.0.2.7/32",
            "2001:db8:aaaa::/48",
            "::ffff:172.16.0.0/108",
        ];
        let proxies = TrustedProxies::new(networks.map(|n| n.parse().unwrap()), header);
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value);
        }
        proxies.client_address(peer.parse().unwrap(), &headers).to_string()
    }

    fn by(header: ForwardedHeader, value: &str) -> String {
        client(header, PEER, &[(header_name(header), value)])
    }

    #[test]
    fn x_forwarded_for_is_read_from_the_right() {
        for (value, expected) in [
            ("203.0.113.5", "203.0.113.5"),
            (" 203.0.113.5 \t", "203.0.113.5"),
            // What the client claims stands on the left and is never reached.
            ("6.6.6.6, 203.0.113.5", "203.0.113.5"),
            ("127.0.0.1, 10.9.9.9, 203.0.113.5", "203.0.113.5"),
            ("garbage, <script>, 203.0.113.5", "203.0.113.5"),
            ("6.6.6.6,203.0.113.5,10.1.2.3,192.0.2.7", "203.0.113.5"),
            ("203.0.113.5, 2001:db8:aaaa::1", "203.0.113.5"),
            ("203.0.113.5, 172.31.0.1", "203.0.113.5"),
            // All of them trusted: the leftmost.
            ("10.0.0.9, 10.0.0.8", "10.0.0.9"),
            // Written in every way.
            ("203.0.113.5:5", "203.0.113.5"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:DB8:0:0::1]:443", "2001:db8::1"),
            ("203.0.113.5, [2001:db8:aaaa::1]:8080, 10.0.0.2:1", "203.0.113.5"),
            // IPv4-mapped ones are IPv4, as clients and as proxies.
            ("::ffff:203.0.113.5", "203.0.113.5"),
            ("[::ffff:cb00:7105]:9", "203.0.113.5"),
            ("203.0.113.5, ::ffff:10.0.0.2", "203.0.113.5"),
        ] {
            assert_eq!(by(XForwardedFor, value), expected, "{value:?}");
        }
    }

    #[test]
    fn what_cannot_be_parsed_is_the_peer() {
        for value in [
            "",
            " ",
            ",",
            "unknown",
            "_hidden",
            "localhost",
            "203.0.113",
            "203.0.113.256",
            "0203.0.113.5",
            "203.0.113.5:",
            "203.0.113.5:65536",
            "203.0.113.5:+5",
            "203.0.113.5:5:5",
            "203.0.113.5/32",
            "203.0.113.5 6.6.6.6",
            "\"203.0.113.5\"",
            "[203.0.113.5]",
            "[2001:db8::1",
            "[2001:db8::1]443",
            "2001:db8::1]",
            "fe80::1%eth0",
            "203.0.113.5\u{e9}",
            // A trusted proxy that names nobody hides what stands to its left, too.
            "6.6.6.6, unknown",
            "6.6.6.6, ",
            "6.6.6.6, , 10.0.0.2",
            "6.6.6.6, garbage, 10.0.0.2",
        ] {
            assert_eq!(by(XForwardedFor, value), PEER, "{value:?}");
        }
    }

    #[test]
    fn an_untrusted_peer_is_the_client_whatever_it_sends() {
        for header in [XForwardedFor, Forwarded] {
            let lines = [
                ("x-forwarded-for", "10.0.0.2"),
                ("forwarded", "for=10.0.0.2"),
                ("x-real-ip", "10.0.0.2"),
            ];
            assert_eq!(client(header, "203.0.113.77", &lines), "203.0.113.77");
            assert_eq!(client(header, "::ffff:203.0.113.77", &lines), "203.0.113.77");
        }
    }

    #[test]
    fn a_mapped_peer_is_trusted_as_the_ipv4_address_that_it_is() {
        let lines = [("x-forwarded-for", "203.0.113.5")];
        assert_eq!(client(XForwardedFor, "::ffff:10.0.0.1", &lines), "203.0.113.5");
        assert_eq!(client(XForwardedFor, "172.16.4.4", &lines), "203.0.113.5");
        assert_eq!(client(XForwardedFor, "172.32.4.4", &lines), "172.32.4.4");
    }

    #[test]
    fn only_the_configured_header_is_read() {
        let lines = [
            ("x-forwarded-for", "203.0.113.5"),
            ("forwarded", "for=198.51.100.9"),
            ("x-real-ip", "6.6.6.6"),
        ];
        assert_eq!(client(XForwardedFor, PEER, &lines), "203.0.113.5");
        assert_eq!(client(Forwarded, PEER, &lines), "198.51.100.9");
        assert_eq!(client(Forwarded, PEER, &lines[..1]), PEER);
        assert_eq!(client(XForwardedFor, PEER, &lines[1..]), PEER);
    }

    #[test]
    fn several_lines_are_one_list() {
        let name = header_name(XForwardedFor);
        let lines = [(name, "6.6.6.6"), (name, "203.0.113.5, 10.0.0.3"), (name, "10.0.0.2")];
        assert_eq!(client(XForwardedFor, PEER, &lines), "203.0.113.5");
        let lines = [(name, "10.0.0.4, 10.0.0.3"), (name, "10.0.0.2")];
        assert_eq!(client(XForwardedFor, PEER, &lines), "10.0.0.4");
        let lines = [(name, "unknown"), (name, "10.0.0.2")];
        assert_eq!(client(XForwardedFor, PEER, &lines), PEER);
        // The client's broken line does not reach the line that the proxy added.
        let lines = [("forwarded", "for=\"6.6.6.6"), ("forwarded", "for=203.0.113.5")];
        assert_eq!(client(Forwarded, PEER, &lines), "203.0.113.5");
    }

    #[test]
    fn forwarded_is_read_from_the_right() {
        for (value, expected) in [
            ("for=203.0.113.5", "203.0.113.5"),
            ("For=203.0.113.5;Proto=https;By=10.0.0.1", "203.0.113.5"),
            ("by=10.0.0.1; for=203.0.113.5 ; host=example.org", "203.0.113.5"),
            ("for=203.0.113.5;", "203.0.113.5"),
            ("for=6.6.6.6, for=203.0.113.5;by=10.0.0.3, for=10.0.0.2", "203.0.113.5"),
            ("for=\"[2001:db8::1]:4711\"", "2001:db8::1"),
            ("for=\"203.0.113.5:443\"", "203.0.113.5"),
            ("for=\"203.0.113.5:_port\"", "203.0.113.5"),
            ("for=\"203.0.113\\.5\"", "203.0.113.5"),
            ("for=203.0.113.5:443", "203.0.113.5"),
            ("for=\"[::ffff:203.0.113.5]\"", "203.0.113.5"),
            ("for=10.0.0.9,for=10.0.0.8", "10.0.0.9"),
            // Separators inside quotes separate nothing.
            ("for=203.0.113.5;host=\"a, for=6.6.6.6\"", "203.0.113.5"),
            ("for=203.0.113.5;host=\"a\\\", for=6.6.6.6\"", "203.0.113.5"),
            ("for=unknown, for=_x, for=203.0.113.5", "203.0.113.5"),
        ] {
            assert_eq!(by(Forwarded, value), expected, "{value:?}");
        }
    }

    #[test]
    fn forwarded_that_cannot_be_parsed_is_the_peer() {
        for value in [
            "",
            "for=unknown",
            "for=_hidden",
            "for=\"_hidden:80\"",
            "for=",
            "for=\"\"",
            "for",
            "203.0.113.5",
            "proto=https",
            "for=6.6.6.6, proto=https",
            "for=6.6.6.6,",
            "for=6.6.6.6;for=203.0.113.5",
            "for =203.0.113.5",
            "for=203.0.113.5 for=6.6.6.6",
            "for=203.0.113.5\"",
            "x, for=203.0.113.5",
            // A quote that the client opened runs into what the proxy appended.
            "for=\"6.6.6.6, for=203.0.113.5",
            "for=6.6.6.6;x=\", for=\"[2001:db8::1]\"",
            "for=6.6.6.6;x=\", for=203.0.113.5;host=\"example.org\"",
            "for=6.6.6.6;x=\"\\, for=203.0.113.5",
        ] {
            assert_eq!(by(Forwarded, value), PEER, "{value:?}");
        }
    }

    #[test]
    fn prefixes_are_a_24_or_a_64() {
        for (ip, expected) in [
            ("203.0.113.255", "203.0.113.0/24"),
            ("::ffff:203.0.113.9", "203.0.113.0/24"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
            ("::1", "::/64"),
        ] {
            assert_eq!(address_prefix(ip.parse().unwrap()), expected);
        }
    }
}
