// SPDX-License-Identifier: GPL-2.0-only

//! Reads the requests of the netlink family "IPVS": from attributes to keys and settings, or to a
//! refusal with an error number and a sentence.
//!
//! The order of the checks is that of the C director, so a request with several mistakes gets the
//! same error number. What only this director refuses is checked last.
//!
//! Source: `include/uapi/linux/ip_vs.h`, and the observed answers of the C director of Linux 7.2.

use crate::{
    daemon::{InterfaceName, Role, Wanted},
    destination::{self, Forwarding},
    engine::EngineName,
    netlink::{Attribute, AttributeError, Attributes},
    service::{self, Key, SchedulerName},
    timeout::MAX_SECONDS,
    tunnel,
    uapi::{self, Length},
    Address, Endpoint, Family, Protocol,
};
use core::ffi::CStr;

/// The error number of a refusal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Errno {
    /// `EINVAL`
    Invalid,
    /// `ENOENT`: no such destination, scheduler or persistence engine.
    NotFound,
    /// `ESRCH`: no such service.
    NoSuchService,
    /// `ERANGE`
    OutOfRange,
    /// `EAFNOSUPPORT`
    FamilyNotSupported,
    /// `EPROTONOSUPPORT`
    ProtocolNotSupported,
    /// `EOPNOTSUPP`
    NotSupported,
}

impl Errno {
    /// Returns the number of `include/uapi/asm-generic/errno.h`, which is positive.
    pub const fn number(self) -> i32 {
        match self {
            Self::Invalid => 22,
            Self::NotFound => 2,
            Self::NoSuchService => 3,
            Self::OutOfRange => 34,
            Self::FamilyNotSupported => 97,
            Self::ProtocolNotSupported => 93,
            Self::NotSupported => 95,
        }
    }
}

/// The reason why a request is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// The error number.
    pub errno: Errno,
    /// A sentence for the administrator (extended acknowledgment).
    pub message: &'static CStr,
}

impl Refusal {
    /// Returns a refusal.
    pub const fn new(errno: Errno, message: &'static CStr) -> Self {
        Self { errno, message }
    }

    /// No service has this key.
    pub const fn no_service() -> Self {
        Self::new(Errno::NoSuchService, c"no such virtual service")
    }

    /// No scheduler has this name.
    pub const fn no_scheduler() -> Self {
        Self::new(Errno::NotFound, c"no such scheduler")
    }

    /// No persistence engine has this name.
    pub const fn no_engine() -> Self {
        Self::new(Errno::NotFound, c"no such persistence engine")
    }

    /// The service has no such destination.
    pub const fn no_destination() -> Self {
        Self::new(Errno::NotFound, c"no such destination")
    }
}

impl From<AttributeError> for Refusal {
    fn from(_: AttributeError) -> Self {
        Self::new(Errno::Invalid, c"malformed attribute")
    }
}

/// Returns the attribute of this kind.
///
/// # Errors
///
/// [`Errno::Invalid`] with this sentence if there is none.
pub fn need<'a>(
    attributes: &Attributes<'a>,
    kind: u16,
    message: &'static CStr,
) -> Result<Attribute<'a>, Refusal> {
    attributes
        .find(kind)
        .ok_or_else(|| Refusal::new(Errno::Invalid, message))
}

/// Checks the length of each known attribute in a nest. Attributes that the command does not use
/// are checked too, as by the kernel's own parser.
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

/// The service that a request names, as far as it is read.
pub struct NamedService<'a> {
    family: Family,
    key: Result<Key, Refusal>,
    nest: Attributes<'a>,
}

impl<'a> NamedService<'a> {
    /// Reads the family and the key.
    ///
    /// # Errors
    ///
    /// [`Errno::Invalid`] for missing or malformed attributes, [`Errno::FamilyNotSupported`] for an
    /// unknown address family. A key that no service can have is an error of [`Self::key`] and
    /// [`Self::existing_key`].
    pub fn new(attributes: &Attributes<'a>) -> Result<Self, Refusal> {
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
            .map_err(|_| Refusal::new(Errno::FamilyNotSupported, c"unknown address family"))?;
        let key = match (mark, parts) {
            (Some(mark), _) if mark != 0 => Ok(Key::Mark { mark, family }),
            (_, Some((protocol, address, port))) => {
                key(protocol, address.address(family)?, port, family)
            }
            _ => Err(Refusal::new(
                Errno::Invalid,
                c"the firewall mark must not be 0",
            )),
        };
        Ok(Self { family, key, nest })
    }

