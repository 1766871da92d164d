// SPDX-License-Identifier: GPL-2.0-only

//! Text of single arguments: endpoints, numbers, masks, flags.
//!
//! Belongs here: from one argument's text to its value, and what to say when it has none. Never:
//! which arguments go together.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::connections::EndpointFilter;
use crate::model::{Family, Netmask, Protocol, ServiceFlags, TunnelKind};
use crate::names::Names;

/// An address, with a port when one was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The address.
    pub address: IpAddr,
    /// The port.
    pub port: Option<u16>,
}

const ENDPOINT_FORMS: &str = "address[:port], host[:port] or [IPv6 address]:port";

/// `address[:port]`, `host[:port]`, `[v6][:port]` or a bare IPv6 address; a host's name may stand for a v6.
///
/// # Errors
///
/// What is wrong with the text.
pub fn endpoint(
    text: &str,
    protocol: Option<Protocol>,
    names: &dyn Names,
) -> Result<Endpoint, String> {
    if let Some(rest) = text.strip_prefix('[') {
        let Some((inside, after)) = rest.split_once(']') else {
            return Err("the closing ] is missing".to_owned());
        };
        let address = inside
            .parse::<Ipv6Addr>()
            .ok()
            .or_else(|| names.ipv6_address_of(inside))
            .ok_or_else(|| format!("{inside:?} in [] is no IPv6 address"))?;
        let port = match after.strip_prefix(':') {
            Some(text) => Some(port(text, protocol, names)?),
            None if after.is_empty() => None,
            None => return Err(format!("{after:?} after ] is no :port")),
        };
        return Ok(Endpoint {
            address: address.into(),
            port,
        });
    }
    if let Ok(address) = text.parse::<Ipv6Addr>() {
        return Ok(Endpoint {
            address: address.into(),
            port: None,
        });
    }
    let (host_text, port_text) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    if host_text.contains(':') {
        return Err(format!(
            "it is neither an IPv6 address nor {ENDPOINT_FORMS}; an IPv6 address with a port stands in []"
        ));
    }
    Ok(Endpoint {
        address: host(host_text, names)?,
        port: port_text
            .map(|text| port(text, protocol, names))
            .transpose()?,
    })
}

/// `address/bits`, or what [`endpoint`] takes.
///
/// # Errors
///
/// What is wrong with the text.
pub fn end(
    text: &str,
    protocol: Option<Protocol>,
    names: &dyn Names,
) -> Result<EndpointFilter, String> {
    let Some((address, bits)) = text.split_once('/') else {
        let Endpoint { address, port } = endpoint(text, protocol, names)?;
        return Ok(EndpointFilter {
            address: Some(address),
            prefix: None,
            port,
        });
    };
    let address: IpAddr = address.parse().map_err(|_| {
        format!("{address:?} before / is no address; a network is address/bits, without a port")
    })?;
    let most = match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    };
    let bits = number(bits, 0..=most).map_err(|why| format!("what follows the /: {why}"))?;
    Ok(EndpointFilter {
        address: Some(address),
        prefix: Some(bits),
        port: None,
    })
}

fn host(text: &str, names: &dyn Names) -> Result<IpAddr, String> {
    if text.is_empty() {
        return Err(format!("it names no address; it must be {ENDPOINT_FORMS}"));
    }
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Ok(address.into());
    }
    if text.chars().all(|character| character.is_ascii_digit()) {
        return Err(format!(
            "{text:?} is a number, not an address; it must be {ENDPOINT_FORMS}"
        ));
    }
    names.address_of(text).ok_or_else(|| {
        format!("{text:?} is neither an address nor the name of a host that can be resolved")
    })
}

fn port(text: &str, protocol: Option<Protocol>, names: &dyn Names) -> Result<u16, String> {
    if let Ok(port) = digits::<u16>(text) {
        return Ok(port);
    }
    let protocol = protocol.and_then(Protocol::name);
    if text.is_empty() || text.chars().all(|character| character.is_ascii_digit()) {
        return Err(format!("port {text:?} is not a number from 0 to 65535"));
    }
    protocol
        .and_then(|protocol| names.port_of(text, protocol))
        .ok_or_else(|| match protocol {
            Some(protocol) => {
                format!("port {text:?} is neither a number from 0 to 65535 nor a {protocol} service name")
            }
            None => format!("port {text:?} is not a number from 0 to 65535"),
        })
}

/// Digits and nothing else: `parse` alone would take a plus sign.
fn digits<T: FromStr>(text: &str) -> Result<T, ()> {
    if text.chars().all(|character| character.is_ascii_digit()) {
        text.parse().map_err(|_| ())
    } else {
        Err(())
    }
}

