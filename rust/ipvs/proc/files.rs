// SPDX-License-Identifier: GPL-2.0-only

//! The files below `/proc/net`. `ip_vs` has the format that many tools parse.
//!
//! They are files of whatever a namespace has that has a director.

use crate::{
    director::Director,
    services::{helper, service::Key, statistics::Traffic},
    state::listing::{self, Row},
    uapi::{
        self,
        service::{F_ONE_PACKET, F_PERSISTENT},
    },
};
use core::marker::PhantomData;
use kernel::{prelude::*, seq_file::SeqFile, seq_print, str::BStr};
use knet::{
    counters::Totals,
    namespace::Instance,
    procfs::{Content, List},
    rcu, work,
};
use lvs_core::{scheduler::Destination as _, selection::Ends, Protocol};

/// The traffic of all services and its rates, in hexadecimal.
pub(crate) struct Stats<I>(PhantomData<fn() -> I>);

impl<I: Instance + AsRef<Director>> Content for Stats<I> {
    type Of = I;
    const NAME: &'static CStr = c"ip_vs_stats";

    fn show(instance: &I, file: &SeqFile) {
        let director = instance.as_ref();
        let Traffic { totals, rates } = director.traffic();
        seq_print!(
            file,
            "   Total Incoming Outgoing         Incoming         Outgoing\n\
             \x20  Conns  Packets  Packets            Bytes            Bytes\n"
        );
        numbers(file, &totals);
        seq_print!(
            file,
            "\n Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s\n"
        );
        numbers(file, &rates);
    }
}

/// The same, with what each CPU has ever counted.
pub(crate) struct StatsPerCpu<I>(PhantomData<fn() -> I>);

impl<I: Instance + AsRef<Director>> Content for StatsPerCpu<I> {
    type Of = I;
    const NAME: &'static CStr = c"ip_vs_stats_percpu";

    fn show(instance: &I, file: &SeqFile) {
        let director = instance.as_ref();
        let Traffic { totals, rates } = director.traffic();
        seq_print!(
            file,
            "       Total Incoming Outgoing         Incoming         Outgoing\n\
             CPU    Conns  Packets  Packets            Bytes            Bytes\n"
        );
        if let Ok(counted) = director.counted_by_cpu() {
            for (cpu, totals) in counted.iter() {
                seq_print!(file, "{:3X} ", cpu.number());
                numbers(file, totals);
            }
        }
        seq_print!(file, "  ~ ");
        numbers(file, &totals);
        seq_print!(
            file,
            "\n     Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s\n    "
        );
        numbers(file, &rates);
    }
}

fn numbers(file: &SeqFile, totals: &Totals) {
    seq_print!(
        file,
        "{:8X} {:8X} {:8X} {:16X} {:16X}\n",
        totals.connections,
        totals.in_packets,
        totals.out_packets,
        totals.in_bytes,
        totals.out_bytes
    );
}

/// The list of connections and templates.
pub(crate) struct IpVsConn<I>(PhantomData<fn() -> I>);

impl<I: Instance + AsRef<Director>> List for IpVsConn<I> {
    type Of = I;
    const NAME: &'static CStr = c"ip_vs_conn";

    fn heading(file: &SeqFile) {
        seq_print!(
            file,
            "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n"
        );
    }

    fn find(instance: &I, from: u32) -> Option<u32> {
        next_connection(instance.as_ref(), from)
    }

    fn show(instance: &I, key: u32, file: &SeqFile) {
        connections(instance.as_ref(), key, |row| {
            ends(file, row);
            seq_print!(file, "{:7}", row.expires);
            // Another director may have sent any octets.
            if let Some((engine, text)) = row.found() {
                let engine = engine.to_str().unwrap_or("");
                seq_print!(file, " {} {}", engine, BStr::from_bytes(text));
            }
            seq_print!(file, "\n");
        });
    }
}

/// The same list with the origin of each entry.
pub(crate) struct IpVsConnSync<I>(PhantomData<fn() -> I>);

impl<I: Instance + AsRef<Director>> List for IpVsConnSync<I> {
    type Of = I;
    const NAME: &'static CStr = c"ip_vs_conn_sync";

    fn heading(file: &SeqFile) {
        seq_print!(
            file,
            "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Origin Expires\n"
        );
    }

    fn find(instance: &I, from: u32) -> Option<u32> {
        next_connection(instance.as_ref(), from)
    }