    /// Returns the key of a service to add.
    ///
    /// # Errors
    ///
    /// [`Errno::Invalid`] for a mark of 0 or an address of another family;
    /// [`Errno::ProtocolNotSupported`].
    pub fn key(self) -> Result<Key, Refusal> {
        self.key
    }

    /// Returns the key of a service that should exist.
    ///
    /// # Errors
    ///
    /// [`Errno::NoSuchService`] if no service can have it.
    pub fn existing_key(self) -> Result<Key, Refusal> {
        self.key.map_err(|_| Refusal::no_service())
    }

    /// Reads the settings of a service to add or edit.
    ///
    /// # Errors
    ///
    /// [`Errno::Invalid`] for missing or malformed attributes.
    pub fn details(&self) -> Result<ServiceDetails<'a>, Refusal> {
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
            Errno::Invalid,
            c"an IPv4-mapped address is not an IPv6 address",
        ));
    }
    let protocol = u8::try_from(protocol)
        .ok()
        .and_then(|number| Protocol::try_from(number).ok())
        .ok_or_else(|| {
            Refusal::new(
                Errno::ProtocolNotSupported,
                c"this director supports TCP, UDP and SCTP services",
            )
        })?;
    let endpoint = Endpoint::new(address, port);
    Ok(Key::Address { protocol, endpoint })
}

/// The settings of a service in a request, unchecked.
pub struct ServiceDetails<'a> {
    family: Family,
    scheduler: &'a [u8],
    engine: &'a [u8],
    flags: u32,
    mask: u32,
    timeout: u32,
    netmask: u32,
}

impl ServiceDetails<'_> {
    /// Returns the scheduler's name.
    ///
    /// # Errors
    ///
    /// [`Errno::NotFound`] if no scheduler can have this name.
    pub fn scheduler(&self) -> Result<SchedulerName, Refusal> {
        SchedulerName::new(self.scheduler).ok_or_else(Refusal::no_scheduler)
    }

    /// Returns the name of the persistence engine.
    ///
    /// # Errors
    ///
    /// [`Errno::NotFound`] if no engine can have this name.
    pub fn engine(&self) -> Result<Option<EngineName>, Refusal> {
        if self.engine.is_empty() {
            return Ok(None);
        }
        EngineName::new(self.engine)
            .ok_or_else(Refusal::no_engine)
            .map(Some)
    }

    /// Checks what does not depend on the present settings of the service.
    ///
    /// # Errors
    ///
    /// [`Errno::NotFound`] for a persistence engine; [`Errno::Invalid`] for a prefix length that no
    /// service can have.
    pub fn check(&self) -> Result<(), Refusal> {
        self.engine()?;
        if self.family == Family::V6 && !(1..=128).contains(&self.netmask) {
            return Err(Refusal::new(
                Errno::Invalid,
                c"the prefix length of an IPv6 service is 1 to 128",
            ));
        }
        Ok(())
    }

    /// Returns the settings that result from the present ones: flags outside the request's mask
    /// stay.
    ///
    /// # Errors
    ///
    /// [`Errno::Invalid`] for a persistence timeout that a persistent service cannot have.
    pub fn over(&self, present: service::Settings) -> Result<service::Settings, Refusal> {
        use uapi::service::{F_HASHED, F_PERSISTENT};

        let flags = (present.flags & !self.mask | self.flags & self.mask) & !F_HASHED;
        if flags & F_PERSISTENT != 0 && self.timeout > MAX_SECONDS {
            return Err(Refusal::new(
                Errno::Invalid,
                c"the persistence timeout is out of range",
            ));
        }
        Ok(service::Settings {
            flags,
            timeout: self.timeout,
            netmask: self.netmask,
            engine: self.engine()?,
        })
    }
}

/// The destination that a request names, as far as it is read.
pub struct NamedDestination {
    /// The address; `None` if no destination can have it.
    address: Option<Address>,
    family: Family,
    port: u16,
}

