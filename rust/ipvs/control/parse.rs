// SPDX-License-Identifier: GPL-2.0-only

//! From attributes to what they mean, or a refusal.

use crate::{
    services::{
        destination::{self, Forwarding},
        scheduler::Name,
        service::{self, Key},
    },
    uapi::{self, Length},
};
use kernel::prelude::*;
use knet::errno;
use lvs_core::{
    netlink::{Attribute, AttributeError, Attributes},
    timeout::MAX_SECONDS,
    tunnel, Address, Endpoint, Family, Protocol,
};

/// Why a request is not carried out.
pub(super) struct Refusal {
    pub(super) error: Error,
    pub(super) message: Option<&'static CStr>,
}

impl Refusal {
    pub(super) fn new(error: Error, message: &'static CStr) -> Self {
        Self {
            error,
            message: Some(message),
        }
    }
}

impl Refusal {
    pub(super) fn no_service() -> Self {
        Self::new(ESRCH, c"no such virtual service")
    }

    pub(super) fn no_scheduler() -> Self {
        Self::new(ENOENT, c"no such scheduler")
    }

    pub(super) fn no_destination() -> Self {
        Self::new(ENOENT, c"no such destination")
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self {
            error,
            message: None,
        }
    }
}

impl From<AttributeError> for Refusal {
    fn from(_: AttributeError) -> Self {
        Self::new(EINVAL, c"malformed attribute")
    }
}

/// The attribute of this kind, which must be there.
pub(super) fn need<'a>(
    attributes: &Attributes<'a>,
    kind: u16,
    message: &'static CStr,
) -> Result<Attribute<'a>, Refusal> {
    attributes
        .find(kind)
        .ok_or_else(|| Refusal::new(EINVAL, message))
}

/// Checks the lengths of all attributes in a nest that have one. What a command does not need is
/// checked too, as the kernel's own parser does.
fn check_lengths(nest: &Attributes<'_>, lengths: &[(u16, Length)]) -> Result<(), Refusal> {
    for attribute in nest {
        let length = lengths.iter().find(|(kind, _)| *kind == attribute.kind);
        let len = attribute.payload.len();
        let fits = match length {
            Some((_, Length::Exact(wanted))) => len == *wanted,
            Some((_, Length::AtMost(most))) => len <= *most,
            None => true,
        };
        if !fits {
            return Err(AttributeError::WrongLength {
                kind: attribute.kind,
            }
            .into());
        }
    }
    Ok(())
}

/// The service that a request names.
pub(super) struct NamedService<'a> {
    family: Family,
    key: Result<Key, Refusal>,
    nest: Attributes<'a>,
}

impl<'a> NamedService<'a> {
    /// Reads it. The order of the checks, here and below, is that of the C director, so that a
    /// request with several mistakes gets the same error. What only this director refuses comes
    /// last.
    pub(super) fn new(attributes: &Attributes<'a>) -> Result<Self, Refusal> {
        use uapi::service::{ADDR, AF, FWMARK, PORT, PROTOCOL};

        let message = c"no virtual service given";
        let nest = need(attributes, uapi::message::SERVICE, message)?.nested()?;
        check_lengths(&nest, &uapi::service::LENGTHS)?;
        let number = need(&nest, AF, c"no address family given")?.u16()?;
        let mark = nest.find(FWMARK).map(|mark| mark.u32()).transpose()?;
        let parts = match mark {
            Some(_) => None,
            None => Some((
                need(&nest, PROTOCOL, c"no protocol given")?.u16()?,
                need(&nest, ADDR, c"no virtual address given")?,
                need(&nest, PORT, c"no virtual port given")?.u16_be()?,
            )),
        };
        let family = Family::try_from(number)
            .map_err(|_| Refusal::new(errno::family_not_supported(), c"unknown address family"))?;
        let key = match (mark, parts) {
            (Some(mark), _) if mark != 0 => Ok(Key::Mark { mark, family }),
            (_, Some((protocol, address, port))) => {
                key(protocol, address.address(family)?, port, family)
            }
            _ => Err(Refusal::new(EINVAL, c"the firewall mark must not be 0")),
        };
        Ok(Self { family, key, nest })
    }

    /// Its key, in a request that adds it.
    pub(super) fn key(self) -> Result<Key, Refusal> {
        self.key
    }

    /// Its key, in a request about a service that exists.
    pub(super) fn existing_key(self) -> Result<Key, Refusal> {
        self.key.map_err(|_| Refusal::no_service())
    }

    /// The rest, in a request that adds or edits it.
    pub(super) fn details(&self) -> Result<ServiceDetails<'a>, Refusal> {
        use uapi::service::{FLAGS, NETMASK, PE_NAME, SCHED_NAME, TIMEOUT};

