// SPDX-License-Identifier: GPL-2.0-only

//! Writes services and destinations as attributes.

use crate::{
    services::{
        destination::Destination,
        service::{Key, Service},
        statistics::Traffic,
    },
    uapi,
};
use knet::netlink::{Full, Writer};
use lvs_core::{daemon::Daemon, scheduler::Destination as _, Address, Endpoint};

/// The form of services and destinations in one of the families.
pub(super) struct Form {
    /// The attribute that holds a service.
    pub(super) service: u16,
    /// The attribute that holds a destination.
    pub(super) destination: u16,
    /// The statistics to write.
    pub(super) statistics: Statistics,
}

/// The statistics in an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Statistics {
    /// No statistics.
    None,
    /// Counts in 64 bits.
    Long,
    /// Counts in 64 bits, and in 32 bits for old tools.
    Both,
}

/// The form in the family "IPVS".
pub(super) const IPVS: Form = Form {
    service: uapi::message::SERVICE,
    destination: uapi::message::DEST,
    statistics: Statistics::Both,
};

/// Returns the 16 octets of an address attribute, of which IPv4 uses the first four.
fn address(address: Address) -> [u8; 16] {
    let mut field = [0; 16];
    match (address.v4(), field.first_chunk_mut::<4>()) {
        (Some(octets), Some(start)) => *start = octets,
        _ => field = address.octets16(),
    }
    field
}

/// Writes the key of a service.
pub(super) fn key(writer: &mut Writer<'_>, key: &Key) -> Result<(), Full> {
    use uapi::service::{ADDR, AF, FWMARK, PORT, PROTOCOL};

    match *key {
        Key::Address { protocol, endpoint } => {
            writer.u16(AF, endpoint.address.family() as u16)?;
            writer.u16(PROTOCOL, protocol as u16)?;
            writer.put(ADDR, &address(endpoint.address))?;
            writer.u16_be(PORT, endpoint.port)
        }
        Key::Mark { mark, family } => {
            writer.u16(AF, family as u16)?;
            writer.u32(FWMARK, mark)
        }
    }
}

/// Writes the key of a destination.
pub(super) fn endpoint(writer: &mut Writer<'_>, endpoint: Endpoint) -> Result<(), Full> {
    use uapi::destination::{ADDR, ADDR_FAMILY, PORT};

    writer.put(ADDR, &address(endpoint.address))?;
    writer.u16_be(PORT, endpoint.port)?;
    writer.u16(ADDR_FAMILY, endpoint.address.family() as u16)
}

/// Writes a service as in the answer to GET_SERVICE.
pub(super) fn service(writer: &mut Writer<'_>, form: &Form, service: &Service) -> Result<(), Full> {
    use uapi::service::{FLAGS, F_HASHED, NETMASK, PE_NAME, SCHED_NAME, STATS, STATS64, TIMEOUT};

    let settings = service.all_settings();
    let name = service.scheduler_name();
    writer.nest(form.service, |writer| {
        key(writer, &service.key)?;
        writer.string(
            SCHED_NAME,
            name.as_ref().map_or(c"none", |name| name.as_c_str()),
        )?;
        if let Some(engine) = &settings.engine {
            writer.string(PE_NAME, engine.as_c_str())?;
        }
        // A service in the listing is always in the table. kube-proxy ignores services without
        // this flag.
        let [a, b, c, d] = (settings.flags | F_HASHED).to_ne_bytes();
        writer.put(FLAGS, &[a, b, c, d, 0xff, 0xff, 0xff, 0xff])?;
        writer.u32(TIMEOUT, settings.timeout)?;
        writer.u32(NETMASK, settings.netmask)?;
        traffic(writer, form, (STATS, STATS64), || service.traffic())
    })
}

/// Writes a destination as in the answer to GET_DEST.
pub(super) fn destination(
    writer: &mut Writer<'_>,
    form: &Form,
    server: &Destination,
) -> Result<(), Full> {
    use uapi::destination::{
        ACTIVE_CONNS, ADDR, ADDR_FAMILY, FWD_METHOD, INACT_CONNS, L_THRESH, PERSIST_CONNS, PORT,
        STATS, STATS64, TUN_FLAGS, TUN_PORT, TUN_TYPE, U_THRESH, WEIGHT,
    };

    let settings = server.settings();
    writer.nest(form.destination, |writer| {
        writer.put(ADDR, &address(server.endpoint.address))?;
        writer.u16_be(PORT, server.endpoint.port)?;
        writer.u32(FWD_METHOD, settings.forwarding.number())?;
        writer.u32(WEIGHT, settings.weight)?;
        writer.u8(TUN_TYPE, settings.tunnel.kind)?;
        writer.u16_be(TUN_PORT, settings.tunnel.port)?;
        writer.u16(TUN_FLAGS, settings.tunnel.flags)?;
        writer.u32(U_THRESH, settings.upper_threshold)?;
        writer.u32(L_THRESH, settings.lower_threshold)?;
        writer.u32(ACTIVE_CONNS, server.active())?;
        writer.u32(INACT_CONNS, server.inactive())?;
        writer.u32(PERSIST_CONNS, server.templates())?;
        writer.u16(ADDR_FAMILY, server.endpoint.address.family() as u16)?;
        traffic(writer, form, (STATS, STATS64), || {
            server.statistics.traffic()
        })
    })
}