/// A number in a range.
///
/// # Errors
///
/// What the number must be.
pub fn number<T>(text: &str, range: RangeInclusive<T>) -> Result<T, String>
where
    T: FromStr + PartialOrd + Display,
{
    digits::<T>(text)
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(|| {
            format!(
                "it must be a whole number from {} to {}",
                range.start(),
                range.end()
            )
        })
}

/// A persistence granularity for clients of `family`.
///
/// # Errors
///
/// What the mask must be.
pub fn netmask(text: &str, family: Family) -> Result<Netmask, String> {
    match family {
        Family::Inet => text
            .parse()
            .map(Netmask::Inet)
            .map_err(|_| "for an IPv4 service it must be a mask such as 255.255.255.0".to_owned()),
        Family::Inet6 => number(text, 1..=128)
            .map(Netmask::Inet6)
            .map_err(|_| "for an IPv6 service it must be a prefix length from 1 to 128".to_owned()),
    }
}

/// Scheduler flags, separated by commas, for the scheduler that the service names.
///
/// # Errors
///
/// Which flag is unknown or belongs to another scheduler.
pub fn scheduler_flags(text: &str, scheduler: &str) -> Result<ServiceFlags, String> {
    let mut flags = ServiceFlags::default();
    for name in text.split(',') {
        let (flag, owner) = match name {
            "flag-1" => (ServiceFlags::SCHEDULER_1, None),
            "flag-2" => (ServiceFlags::SCHEDULER_2, None),
            "flag-3" => (ServiceFlags::SCHEDULER_3, None),
            "sh-fallback" => (ServiceFlags::SCHEDULER_1, Some("sh")),
            "sh-port" => (ServiceFlags::SCHEDULER_2, Some("sh")),
            "mh-fallback" => (ServiceFlags::SCHEDULER_1, Some("mh")),
            "mh-port" => (ServiceFlags::SCHEDULER_2, Some("mh")),
            // Shown as flag-1 and flag-2, which is all that ipvsadm understands.
            "oneip-stateless" => (ServiceFlags::SCHEDULER_1, Some("oneip")),
            "oneip-port" => (ServiceFlags::SCHEDULER_2, Some("oneip")),
            _ => {
                return Err(format!(
                    "there is no flag {name:?}; there are flag-1, flag-2, flag-3, sh-fallback, \
                     sh-port, mh-fallback, mh-port, oneip-stateless, oneip-port"
                ));
            }
        };
        if owner.is_some_and(|owner| owner != scheduler) {
            return Err(format!(
                "{name} is a flag of another scheduler than {scheduler}"
            ));
        }
        flags = flags.with(flag);
    }
    Ok(flags)
}

/// An encapsulation.
///
/// # Errors
///
/// What there is.
pub fn tunnel_kind(text: &str) -> Result<TunnelKind, String> {
    [TunnelKind::Ipip, TunnelKind::Gue, TunnelKind::Gre]
        .into_iter()
        .find(|kind| kind.name() == text)
        .ok_or_else(|| "it must be ipip, gue or gre".to_owned())
}

/// A name that fits the kernel's field.
///
/// # Errors
///
/// How long it may be.
pub fn name(text: &str, longest: usize) -> Result<String, String> {
    if text.is_empty() || text.len() > longest {
        return Err(format!("it must be a name of 1 to {longest} characters"));
    }
    if text.contains(|character: char| character.is_whitespace() || character.is_control()) {
        return Err("it must be a name without blanks".to_owned());
    }
    Ok(text.to_owned())
}

/// The name of a scheduler or a persistence engine: part of a module's name, and a word in rules.
///
/// # Errors
///
/// What it may consist of, and how long it may be.
pub fn module_name(text: &str, longest: usize) -> Result<String, String> {
    let plain = |character: char| character.is_ascii_alphanumeric() || "_-".contains(character);
    if text.starts_with('-') || !text.chars().all(plain) {
        return Err("it must be a name of letters, digits, - and _".to_owned());
    }
    name(text, longest)
}

