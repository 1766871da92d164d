// SPDX-License-Identifier: GPL-2.0-only

//! `metrics`: statistics in the OpenMetrics text format.
//!
//! Belongs here: names and labels of metrics, and serving them. Names and labels are a promise to
//! dashboards: they are only ever added.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;

use lvs_core::drop::Reason;
use lvs_core::sync::Event;
use prometheus_client::encoding::{text, EncodeLabelSet};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::error::Error;
use crate::model::{Drops, Group, ServiceId, Stats, SyncState, Synchronization};
use crate::report::method;

/// The media type of the format.
const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServiceLabels {
    protocol: String,
    address: String,
    port: String,
    fwmark: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServerLabels {
    protocol: String,
    address: String,
    port: String,
    fwmark: String,
    server_address: String,
    server_port: u16,
    method: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Why {
    reason: &'static str,
}

impl From<Reason> for Why {
    fn from(reason: Reason) -> Self {
        Self {
            reason: reason.name(),
        }
    }
}

/// What is measured.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// The name and version of the module.
    pub module: Option<(String, String)>,
    /// Services with their servers.
    pub table: Vec<Group>,
    /// Lines `name: number` of the status of the director.
    pub status: Vec<(String, u64)>,
    /// Dropped packets of the namespace, those of deleted services included.
    pub drops: Drops,
    /// Synchronization, if a daemon runs.
    pub sync: Option<Synchronization>,
}

type Count = Counter<u64, AtomicU64>;
type Level = Gauge<i64, std::sync::atomic::AtomicI64>;

/// The five counters of services and servers.
struct Counters<L> {
    connections: Family<L, Count>,
    packets_in: Family<L, Count>,
    packets_out: Family<L, Count>,
    bytes_in: Family<L, Count>,
    bytes_out: Family<L, Count>,
}

impl<L> Counters<L>
where
    L: Clone + std::hash::Hash + Eq + EncodeLabelSet + fmt::Debug + Send + Sync + 'static,
{
    fn register(registry: &mut Registry, whose: &str) -> Self {
        let counters = Self {
            connections: Family::default(),
            packets_in: Family::default(),
            packets_out: Family::default(),
            bytes_in: Family::default(),
            bytes_out: Family::default(),
        };
        let name = |what: &str| format!("{whose}_{what}");
        registry.register(
            name("connections"),
            "Connections scheduled",
            counters.connections.clone(),
        );
        registry.register(
            name("packets_in"),
            "Packets from clients",
            counters.packets_in.clone(),
        );
        registry.register(
            name("packets_out"),
            "Packets to clients",
            counters.packets_out.clone(),
        );
        registry.register_with_unit(
            name("in"),
            "Bytes from clients",
            Unit::Bytes,
            counters.bytes_in.clone(),
        );
        registry.register_with_unit(
            name("out"),
            "Bytes to clients",
            Unit::Bytes,
            counters.bytes_out.clone(),
        );
        counters
    }

    fn set(&self, labels: &L, stats: &Stats) {
        for (family, value) in [
            (&self.connections, stats.connections),
            (&self.packets_in, stats.packets_in),
            (&self.packets_out, stats.packets_out),
            (&self.bytes_in, stats.bytes_in),
            (&self.bytes_out, stats.bytes_out),
        ] {
            family.get_or_create(labels).inc_by(value);
        }
    }
}

fn level<L>(registry: &mut Registry, name: &str, help: &str) -> Family<L, Level>
where
    L: Clone + std::hash::Hash + Eq + EncodeLabelSet + fmt::Debug + Send + Sync + 'static,
{
    let family = Family::<L, Level>::default();
    registry.register(name, help, family.clone());
    family
}

fn service_labels(id: &ServiceId) -> ServiceLabels {
    match id {
        ServiceId::Address {
            protocol,
            address,
            port,
        } => ServiceLabels {
            protocol: protocol.to_string().to_lowercase(),
            address: address.to_string(),
            port: port.to_string(),
            fwmark: String::new(),
        },
        ServiceId::Mark { mark, family } => ServiceLabels {
            protocol: family.to_string().to_lowercase(),
            address: String::new(),
            port: String::new(),
            fwmark: mark.to_string(),
        },
    }
}

/// The samples as text.
///
/// # Errors
///
/// None: memory can always be written.
pub fn encode(sample: &Sample) -> Result<String, Error> {
    let mut registry = Registry::with_prefix("lvs");
    if let Some((name, version)) = &sample.module {
        // Not OpenMetrics' type "info": node_exporter's textfile collector refuses a file with it.
        let modules = Family::<[(&str, String); 2], Level>::default();
        let labels = [("name", name.clone()), ("version", version.clone())];
        modules.get_or_create(&labels).set(1);
        registry.register("module_info", "The kernel module", modules);
    }
    for (name, value) in &sample.status {
        let gauge = Gauge::<i64, std::sync::atomic::AtomicI64>::default();
        gauge.set(i64::try_from(*value).unwrap_or(i64::MAX));
        registry.register(
            format!("status_{}", metric_name(name)),
            format!("{name} in /proc/net/ip_vs_status"),
            gauge,
        );
    }
    let registry = &mut registry;
    if let Some(sync) = &sample.sync {
        synchronization(registry, sync);
    }
    let of_services = Counters::<ServiceLabels>::register(registry, "service");
    let servers_of = level::<ServiceLabels>(registry, "service_servers", "Servers of the service");
    let accepting = level::<ServiceLabels>(
        registry,
        "service_servers_accepting",
        "Servers of the service with a weight above 0",
    );
    let of_servers = Counters::<ServerLabels>::register(registry, "server");
    let weight = level::<ServerLabels>(registry, "server_weight", "Weight of the server");
    let active = level::<ServerLabels>(registry, "server_active", "Active connections");
    let inactive = level::<ServerLabels>(registry, "server_inactive", "Inactive connections");
    let persistent = level::<ServerLabels>(registry, "server_persistent", "Persistence templates");
    let limit = level::<ServerLabels>(
        registry,
        "server_upper_threshold",
        "Upper threshold of connections; 0: no threshold",
    );
    let dropped = Family::<Why, Count>::default();
    registry.register(
        "dropped_packets",
        "Dropped packets by reason",
        dropped.clone(),
    );
    for (reason, count) in sample.drops.iter() {
        dropped.get_or_create(&Why::from(reason)).inc_by(count);
    }
    let by_services = Family::<(ServiceLabels, Why), Count>::default();
    registry.register(
        "service_dropped_packets",
        "Dropped packets by reason",
        by_services.clone(),
    );
    let by_servers = Family::<(ServerLabels, Why), Count>::default();
    registry.register(
        "server_dropped_packets",
        "Dropped packets by reason",
        by_servers.clone(),
    );
    for group in &sample.table {
        let labels = service_labels(&group.service.service.id);
        for (reason, count) in group.service.drops.iter() {
            let labels = (labels.clone(), Why::from(reason));
            by_services.get_or_create(&labels).inc_by(count);
        }
        of_services.set(&labels, &group.service.stats);
        let count = |servers: usize| i64::try_from(servers).unwrap_or(i64::MAX);
        servers_of
            .get_or_create(&labels)
            .set(count(group.destinations.len()));
        let weighted = group
            .destinations
            .iter()
            .filter(|entry| entry.destination.weight != 0);
        accepting
            .get_or_create(&labels)
            .set(count(weighted.count()));
        for entry in &group.destinations {
            let destination = &entry.destination;
            let labels = ServerLabels {
                protocol: labels.protocol.clone(),
                address: labels.address.clone(),
                port: labels.port.clone(),
                fwmark: labels.fwmark.clone(),
                server_address: destination.id.address.to_string(),
                server_port: destination.id.port,
                method: method(destination),
            };
            of_servers.set(&labels, &entry.stats);
            for (reason, count) in entry.drops.iter() {
                let labels = (labels.clone(), Why::from(reason));
                by_servers.get_or_create(&labels).inc_by(count);
            }
            for (family, value) in [
                (&weight, destination.weight),
                (&active, entry.active),
                (&inactive, entry.inactive),
                (&persistent, entry.persistent),
                (&limit, destination.upper_threshold),
            ] {
                family.get_or_create(&labels).set(value.into());
            }
        }
    }
    let mut text = String::new();
    text::encode(&mut text, registry)
        .map_err(|error| Error::Failed(format!("cannot encode the metrics: {error}")))?;
    Ok(text)
}

fn synchronization(registry: &mut Registry, sync: &Synchronization) {
    let ready = Gauge::<i64, std::sync::atomic::AtomicI64>::default();
    ready.set((sync.state() == SyncState::Ready).into());
    registry.register(
        "sync_ready",
        "1: the director could take over; 0: its backup waits for the table of a master",
        ready,
    );
    let events = Family::<[(&str, String); 1], Count>::default();
    for event in Event::ALL {
        let labels = [("event", event.name().replace(' ', "-"))];
        events.get_or_create(&labels).inc_by(sync.count(event));
    }
    registry.register(
        "sync_events",
        "What synchronization daemons sent, received, refused and missed",
        events,
    );
}

/// A name that a metric may have.
fn metric_name(name: &str) -> String {
    name.trim()
        .chars()
        .map(|character| match character {
            character if character.is_ascii_alphanumeric() => character.to_ascii_lowercase(),
            _ => '_',
        })
        .collect()
}

/// The lines `name: number` of a status file; all others say something else.
#[must_use]
pub fn status(text: &str) -> Vec<(String, u64)> {
    text.lines()
        .filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            // "1024 (10 bits, lfactor -4)" is 1024.
            let number = value.split_whitespace().next()?;
            Some((name.trim().to_owned(), number.parse().ok()?))
        })
        .collect()
}