/// Writes a synchronization daemon as in the answer to GET_DAEMON.
pub(super) fn daemon(writer: &mut Writer<'_>, daemon: &Daemon) -> Result<(), Full> {
    use uapi::daemon::{
        MCAST_GROUP, MCAST_GROUP6, MCAST_IFN, MCAST_PORT, MCAST_TTL, STATE, SYNC_ID, SYNC_MAXLEN,
    };

    writer.nest(uapi::message::DAEMON, |writer| {
        writer.u32(STATE, daemon.role as u32)?;
        writer.string(MCAST_IFN, daemon.interface.as_c_str())?;
        writer.u32(SYNC_ID, daemon.syncid.into())?;
        writer.u16(SYNC_MAXLEN, daemon.max_len)?;
        writer.u16(MCAST_PORT, daemon.group.port)?;
        writer.u8(MCAST_TTL, daemon.ttl)?;
        match daemon.group.address.v4() {
            Some(octets) => writer.put(MCAST_GROUP, &octets),
            None => writer.put(MCAST_GROUP6, &daemon.group.address.octets16()),
        }
    })
}

/// Writes the traffic in attributes of these kinds, if the form has any. Adding it up is slow.
fn traffic(
    writer: &mut Writer<'_>,
    form: &Form,
    (short, long): (u16, u16),
    traffic: impl FnOnce() -> Traffic,
) -> Result<(), Full> {
    if form.statistics == Statistics::None {
        return Ok(());
    }
    let traffic = traffic();
    if form.statistics == Statistics::Both {
        statistics(writer, short, &traffic)?;
    }
    statistics64(writer, long, &traffic)
}

/// Writes statistics for old tools: counts in 32 bits, which wrap.
fn statistics(writer: &mut Writer<'_>, kind: u16, traffic: &Traffic) -> Result<(), Full> {
    use uapi::stats::{
        CONNS, CPS, INBPS, INBYTES, INPKTS, INPPS, OUTBPS, OUTBYTES, OUTPKTS, OUTPPS, PAD,
    };

    let Traffic { totals, rates } = traffic;
    writer.nest(kind, |writer| {
        writer.u32(CONNS, totals.connections as u32)?;
        writer.u32(INPKTS, totals.in_packets as u32)?;
        writer.u32(OUTPKTS, totals.out_packets as u32)?;
        writer.u64(INBYTES, totals.in_bytes, PAD)?;
        writer.u64(OUTBYTES, totals.out_bytes, PAD)?;
        writer.u32(CPS, rates.connections as u32)?;
        writer.u32(INPPS, rates.in_packets as u32)?;
        writer.u32(OUTPPS, rates.out_packets as u32)?;
        writer.u32(INBPS, rates.in_bytes as u32)?;
        writer.u32(OUTBPS, rates.out_bytes as u32)
    })
}

/// Writes statistics in 64 bits.
fn statistics64(writer: &mut Writer<'_>, kind: u16, traffic: &Traffic) -> Result<(), Full> {
    use uapi::stats::{
        CONNS, CPS, INBPS, INBYTES, INPKTS, INPPS, OUTBPS, OUTBYTES, OUTPKTS, OUTPPS, PAD,
    };

    let Traffic { totals, rates } = traffic;
    writer.nest(kind, |writer| {
        writer.u64(CONNS, totals.connections, PAD)?;
        writer.u64(INPKTS, totals.in_packets, PAD)?;
        writer.u64(OUTPKTS, totals.out_packets, PAD)?;
        writer.u64(INBYTES, totals.in_bytes, PAD)?;
        writer.u64(OUTBYTES, totals.out_bytes, PAD)?;
        writer.u64(CPS, rates.connections, PAD)?;
        writer.u64(INPPS, rates.in_packets, PAD)?;
        writer.u64(OUTPPS, rates.out_packets, PAD)?;
        writer.u64(INBPS, rates.in_bytes, PAD)?;
        writer.u64(OUTBPS, rates.out_bytes, PAD)
    })
}
