//! Which machines a `url` source may ask: not this one, not its neighbours on the link, not the
//! cloud's metadata service, whatever name or redirect leads there.
//!
//! Checked on the very addresses that are then connected to, so a name cannot change its mind.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ureq::{
    config::Config,
    http::Uri,
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::NextTimeout,
    },
};

/// Metadata services that are not on the link: AWS over IPv6, Alibaba Cloud.
const METADATA: [IpAddr; 2] =
    [IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)), IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200))];

/// Resolves names, and refuses those that lead where a source must not ask.
#[derive(Clone, Copy, Debug, Default)]
pub struct Guarded {
    pub allow_private: bool,
}

/// Carried through the client's own error type.
#[derive(Debug, thiserror::Error)]
#[error("{address} is {what}")]
pub struct Refused {
    pub address: IpAddr,
    pub what: &'static str,
}

impl Resolver for Guarded {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = DefaultResolver::default().resolve(uri, config, timeout)?;
        let refused = found.iter().find_map(|it| Some(Refused { address: it.ip(), what: forbidden(it.ip())? }));
        match refused {
            Some(refused) if !self.allow_private => Err(ureq::Error::Other(Box::new(refused))),
            _ => Ok(found),
        }
    }
}

/// The same for a host that is written as an address: a proxy would ask it for us.
pub fn forbidden_host(host: &str) -> Option<&'static str> {
    if host.eq_ignore_ascii_case("localhost") {
        return Some("this machine");
    }
    forbidden(host.trim_matches(['[', ']']).parse().ok()?)
}

/// What kind of address that must not be asked it is, if it is one.
pub fn forbidden(address: IpAddr) -> Option<&'static str> {
    if METADATA.contains(&address) {
        return Some("a metadata service");
    }
    match address {
        IpAddr::V4(it) => {
            if it.is_loopback() || it.octets()[0] == 0 {
                Some("this machine")
            } else if it.is_link_local() {
                Some("a link-local address")
            } else if it.is_multicast() || it.is_broadcast() {
                Some("no single machine")
            } else {
                None
            }
        }
        IpAddr::V6(it) => {
            if it.is_loopback() || it.is_unspecified() {
                Some("this machine")
            } else if it.is_unicast_link_local() {
                Some("a link-local address")
            } else if it.is_multicast() {
                Some("no single machine")
            } else {
                embedded(it).and_then(|it| forbidden(IpAddr::V4(it)))
            }
        }
    }
}

/// An IPv4 address in other clothes: mapped, compatible, NAT64 or 6to4.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let parts = address.segments();
    let of = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match parts {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(of(high, low)),
        [0x2002, high, low, ..] => Some(of(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_clothes_hide_a_forbidden_address() {
        let refused = [
            "127.0.0.1",
            "127.8.9.10",
            "0.0.0.0",
            "169.254.169.254",
            "100.100.100.200",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "ff02::1",
            "fd00:ec2::254",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
        ];
        for text in refused {
            assert!(forbidden(text.parse().unwrap()).is_some(), "{text} is allowed");
        }
        for text in ["93.184.216.34", "10.0.0.7", "192.168.1.5", "2606:2800:220:1::1", "::ffff:93.184.216.34"] {
            assert_eq!(forbidden(text.parse().unwrap()), None, "{text} is refused");
        }
    }
}