/// Serves the metrics over HTTP, one scrape after the other, until the process is ended. `ready` is
/// called with the address; `sample` is called for each scrape.
///
/// # Errors
///
/// When the address cannot be listened on.
pub fn serve(
    address: SocketAddr,
    ready: &mut dyn FnMut(SocketAddr),
    sample: &mut dyn FnMut() -> Result<String, Error>,
) -> Result<(), Error> {
    let server = tiny_http::Server::http(address)
        .map_err(|error| Error::Failed(format!("cannot listen on {address}: {error}")))?;
    if let Some(address) = server.server_addr().to_ip() {
        ready(address);
    }
    for request in server.incoming_requests() {
        let path = request.url().split('?').next().unwrap_or_default();
        let (status, body) = match path {
            "/metrics" => match sample() {
                Ok(text) => (200, text),
                Err(error) => (500, format!("{error}\n")),
            },
            _ => (404, "the metrics are at /metrics\n".to_owned()),
        };
        let media_type = if status == 200 {
            MEDIA_TYPE
        } else {
            "text/plain; charset=utf-8"
        };
        let mut response = tiny_http::Response::from_string(body).with_status_code(status);
        if let Ok(header) = tiny_http::Header::from_bytes("Content-Type", media_type) {
            response = response.with_header(header);
        }
        // A scraper that went away is asked no more.
        request.respond(response).ok();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;
    use crate::report::tests::{group, server};

    fn sample() -> Sample {
        let mut busy = server(1, 5, 7);
        busy.stats = Stats {
            connections: 9,
            bytes_out: 1 << 40,
            ..Stats::default()
        }
        .into();
        Sample {
            drops: Drops::default(),
            module: Some(("ipvs_rs".to_owned(), "0.1.0".to_owned())),
            table: vec![group(vec![busy, server(2, 0, 0)])],
            status: status("Conns refused:\t3\nBuckets:\t1024\nversion 1\n"),
            sync: Some(Synchronization {
                master: true,
                events: vec![(Event::Sent, 5)],
                ..Synchronization::default()
            }),
        }
    }

    #[test]
    fn services_and_servers_have_their_labels() {
        let text = encode(&sample()).unwrap();
        for line in [
            "lvs_module_info{name=\"ipvs_rs\",version=\"0.1.0\"} 1",
            "lvs_status_conns_refused 3",
            "lvs_sync_ready 1",
            "lvs_sync_events_total{event=\"datagrams-sent\"} 5",
            "lvs_sync_events_total{event=\"datagrams-forged\"} 0",
            "lvs_service_servers{protocol=\"tcp\",address=\"192.0.2.1\",port=\"80\",fwmark=\"\"} 2",
            "lvs_service_servers_accepting{protocol=\"tcp\",address=\"192.0.2.1\",port=\"80\",\
             fwmark=\"\"} 1",
            "# TYPE lvs_server_connections counter",
            "lvs_server_connections_total{protocol=\"tcp\",address=\"192.0.2.1\",port=\"80\",\
             fwmark=\"\",server_address=\"10.2.0.1\",server_port=\"80\",method=\"NAT\"} 9",
            "lvs_server_out_bytes_total{protocol=\"tcp\",address=\"192.0.2.1\",port=\"80\",\
             fwmark=\"\",server_address=\"10.2.0.1\",server_port=\"80\",method=\"NAT\"} \
             1099511627776",
            "lvs_server_active{protocol=\"tcp\",address=\"192.0.2.1\",port=\"80\",fwmark=\"\",\
             server_address=\"10.2.0.1\",server_port=\"80\",method=\"NAT\"} 7",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(text.ends_with("# EOF\n"), "{text}");
    }

    #[test]
    fn the_dashboard_shows_metrics_that_exist() {
        let dashboard = include_str!("../../../packaging/grafana-dashboard.json");
        let value: serde_json::Value = serde_json::from_str(dashboard).unwrap();
        let mut status = String::new();
        for name in ["Conns", "Conns refused", "Conns dropped"] {
            status += &format!("{name}:\t3\n");
        }
        // A family without samples is left out.
        let mut drops = Drops::default();
        drops.add(Reason::NoRoute, 1);
        let text = encode(&Sample {
            status: self::status(&status),
            drops,
            ..sample()
        })
        .unwrap();
        let mut seen = 0;
        for panel in value["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().unwrap() {
                let expression = target["expr"].as_str().unwrap();
                let words = expression
                    .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
                for name in words.filter(|word| word.starts_with("lvs_")) {
                    seen += 1;
                    let known = text.lines().any(|line| {
                        line.strip_prefix(name)
                            .is_some_and(|rest| rest.starts_with([' ', '{']))
                    });
                    assert!(known, "{name} in {expression}");
                }
            }
        }
        assert!(seen >= 10, "{seen}");
    }

    #[test]
    fn metrics_are_served_at_their_path_only() {
        let (told, address) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            serve(
                SocketAddr::from(([127, 0, 0, 1], 0)),
                &mut |address| told.send(address).unwrap(),
                &mut || encode(&sample()),
            )
        });
        let address = address.recv().unwrap();
        let get = |path: &str| {
            let mut stream = TcpStream::connect(address).unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        };
        let answer = get("/metrics");
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        assert!(answer.contains(MEDIA_TYPE), "{answer}");
        assert!(answer.contains("lvs_server_active{"), "{answer}");
        assert!(get("/").starts_with("HTTP/1.1 404 "), "{answer}");
    }
}
