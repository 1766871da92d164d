// SPDX-License-Identifier: GPL-2.0-only

//! Text of single arguments: endpoints, numbers, masks, flags.
//!
//! Belongs here: from the text of one argument to its value, or to a sentence that says what is
//! wrong. Never: which arguments go together.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};

use crate::connections::EndpointFilter;
use crate::model::scheduler;
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

const ENDPOINT_FORMS: &str = "ADDRESS[:PORT], HOST[:PORT] or [IPv6-ADDRESS]:PORT";

/// `address[:port]`, `host[:port]`, `[v6][:port]` or a bare IPv6 address. A host name may stand for
/// an IPv6 address.
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
            .ok_or_else(|| format!("{inside:?} in brackets is not an IPv6 address"))?;
        let port = match after.strip_prefix(':') {
            Some(text) => Some(port(text, protocol, names)?),
            None if after.is_empty() => None,
            None => return Err(format!("{after:?} after the ] is not :PORT")),
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
        return Err(match (host_text.parse::<Ipv6Addr>(), port_text) {
            (Ok(address), Some(port)) => {
                format!("an IPv6 address with a port needs brackets: [{address}]:{port}")
            }
            _ => format!("this is not an IPv6 address; write {ENDPOINT_FORMS}"),
        });
    }
    Ok(Endpoint {
        address: host(host_text, names)?,
        port: port_text
            .map(|text| port(text, protocol, names))
            .transpose()?,
    })
}

/// How the end of an IPv6 address may have been meant as a port: `2001:db8::1:80` as
/// `[2001:db8::1]:80`.
#[must_use]
pub fn port_without_brackets(text: &str) -> Option<String> {
    text.parse::<Ipv6Addr>().ok()?;
    let (address, port) = text.rsplit_once(':')?;
    let address: Ipv6Addr = address.parse().ok()?;
    let port: u16 = port.parse().ok()?;
    Some(format!("[{address}]:{port}"))
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
        format!(
            "{address:?} before the / is not an address; a network is ADDRESS/BITS, without a port"
        )
    })?;
    let most = IpNet::from(address).max_prefix_len();
    let bits =
        number(bits, 0..=most).map_err(|why| format!("the prefix length is wrong: {why}"))?;
    Ok(EndpointFilter {
        address: Some(address),
        prefix: Some(bits),
        port: None,
    })
}

fn host(text: &str, names: &dyn Names) -> Result<IpAddr, String> {
    if text.is_empty() {
        return Err(format!("the address is missing; write {ENDPOINT_FORMS}"));
    }
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Ok(address.into());
    }
    // A resolver reads 10.0.0.010 as 10.0.0.8 and 10.1 as 10.0.0.1; no host has such a name.
    let last = text.rsplit('.').next().unwrap_or_default();
    let hexadecimal = |word: &str| word.starts_with("0x") || word.starts_with("0X");
    let number = |word: &str| {
        let digits = word.chars().all(|character| character.is_ascii_digit());
        hexadecimal(word) || (digits && !word.is_empty())
    };
    if number(last) {
        let octets: Vec<&str> = text.split('.').collect();
        let zeros = |octet: &&str| octet.len() > 1 && octet.starts_with('0');
        return Err(match octets.len() {
            1 => format!("{text:?} is a number, not an address; write {ENDPOINT_FORMS}"),
            4 if octets.iter().any(zeros) => {
                format!("{text:?} is not an IPv4 address: write its numbers without leading zeros")
            }
            4 => format!("{text:?} is not an IPv4 address: its numbers go from 0 to 255"),
            count => format!("{text:?} is not an IPv4 address: it has {count} numbers, not 4"),
        });
    }
    names
        .address_of(text)
        .ok_or_else(|| format!("{text:?} is neither an address nor a host name that resolves"))
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
                format!(
                    "port {text:?} is neither a number from 0 to 65535 nor a {protocol} service \
                     name"
                )
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

/// A firewall mark, decimal or, after `0x`, hexadecimal.
///
/// # Errors
///
/// What the mark must be.
pub fn mark(text: &str) -> Result<u32, String> {
    let range = 1..=u32::MAX;
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) if !digits.starts_with('+') => u32::from_str_radix(digits, 16)
            .ok()
            .filter(|mark| range.contains(mark))
            .ok_or_else(|| "it must be a hexadecimal number from 0x1 to 0xffffffff".to_owned()),
        _ => number(text, range),
    }
}

