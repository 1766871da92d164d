// SPDX-License-Identifier: GPL-2.0-only

//! From attributes to what they mean, or a refusal.

use crate::{
    services::{
        destination::{self, Forwarding},
        scheduler::Name,
        service::{self, Key},
    },
    uapi,
};
use kernel::prelude::*;
use knet::errno;
use lvs_core::{
    netlink::{Attribute, AttributeError, Attributes},
    timeout::MAX_SECONDS,
    tunnel::Tunnel,
    Endpoint, Family, Protocol,
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

/// The service that a request names, and its nest.
pub(super) fn service<'a>(attributes: &Attributes<'a>) -> Result<(Key, Attributes<'a>), Refusal> {
    use uapi::service::{ADDR, AF, FWMARK, PORT, PROTOCOL};

    let nest = need(
        attributes,
        uapi::message::SERVICE,
        c"no virtual service given",
    )?
    .nested()?;
    let family = need(&nest, AF, c"no address family given")?.u16()?;
    let family = Family::try_from(family)
        .map_err(|_| Refusal::new(errno::family_not_supported(), c"unknown address family"))?;
    if let Some(mark) = nest.find(FWMARK) {
        let mark = mark.u32()?;
        if mark == 0 {
            return Err(Refusal::new(EINVAL, c"the firewall mark must not be 0"));
        }
        return Ok((Key::Mark { mark, family }, nest));
    }
    let protocol = need(&nest, PROTOCOL, c"no protocol given")?.u16()?;
    let address = need(&nest, ADDR, c"no virtual address given")?.address(family)?;
    if address.family() != family {
        return Err(Refusal::new(
            EINVAL,
            c"an IPv4-mapped address is none of IPv6",
        ));
    }
    let port = need(&nest, PORT, c"no virtual port given")?.u16_be()?;
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
    Ok((Key::Address { protocol, endpoint }, nest))
}

/// What is set of a service.
pub(super) struct ServiceDetails {
    pub(super) scheduler: Name,
    flags: u32,
    mask: u32,
    timeout: u32,
    netmask: u32,
}