impl NamedDestination {
    /// Reads the address and port of a destination of the service `key`.
    ///
    /// # Errors
    ///
    /// [`Errno::Invalid`] for missing or malformed attributes, [`Errno::FamilyNotSupported`].
    pub fn new(attributes: &Attributes<'_>, key: &Key) -> Result<Self, Refusal> {
        Self::read(attributes, key, |_| Ok(())).map(|(named, ())| named)
    }

    /// Reads the address, the port and the settings of a destination to add or edit.
    ///
    /// # Errors
    ///
    /// As [`Self::new`]; [`Errno::OutOfRange`] or [`Errno::Invalid`] for settings that every
    /// director refuses.
    pub fn with_settings(
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
        // Older tools give no family: the destination has that of its service.
        let number = match nest.find(ADDR_FAMILY) {
            Some(family) => family.u16()?,
            None => 0,
        };
        let rest = rest(&nest)?;
        let family = match number {
            0 => key.family(),
            number => Family::try_from(number).map_err(|_| {
                Refusal::new(
                    Errno::FamilyNotSupported,
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

    /// Returns the endpoint of a destination to add.
    ///
    /// # Errors
    ///
    /// [`Errno::Invalid`] if the address is not that of one host.
    pub fn endpoint(&self) -> Result<Endpoint, Refusal> {
        match self.address {
            Some(address) => Ok(Endpoint::new(address, self.port)),
            None => Err(Refusal::new(
                Errno::Invalid,
                c"the destination's address is not that of one host",
            )),
        }
    }

    /// Returns the endpoint of a destination that should exist.
    ///
    /// # Errors
    ///
    /// [`Errno::NotFound`] if no destination can have it.
    pub fn existing_endpoint(&self) -> Result<Endpoint, Refusal> {
        self.endpoint().map_err(|_| Refusal::no_destination())
    }
}

/// The settings of a destination in a request, of which every director accepts the values.
pub struct DestinationDetails {
    method: u32,
    weight: u32,
    upper_threshold: u32,
    lower_threshold: u32,
    tunnel: tunnel::Numbers,
}

impl DestinationDetails {
    fn new(nest: &Attributes<'_>) -> Result<Self, Refusal> {
        use uapi::destination::{
            FWD_MASK, FWD_METHOD, F_NO_OUTPUT, L_THRESH, TUN_FLAGS, TUN_PORT, TUN_TYPE, U_THRESH,
            WEIGHT,
        };

        let method = need(nest, FWD_METHOD, c"no forwarding method given")?.u32()?;
        Ok(Self {
            method: match method & FWD_MASK {
                0 => method & F_NO_OUTPUT,
                method => method,
            },
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

    /// Checks what every director refuses. `foreign` means that the address family differs from
    /// that of the service.
    fn check(&self, foreign: bool) -> Result<(), Refusal> {
        if foreign && self.method != Forwarding::Tunneling.number() {
            return Err(Refusal::new(
                Errno::Invalid,
                c"a real server of another address family is reached through a tunnel only",
            ));
        }
        if self.weight > i32::MAX as u32 {
            return Err(Refusal::new(
                Errno::OutOfRange,
                c"the weight is out of range",
            ));
        }
        if self.lower_threshold > self.upper_threshold {
            return Err(Refusal::new(
                Errno::OutOfRange,
                c"the lower threshold is above the upper one",
            ));
        }
        if self.upper_threshold > i32::MAX as u32 {
            return Err(Refusal::new(
                Errno::Invalid,
                c"the upper threshold is out of range",
            ));
        }
        if self.tunnel.lacks_port() {
            return Err(Refusal::new(Errno::Invalid, c"a GUE tunnel needs a port"));
        }
        Ok(())
    }

    /// Returns the settings, after checking what only this director refuses.
    ///
    /// # Errors
    ///
    /// [`Errno::NotSupported`] for an unknown forwarding method, [`Errno::Invalid`] for an unknown
    /// tunnel.
    pub fn settings(&self) -> Result<destination::Settings, Refusal> {
        let forwarding = Forwarding::from_number(self.method).ok_or_else(|| {
            Refusal::new(
                Errno::NotSupported,
                c"the methods are masquerading, tunneling, direct routing, local and bypass",
            )
        })?;
        if forwarding == Forwarding::Tunneling && self.tunnel.tunnel().is_none() {
            return Err(Refusal::new(
                Errno::Invalid,
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

/// Timeouts in a request, in seconds; 0 keeps the present one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// Of established TCP connections.
    pub tcp: u32,
    /// Of TCP connections that close.
    pub tcp_fin: u32,
    /// Of UDP.
    pub udp: u32,
}

/// Reads the timeouts that a request sets.
///
/// # Errors
///
/// [`Errno::OutOfRange`] for an attribute of another length.
pub fn timeouts(attributes: &Attributes<'_>) -> Result<Timeouts, Refusal> {
    let get = |kind| match attributes.find(kind) {
        // Generic netlink checks attributes outside nests itself, with this error number.
        Some(attribute) => attribute
            .u32()
            .map_err(|_| Refusal::new(Errno::OutOfRange, c"a timeout has 32 bits")),
        None => Ok(0),
    };
    Ok(Timeouts {
        tcp: get(uapi::message::TIMEOUT_TCP)?,
        tcp_fin: get(uapi::message::TIMEOUT_TCP_FIN)?,
        udp: get(uapi::message::TIMEOUT_UDP)?,
    })
}

/// Reads the role of a synchronization daemon that a request is about; `None` for a number that no
/// role has.
///
/// # Errors
///
/// [`Errno::Invalid`] for missing or malformed attributes.
pub fn daemon_role(attributes: &Attributes<'_>) -> Result<Option<Role>, Refusal> {
    let nest = daemon_nest(attributes)?;
    role(&nest)
}

/// Reads the role and the settings of a synchronization daemon to start.
///
/// # Errors
///
/// [`Errno::Invalid`] for missing or malformed attributes, a group that is not a multicast address,
/// or a syncid above 255.
pub fn daemon(attributes: &Attributes<'_>) -> Result<(Option<Role>, Wanted), Refusal> {
    use uapi::daemon::{
        MCAST_GROUP, MCAST_GROUP6, MCAST_IFN, MCAST_PORT, MCAST_TTL, SYNC_ID, SYNC_MAXLEN,
    };

    let nest = daemon_nest(attributes)?;
    let role = role(&nest)?;
    let interface = need(&nest, MCAST_IFN, c"no multicast interface given")?.string()?;
    let syncid = need(&nest, SYNC_ID, c"no syncid given")?.u32()?;
    let group = match (nest.find(MCAST_GROUP), nest.find(MCAST_GROUP6)) {
        (Some(group), _) => Some(group.address(Family::V4)?),
        (None, Some(group)) => Some(group.address(Family::V6)?),
        (None, None) => None,
    };
    if group.is_some_and(|group| !group.is_multicast()) {
        return Err(Refusal::new(
            Errno::Invalid,
            c"the group is not a multicast address",
        ));
    }
    let short = |kind| nest.find(kind).map_or(Ok(0), |number| number.u16());
    let invalid = |message| move || Refusal::new(Errno::Invalid, message);
    let wanted = Wanted {
        interface: InterfaceName::new(interface)
            .ok_or_else(invalid(c"no interface has such a name"))?,
        // A datagram has one octet for it. With more than 255, a backup would accept nothing.
        syncid: u8::try_from(syncid).map_err(|_| invalid(c"the syncid is 0 to 255")())?,
        max_len: short(SYNC_MAXLEN)?,
        group,
        port: short(MCAST_PORT)?,
        ttl: nest.find(MCAST_TTL).map_or(Ok(0), |ttl| ttl.u8())?,
    };
    Ok((role, wanted))
}

fn daemon_nest<'a>(attributes: &Attributes<'a>) -> Result<Attributes<'a>, Refusal> {
    let message = c"no synchronization daemon given";
    let nest = need(attributes, uapi::message::DAEMON, message)?.nested()?;
    check_lengths(&nest, &uapi::daemon::LENGTHS)?;
    Ok(nest)
}

fn role(nest: &Attributes<'_>) -> Result<Option<Role>, Refusal> {
    let message = c"neither master nor backup given";
    Ok(Role::from_number(
        need(nest, uapi::daemon::STATE, message)?.u32()?,
    ))
}