/// A persistence granularity for clients of `family`: a prefix length or, for IPv4, a mask.
///
/// # Errors
///
/// What the mask must be.
pub fn netmask(text: &str, family: Family) -> Result<Netmask, String> {
    match family {
        Family::Inet => {
            let bits = number(text, 1..=32_u8).ok();
            let network = bits.and_then(|bits| Ipv4Net::new(Ipv4Addr::UNSPECIFIED, bits).ok());
            if let Some(network) = network {
                return Ok(Netmask::Inet(network.netmask()));
            }
            text.parse().map(Netmask::Inet).map_err(|_| {
                "an IPv4 service needs a mask such as 255.255.255.0, or a prefix length from 1 to \
                 32"
                .to_owned()
            })
        }
        Family::Inet6 => number(text, 1..=128)
            .map(Netmask::Inet6)
            .map_err(|_| "an IPv6 service needs a prefix length from 1 to 128".to_owned()),
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
        let Some((owner, flag)) = scheduler::find_flag(name) else {
            return Err(format!(
                "there is no flag {name:?}; the flags are {}",
                scheduler::flag_names().join(", ")
            ));
        };
        if let Some(owner) = owner.filter(|owner| owner.name != scheduler) {
            return Err(format!(
                "{name} is a flag of the scheduler {}, not of {scheduler}",
                owner.name
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
        return Err("it must be a name without spaces".to_owned());
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
    fn an_endpoint_is_an_address_or_name_with_or_without_port() {
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
    fn a_wrong_endpoint_is_refused_with_a_reason() {
        for (text, words) in [
            ("", "the address is missing"),
            (":80", "the address is missing"),
            ("10", "is a number, not an address"),
            ("10.0.0.1:", "port \"\""),
            ("10.0.0.1:65536", "from 0 to 65535"),
            ("10.0.0.1:+80", "nor a tcp service name"),
            ("10.0.0.1:nope", "nor a tcp service name"),
            (
                "nowhere.example.net:80",
                "neither an address nor a host name",
            ),
            ("10.0.0.256:80", "its numbers go from 0 to 255"),
            ("10.0.0.010:80", "without leading zeros"),
            ("10.0.0:80", "it has 3 numbers, not 4"),
            ("10.0.0.0x1:80", "not an IPv4 address"),
            ("2001:db8::1:http", "needs brackets: [2001:db8::1]:http"),
            ("10.0.0.1:80:81", "not an IPv6 address"),
            ("[2001:db8::1:80", "closing ]"),
            ("[10.0.0.1]:80", "not an IPv6 address"),
            ("[2001:db8::1]80", "not :PORT"),
            ("[www.example.net]:80", "not an IPv6 address"),
        ] {
            let error = parsed(text).unwrap_err();
            assert!(error.contains(words), "{text:?}: {error}");
        }
    }

    #[test]
    fn module_names_hold_no_character_that_rules_could_misread() {
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
    fn a_netmask_is_a_mask_or_a_prefix_length_of_its_family() {
        assert_eq!(
            netmask("255.255.255.0", Family::Inet),
            Ok(Netmask::Inet([255, 255, 255, 0].into()))
        );
        assert_eq!(netmask("64", Family::Inet6), Ok(Netmask::Inet6(64)));
        assert_eq!(
            netmask("24", Family::Inet),
            netmask("255.255.255.0", Family::Inet)
        );
        assert_eq!(netmask("32", Family::Inet), Ok(Netmask::host(Family::Inet)));
        assert!(netmask("0", Family::Inet).is_err());
        assert!(netmask("33", Family::Inet).is_err());
        assert!(netmask("0", Family::Inet6).is_err());
        assert!(netmask("129", Family::Inet6).is_err());
    }

    #[test]
    fn a_flag_of_another_scheduler_is_refused() {
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
    fn a_mark_is_decimal_or_hexadecimal() {
        assert_eq!(mark("16"), Ok(16));
        assert_eq!(mark("0x10"), Ok(16));
        assert_eq!(mark("0XFFFFFFFF"), Ok(u32::MAX));
        for text in ["0", "0x0", "0x", "0x+1", "0x100000000", "10h", "-1"] {
            assert!(mark(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_port_at_the_end_of_an_ipv6_address_is_suspected() {
        assert_eq!(
            port_without_brackets("2001:db8::1:80").as_deref(),
            Some("[2001:db8::1]:80")
        );
        for text in ["2001:db8::1:f00d", "2001:db8::", "::1", "10.0.0.1:80"] {
            assert_eq!(port_without_brackets(text), None, "{text}");
        }
    }

    #[test]
    fn a_number_out_of_range_is_refused_with_the_range() {
        assert_eq!(number("65535", 0..=65535_u32), Ok(65535));
        let error = number("65536", 0..=65535_u32).unwrap_err();
        assert_eq!(error, "it must be a whole number from 0 to 65535");
        assert!(number::<u32>("-1", 0..=1).is_err());
        assert!(number::<u32>("", 0..=1).is_err());
    }

    proptest! {
        #[test]
        fn the_endpoint_parser_survives_any_text(text in ".{0,60}") {
            let _ = parsed(&text);
        }

        #[test]
        fn the_endpoint_parser_survives_near_misses(text in r"[\[\]:.0-9a-f]{0,30}") {
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