/// A multicast group.
///
/// # Errors
///
/// What it must be.
pub fn multicast(text: &str) -> Result<IpAddr, String> {
    text.parse::<IpAddr>()
        .ok()
        .filter(IpAddr::is_multicast)
        .ok_or_else(|| "it must be an IPv4 or IPv6 multicast address such as 224.0.0.81".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::names::Fixed;

    const TCP: Option<Protocol> = Some(Protocol::Tcp);

    fn parsed(text: &str) -> Result<Endpoint, String> {
        endpoint(text, TCP, &Fixed)
    }

    fn of(address: &str, port: Option<u16>) -> Endpoint {
        Endpoint {
            address: address.parse().unwrap(),
            port,
        }
    }

    #[test]
    fn the_forms_of_an_endpoint() {
        assert_eq!(parsed("10.0.0.1:80"), Ok(of("10.0.0.1", Some(80))));
        assert_eq!(parsed("10.0.0.1"), Ok(of("10.0.0.1", None)));
        assert_eq!(parsed("10.0.0.1:http"), Ok(of("10.0.0.1", Some(80))));
        assert_eq!(parsed("www.example.net:0"), Ok(of("192.0.2.1", Some(0))));
        assert_eq!(
            parsed("[2001:db8::1]:443"),
            Ok(of("2001:db8::1", Some(443)))
        );
        assert_eq!(parsed("[2001:db8::1]"), Ok(of("2001:db8::1", None)));
        assert_eq!(parsed("2001:db8::1"), Ok(of("2001:db8::1", None)));
        // What ipvsadm and lvsadm list and save of an IPv6 host that has a name.
        assert_eq!(
            parsed("[six.example.net]:http"),
            Ok(of("2001:db8::80", Some(80)))
        );
    }

    #[test]
    fn what_is_wrong_with_an_endpoint() {
        for (text, words) in [
            ("", "names no address"),
            (":80", "names no address"),
            ("10", "is a number, not an address"),
            ("10.0.0.1:", "port \"\""),
            ("10.0.0.1:65536", "from 0 to 65535"),
            ("10.0.0.1:+80", "nor a tcp service name"),
            ("10.0.0.1:nope", "nor a tcp service name"),
            ("nowhere.example.net:80", "neither an address nor the name"),
            ("10.0.0.256:80", "neither an address nor the name"),
            ("10.0.0.1:80:81", "stands in []"),
            ("[2001:db8::1:80", "closing ]"),
            ("[10.0.0.1]:80", "no IPv6 address"),
            ("[2001:db8::1]80", "no :port"),
            ("[www.example.net]:80", "no IPv6 address"),
        ] {
            let error = parsed(text).unwrap_err();
            assert!(error.contains(words), "{text:?}: {error}");
        }
    }

    #[test]
    fn names_are_words_in_rules() {
        for text in ["wlc", "mh-2", "fo_3", "a"] {
            assert_eq!(module_name(text, 15), Ok(text.to_owned()));
        }
        for text in [
            "",
            "-t",
            "w#c",
            "w/c",
            "w c",
            "w\n",
            "é",
            "sixteen-letters-",
        ] {
            assert!(module_name(text, 15).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_port_name_needs_its_protocol() {
        assert!(endpoint("10.0.0.1:http", Some(Protocol::Sctp), &Fixed).is_err());
        assert!(endpoint("10.0.0.1:http", None, &Fixed).is_err());
    }

    #[test]
    fn masks_by_family() {
        assert_eq!(
            netmask("255.255.255.0", Family::Inet),
            Ok(Netmask::Inet([255, 255, 255, 0].into()))
        );
        assert_eq!(netmask("64", Family::Inet6), Ok(Netmask::Inet6(64)));
        assert!(netmask("24", Family::Inet).is_err());
        assert!(netmask("0", Family::Inet6).is_err());
        assert!(netmask("129", Family::Inet6).is_err());
    }

    #[test]
    fn flags_belong_to_their_scheduler() {
        let both = ServiceFlags::SCHEDULER_1.with(ServiceFlags::SCHEDULER_2);
        assert_eq!(scheduler_flags("sh-fallback,sh-port", "sh"), Ok(both));
        assert_eq!(scheduler_flags("flag-1,flag-2", "wrr"), Ok(both));
        assert_eq!(
            scheduler_flags("oneip-port,oneip-stateless", "oneip"),
            Ok(both)
        );
        assert!(scheduler_flags("sh-port", "mh").is_err());
        assert!(scheduler_flags("", "sh").is_err());
    }

    #[test]
    fn numbers_say_their_range() {
        assert_eq!(number("65535", 0..=65535_u32), Ok(65535));
        let error = number("65536", 0..=65535_u32).unwrap_err();
        assert_eq!(error, "it must be a whole number from 0 to 65535");
        assert!(number::<u32>("-1", 0..=1).is_err());
        assert!(number::<u32>("", 0..=1).is_err());
    }

    proptest! {
        #[test]
        fn no_text_stops_the_endpoint_parser(text in ".{0,60}") {
            let _ = parsed(&text);
        }

        #[test]
        fn near_misses_do_not_either(text in r"[\[\]:.0-9a-f]{0,30}") {
            let _ = parsed(&text);
        }

        #[test]
        fn an_endpoint_survives_the_round_trip(
            octets in any::<[u8; 16]>(),
            four in any::<[u8; 4]>(),
            port in any::<u16>(),
        ) {
            for address in [IpAddr::from(octets), IpAddr::from(four)] {
                let text = crate::model::endpoint(&address, port);
                prop_assert_eq!(parsed(&text), Ok(Endpoint { address, port: Some(port) }));
            }
        }
    }
}