impl ServiceDetails {
    /// The settings that result from `present` ones. Whether they go together is seen here only, since a flag
    /// may be one that stays.
    pub(super) fn over(
        &self,
        present: service::Settings,
        key: &Key,
    ) -> Result<service::Settings, Refusal> {
        use uapi::service::{F_HASHED, F_PERSISTENT};

        let flags = (present.flags & !self.mask | self.flags & self.mask) & !F_HASHED;
        if flags & F_PERSISTENT != 0 {
            if self.timeout == 0 || self.timeout > MAX_SECONDS {
                return Err(Refusal::new(
                    EINVAL,
                    c"the persistence timeout is out of range",
                ));
            }
            let is_mask = match key.family() {
                Family::V4 => {
                    let mask = u32::from_be(self.netmask);
                    mask.leading_ones() + mask.trailing_zeros() == u32::BITS
                }
                Family::V6 => (1..=128).contains(&self.netmask),
            };
            if !is_mask || self.netmask == 0 {
                return Err(Refusal::new(
                    EINVAL,
                    c"the persistence granularity is no netmask or prefix length",
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

/// The rest of a service's nest, for adding and editing.
pub(super) fn service_details(nest: &Attributes<'_>, key: &Key) -> Result<ServiceDetails, Refusal> {
    use uapi::service::{FLAGS, F_ONE_PACKET, NETMASK, PE_NAME, SCHED_NAME, TIMEOUT};

    let scheduler = need(nest, SCHED_NAME, c"no scheduler given")?.string()?;
    let (flags, mask) = need(nest, FLAGS, c"no flags given")?.flags_mask()?;
    let timeout = need(nest, TIMEOUT, c"no persistence timeout given")?.u32()?;
    let netmask = need(nest, NETMASK, c"no persistence netmask given")?.u32()?;
    if flags & mask & F_ONE_PACKET != 0
        && matches!(
            key,
            Key::Address {
                protocol: Protocol::Tcp,
                ..
            }
        )
    {
        return Err(Refusal::new(EINVAL, c"one-packet scheduling is for UDP"));
    }
    if let Some(engine) = nest.find(PE_NAME) {
        if !engine.string()?.is_empty() {
            return Err(Refusal::new(ENOENT, c"no such persistence engine"));
        }
    }
    Ok(ServiceDetails {
        scheduler: Name::new(scheduler).ok_or_else(|| {
            Refusal::new(EINVAL, c"a scheduler's name has 1 to 15 letters and digits")
        })?,
        flags,
        mask,
        timeout,
        netmask,
    })
}

/// The destination of a service `key` that a request names, and its nest.
pub(super) fn destination<'a>(
    attributes: &Attributes<'a>,
    key: &Key,
) -> Result<(Endpoint, Attributes<'a>), Refusal> {
    use uapi::destination::{ADDR, ADDR_FAMILY, PORT};

    let nest = need(attributes, uapi::message::DEST, c"no destination given")?.nested()?;
    let address = need(&nest, ADDR, c"no destination address given")?;
    let port = need(&nest, PORT, c"no destination port given")?.u16_be()?;
    // Older tools do not give a family: that of the service holds then.
    let family = match nest.find(ADDR_FAMILY) {
        Some(family) => family.u16()?,
        None => 0,
    };
    let family = match family {
        0 => key.family(),
        number => Family::try_from(number).map_err(|_| {
            Refusal::new(
                errno::family_not_supported(),
                c"the destination's address family is not supported",
            )
        })?,
    };
    let address = address.address(family)?;
    if !address.is_host() || address.family() != family {
        return Err(Refusal::new(
            EINVAL,
            c"the destination's address is not that of one host",
        ));
    }
    Ok((Endpoint::new(address, port), nest))
}

/// The rest of a destination's nest, for adding and editing.
pub(super) fn destination_details(
    nest: &Attributes<'_>,
    key: &Key,
    endpoint: Endpoint,
) -> Result<destination::Settings, Refusal> {
    use uapi::destination::{
        FWD_MASK, FWD_METHOD, L_THRESH, TUN_FLAGS, TUN_PORT, TUN_TYPE, U_THRESH, WEIGHT,
    };

    let method = need(nest, FWD_METHOD, c"no forwarding method given")?.u32()?;
    let weight = need(nest, WEIGHT, c"no weight given")?.u32()?;
    let upper_threshold = need(nest, U_THRESH, c"no upper threshold given")?.u32()?;
    let lower_threshold = need(nest, L_THRESH, c"no lower threshold given")?.u32()?;
    let tunnel_type = match nest.find(TUN_TYPE) {
        Some(kind) => kind.u8()?,
        None => 0,
    };
    let tunnel_port = match nest.find(TUN_PORT) {
        Some(port) => port.u16_be()?,
        None => 0,
    };
    let tunnel_flags = match nest.find(TUN_FLAGS) {
        Some(flags) => flags.u16()?,
        None => 0,
    };
    let forwarding = Forwarding::from_number(method & FWD_MASK).ok_or_else(|| {
        Refusal::new(
            errno::operation_not_supported(),
            c"the forwarding method is none of masquerading, tunneling, direct routing",
        )
    })?;
    let tunnel = match forwarding {
        Forwarding::Tunneling => Tunnel::from_numbers(tunnel_type, tunnel_port, tunnel_flags)
            .ok_or_else(|| {
                Refusal::new(
                    EINVAL,
                    c"no such tunnel: ipip, gue with a port, or gre, with flags of that kind",
                )
            })?,
        Forwarding::Masquerading | Forwarding::DirectRouting => Tunnel::Ipip,
    };
    if forwarding != Forwarding::Tunneling && endpoint.address.family() != key.family() {
        return Err(Refusal::new(
            EINVAL,
            c"a real server of another address family is reached through a tunnel only",
        ));
    }
    if weight > i32::MAX as u32 {
        return Err(Refusal::new(ERANGE, c"the weight is out of range"));
    }
    if upper_threshold > i32::MAX as u32 {
        return Err(Refusal::new(EINVAL, c"the upper threshold is out of range"));
    }
    if lower_threshold > upper_threshold {
        return Err(Refusal::new(
            ERANGE,
            c"the lower threshold is above the upper one",
        ));
    }
    Ok(destination::Settings {
        forwarding,
        tunnel,
        weight,
        upper_threshold,
        lower_threshold,
    })
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
        Some(attribute) => attribute.u32(),
        None => Ok(0),
    };
    Ok(TimeoutDetails {
        tcp: get(uapi::message::TIMEOUT_TCP)?,
        tcp_fin: get(uapi::message::TIMEOUT_TCP_FIN)?,
        udp: get(uapi::message::TIMEOUT_UDP)?,
    })
}