        let nest = &self.nest;
        let scheduler = need(nest, SCHED_NAME, c"no scheduler given")?.string()?;
        let (flags, mask) = need(nest, FLAGS, c"no flags given")?.flags_mask()?;
        let timeout = need(nest, TIMEOUT, c"no persistence timeout given")?.u32()?;
        let netmask = need(nest, NETMASK, c"no persistence netmask given")?.u32()?;
        let engine = match nest.find(PE_NAME) {
            Some(engine) => engine.string()?,
            None => &[],
        };
        Ok(ServiceDetails {
            family: self.family,
            scheduler,
            engine,
            flags,
            mask,
            timeout,
            netmask,
        })
    }
}

fn key(protocol: u16, address: Address, port: u16, family: Family) -> Result<Key, Refusal> {
    if address.family() != family {
        return Err(Refusal::new(
            EINVAL,
            c"an IPv4-mapped address is not an IPv6 address",
        ));
    }
    let protocol = u8::try_from(protocol)
        .ok()
        .and_then(|number| Protocol::try_from(number).ok())
        .ok_or_else(|| {
            Refusal::new(
                errno::protocol_not_supported(),
                c"this director supports TCP and UDP services",
            )
        })?;
    let endpoint = Endpoint::new(address, port);
    Ok(Key::Address { protocol, endpoint })
}

/// What is set of a service.
pub(super) struct ServiceDetails<'a> {
    family: Family,
    scheduler: &'a [u8],
    engine: &'a [u8],
    flags: u32,
    mask: u32,
    timeout: u32,
    netmask: u32,
}

impl ServiceDetails<'_> {
    /// The scheduler's name. [`ENOENT`]: no scheduler can have this name.
    pub(super) fn scheduler(&self) -> Result<Name, Refusal> {
        Name::new(self.scheduler).ok_or_else(Refusal::no_scheduler)
    }

    /// Checks what does not depend on present settings.
    pub(super) fn check(&self, key: &Key) -> Result<(), Refusal> {
        use uapi::service::F_ONE_PACKET;

        if !self.engine.is_empty() {
            return Err(Refusal::new(ENOENT, c"no such persistence engine"));
        }
        if self.family == Family::V6 && !(1..=128).contains(&self.netmask) {
            return Err(Refusal::new(
                EINVAL,
                c"the prefix length of an IPv6 service is 1 to 128",
            ));
        }
        let tcp = Some(Protocol::Tcp);
        if self.flags & self.mask & F_ONE_PACKET != 0 && key.identity().0 == tcp {
            return Err(Refusal::new(EINVAL, c"one-packet scheduling is for UDP"));
        }
        Ok(())
    }

    /// The settings that result from `present` ones. Whether they go together is seen here only,
    /// since a flag may be one that stays.
    pub(super) fn over(&self, present: service::Settings) -> Result<service::Settings, Refusal> {
        use uapi::service::{F_HASHED, F_PERSISTENT};

        let flags = (present.flags & !self.mask | self.flags & self.mask) & !F_HASHED;
        if flags & F_PERSISTENT != 0 {
            if self.timeout > MAX_SECONDS {
                return Err(Refusal::new(
                    EINVAL,
                    c"the persistence timeout is out of range",
                ));
            }
            let mask = u32::from_be(self.netmask);
            let is_mask = self.family == Family::V6
                || mask != 0 && mask.leading_ones() + mask.trailing_zeros() == u32::BITS;
            if !is_mask {
                return Err(Refusal::new(
                    EINVAL,
                    c"the persistence granularity is not a netmask",
                ));
            }
        }
        Ok(service::Settings {
            flags,
            timeout: self.timeout,
            netmask: self.netmask,
        })
    }
}

/// The destination that a request names.
pub(super) struct NamedDestination {
    /// The address, or none where no destination can have it.
    address: Option<Address>,
    family: Family,
    port: u16,
}

impl NamedDestination {
    /// Reads the name of a destination of the service `key`.
    pub(super) fn new(attributes: &Attributes<'_>, key: &Key) -> Result<Self, Refusal> {
        Self::read(attributes, key, |_| Ok(())).map(|(named, ())| named)
    }

    /// Reads the name and the settings, of a request that adds or edits it.
    pub(super) fn with_settings(
        attributes: &Attributes<'_>,
        key: &Key,
    ) -> Result<(Self, DestinationDetails), Refusal> {
        let (named, details) = Self::read(attributes, key, DestinationDetails::new)?;
        details.check(key.family() != named.family)?;
        Ok((named, details))
    }