    fn show(instance: &I, key: u32, file: &SeqFile) {
        connections(instance.as_ref(), key, |row| {
            let origin = if row.is_learned { "SYNC" } else { "LOCAL" };
            ends(file, row);
            seq_print!(file, "{:<6} {:7}\n", origin, row.expires);
        });
    }
}

/// The lowest key of a connection that is at least `from`.
fn next_connection(director: &Director, from: u32) -> Option<u32> {
    listing::rows_from(&*director.tables()?, from, |_| {})
}

/// Calls `f` for the connections with this key.
fn connections(director: &Director, key: u32, f: impl Fn(&Row)) {
    let Some(tables) = director.tables() else {
        return;
    };
    listing::rows_from(&tables, key, |row| {
        // Those with the key may have gone, and these are others behind it.
        if row.key == key {
            f(row);
        }
    });
}

/// Writes what both lists have in common.
fn ends(file: &SeqFile, row: &Row) {
    let Ends {
        protocol,
        client,
        service,
        server,
    } = row.ends;
    seq_print!(
        file,
        "{:<3} {:X} {:04X} {:X} {:04X} {:X} {:04X} {:<11} ",
        Protocol::try_from(protocol).map_or("IP", |protocol| protocol.name()),
        client.address,
        client.port,
        service.address,
        service.port,
        server.address,
        server.port,
        row.state.name()
    );
}

/// The list of helpers for protocols.
pub(crate) struct IpVsApp<I>(PhantomData<fn() -> I>);

impl<I: Instance + AsRef<Director>> Content for IpVsApp<I> {
    type Of = I;
    const NAME: &'static CStr = c"ip_vs_app";

    fn show(_: &I, file: &SeqFile) {
        seq_print!(file, "prot port    usecnt name\n");
        helper::for_each(|helper| {
            let name = helper.name.to_str().unwrap_or("");
            seq_print!(
                file,
                "TCP  {:<7} {:<6} {:<17}\n",
                helper.port,
                helper.used,
                name
            );
        });
    }
}

/// The list of services and destinations.
pub(crate) struct IpVs<I>(PhantomData<fn() -> I>);

impl<I: Instance + AsRef<Director>> Content for IpVs<I> {
    type Of = I;
    const NAME: &'static CStr = c"ip_vs";

    fn show(instance: &I, file: &SeqFile) {
        let director = instance.as_ref();
        seq_print!(
            file,
            "IP Virtual Server version {}.{}.{} (size={})\n",
            uapi::VERSION >> 16,
            uapi::VERSION >> 8 & 0xff,
            uapi::VERSION & 0xff,
            director.occupancy().buckets
        );
        seq_print!(file, "Prot LocalAddress:Port Scheduler Flags\n");
        seq_print!(
            file,
            "  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n"
        );
        let Ok(services) = director.services() else {
            return;
        };
        for service in &services {
            rcu::read(|section| {
                let Some(pool) = service.pool(section) else {
                    return;
                };
                let scheduler = pool.name.as_c_str().to_str().unwrap_or("");
                let settings = service.settings();
                let ops = match settings.flags & F_ONE_PACKET {
                    0 => "",
                    _ => "ops ",
                };
                match service.key {
                    Key::Address { protocol, endpoint } if endpoint.address.is_v4() => seq_print!(
                        file,
                        "{}  {:X} {} {} ",
                        protocol.name(),
                        endpoint,
                        scheduler,
                        ops
                    ),
                    // The C director leaves "ops" out here.
                    Key::Address { protocol, endpoint } => {
                        seq_print!(file, "{}  {:X} {} ", protocol.name(), endpoint, scheduler);
                    }
                    Key::Mark { mark, .. } => {
                        seq_print!(file, "FWM  {:08X} {} {}", mark, scheduler, ops);
                    }
                }
                if settings.flags & F_PERSISTENT != 0 {
                    seq_print!(
                        file,
                        "persistent {} {:08X}",
                        work::ticks(settings.timeout),
                        u32::from_be(settings.netmask)
                    );
                }
                seq_print!(file, "\n");
                for server in pool.destinations.iter().rev() {
                    seq_print!(
                        file,
                        "  -> {:X}      {:<7} {:<6} {:<10} {:<10}\n",
                        server.endpoint,
                        server.forwarding().name(),
                        server.weight(),
                        server.active(),
                        server.inactive()
                    );
                }
            });
        }
    }
}