    fn read<T>(
        attributes: &Attributes<'_>,
        key: &Key,
        rest: impl FnOnce(&Attributes<'_>) -> Result<T, Refusal>,
    ) -> Result<(Self, T), Refusal> {
        use uapi::destination::{ADDR, ADDR_FAMILY, PORT};

        let nest = need(attributes, uapi::message::DEST, c"no destination given")?.nested()?;
        check_lengths(&nest, &uapi::destination::LENGTHS)?;
        let address = need(&nest, ADDR, c"no destination address given")?;
        let port = need(&nest, PORT, c"no destination port given")?.u16_be()?;
        // Older tools do not give a family: that of the service holds then.
        let number = match nest.find(ADDR_FAMILY) {
            Some(family) => family.u16()?,
            None => 0,
        };
        let rest = rest(&nest)?;
        let family = match number {
            0 => key.family(),
            number => Family::try_from(number).map_err(|_| {
                Refusal::new(
                    errno::family_not_supported(),
                    c"the destination's address family is not supported",
                )
            })?,
        };
        let address = address.address(family)?;
        let address = (address.is_host() && address.family() == family).then_some(address);
        let named = Self {
            address,
            family,
            port,
        };
        Ok((named, rest))
    }

    /// Where a new destination is. [`EINVAL`]: not the address of one host.
    pub(super) fn endpoint(&self) -> Result<Endpoint, Refusal> {
        match self.address {
            Some(address) => Ok(Endpoint::new(address, self.port)),
            None => Err(Refusal::new(
                EINVAL,
                c"the destination's address is not that of one host",
            )),
        }
    }

    /// Where a destination is that exists. [`ENOENT`]: none can be there.
    pub(super) fn existing_endpoint(&self) -> Result<Endpoint, Refusal> {
        self.endpoint().map_err(|_| Refusal::no_destination())
    }
}

/// What is set of a destination.
pub(super) struct DestinationDetails {
    method: u32,
    weight: u32,
    upper_threshold: u32,
    lower_threshold: u32,
    tunnel: tunnel::Numbers,
}

impl DestinationDetails {
    fn new(nest: &Attributes<'_>) -> Result<Self, Refusal> {
        use uapi::destination::{
            FWD_MASK, FWD_METHOD, L_THRESH, TUN_FLAGS, TUN_PORT, TUN_TYPE, U_THRESH, WEIGHT,
        };

        let method = need(nest, FWD_METHOD, c"no forwarding method given")?.u32()?;
        Ok(Self {
            method: method & FWD_MASK,
            weight: need(nest, WEIGHT, c"no weight given")?.u32()?,
            upper_threshold: need(nest, U_THRESH, c"no upper threshold given")?.u32()?,
            lower_threshold: need(nest, L_THRESH, c"no lower threshold given")?.u32()?,
            tunnel: tunnel::Numbers {
                kind: match nest.find(TUN_TYPE) {
                    Some(kind) => kind.u8()?,
                    None => 0,
                },
                port: match nest.find(TUN_PORT) {
                    Some(port) => port.u16_be()?,
                    None => 0,
                },
                flags: match nest.find(TUN_FLAGS) {
                    Some(flags) => flags.u16()?,
                    None => 0,
                },
            },
        })
    }

    /// Checks what every director refuses. `foreign`: it is of another address family than its
    /// service.
    fn check(&self, foreign: bool) -> Result<(), Refusal> {
        if foreign && self.method != Forwarding::Tunneling as u32 {
            return Err(Refusal::new(
                EINVAL,
                c"a real server of another address family is reached through a tunnel only",
            ));
        }
        if self.weight > i32::MAX as u32 {
            return Err(Refusal::new(ERANGE, c"the weight is out of range"));
        }
        if self.lower_threshold > self.upper_threshold {
            return Err(Refusal::new(
                ERANGE,
                c"the lower threshold is above the upper one",
            ));
        }
        if self.upper_threshold > i32::MAX as u32 {
            return Err(Refusal::new(EINVAL, c"the upper threshold is out of range"));
        }
        if self.tunnel.lacks_port() {
            return Err(Refusal::new(EINVAL, c"a GUE tunnel needs a port"));
        }
        Ok(())
    }

    /// The settings, or what only this director refuses.
    pub(super) fn settings(&self) -> Result<destination::Settings, Refusal> {
        let forwarding = Forwarding::from_number(self.method).ok_or_else(|| {
            Refusal::new(
                errno::operation_not_supported(),
                c"the forwarding method is none of masquerading, tunneling, direct routing, local",
            )
        })?;
        if forwarding == Forwarding::Tunneling && self.tunnel.tunnel().is_none() {
            return Err(Refusal::new(
                EINVAL,
                c"no such tunnel: ipip, gue with a port, or gre, with flags of that kind",
            ));
        }
        Ok(destination::Settings {
            forwarding,
            tunnel: self.tunnel,
            weight: self.weight,
            upper_threshold: self.upper_threshold,
            lower_threshold: self.lower_threshold,
        })
    }
}

/// Timeouts in seconds, 0 for those that stay.
pub(super) struct TimeoutDetails {
    pub(super) tcp: u32,
    pub(super) tcp_fin: u32,
    pub(super) udp: u32,
}

/// The timeouts that a request sets.
pub(super) fn timeouts(attributes: &Attributes<'_>) -> Result<TimeoutDetails, Refusal> {
    let get = |kind| match attributes.find(kind) {
        // The error of generic netlink's own check, which looks at the attributes outside of nests.
        Some(attribute) => attribute
            .u32()
            .map_err(|_| Refusal::new(ERANGE, c"a timeout has 32 bits")),
        None => Ok(0),
    };
    Ok(TimeoutDetails {
        tcp: get(uapi::message::TIMEOUT_TCP)?,
        tcp_fin: get(uapi::message::TIMEOUT_TCP_FIN)?,
        udp: get(uapi::message::TIMEOUT_UDP)?,
    })
}
