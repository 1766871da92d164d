// SPDX-License-Identifier: GPL-2.0-only

//! `sync save` and `sync load`: connections as synchronization datagrams, in a file. So they
//! survive the replacement of the module.
//!
//! The file has one datagram after the other, each after its length in two octets, in network
//! order. A backup daemon takes them from the loopback device, as it takes those of another
//! director.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::time::Duration;

use lvs_core::destination::Forwarding;
use lvs_core::service::Key;
use lvs_core::state::State;
use lvs_core::sync::{Datagram, Entry, Record, Unfit, Version, Writer};
use lvs_core::{Endpoint, Family, Protocol};

use crate::client::Director;
use crate::connections::{own, Connection, ConnectionFilter};
use crate::error::Error;
use crate::model::{self, Change, Daemon, DaemonRole, DestinationEntry, Group, ServiceId};

/// The interface over which datagrams reach a daemon of the same host.
pub const INTERFACE: &str = "lo";
/// The group and the port of the daemons (`IP_VS_SYNC_GROUP`, `IP_VS_SYNC_PORT`).
const GROUP: (Ipv4Addr, u16) = (Ipv4Addr::new(224, 0, 0, 81), 8848);
/// Octets of a datagram. The loopback device takes more, but the C director's buffer does not.
const DATAGRAM: usize = 1400;
/// A daemon's socket holds more than a hundred datagrams, so it gets a pause after half of them.
const BURST: usize = 50;
/// The pause, in which a daemon empties its socket.
const PAUSE: Duration = Duration::from_millis(2);
/// How often all connections are sent until the director has them.
const ROUNDS: usize = 3;
/// How often they are counted after each time, and the time between.
const POLLS: usize = 10;
const POLL: Duration = Duration::from_millis(20);

/// Numbers of what was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// Connections and templates in the file.
    pub saved: usize,
    /// Connections that no destination of the table explains.
    pub skipped: usize,
}

/// Writes connections as datagrams.
pub struct Saver<'a, W> {
    table: &'a [Group],
    out: W,
    writer: Writer<Vec<u8>>,
    numbers: Saved,
}

impl<'a, W: Write> Saver<'a, W> {
    /// Begins. The table has the forwarding methods, which the listing of connections lacks.
    ///
    /// # Errors
    ///
    /// None in practice: the buffer has room for a header.
    pub fn new(table: &'a [Group], syncid: u8, out: W) -> Result<Self, Error> {
        let writer = Writer::new(vec![0; DATAGRAM], Version::V1, syncid)
            .ok_or_else(|| Error::Failed("a datagram has no room".to_owned()))?;
        Ok(Self {
            table,
            out,
            writer,
            numbers: Saved::default(),
        })
    }

    /// Adds a connection.
    ///
    /// # Errors
    ///
    /// Those of the output.
    pub fn add(&mut self, connection: &Connection) -> io::Result<()> {
        let Some(record) = record(self.table, connection) else {
            self.numbers.skipped += 1;
            return Ok(());
        };
        let mut outcome = self.writer.push(&record);
        if outcome == Err(Unfit::Full) {
            self.flush()?;
            outcome = self.writer.push(&record);
        }
        match outcome {
            Ok(()) => self.numbers.saved += 1,
            Err(_) => self.numbers.skipped += 1,
        }
        Ok(())
    }

    /// Writes the last datagram and returns the numbers.
    ///
    /// # Errors
    ///
    /// Those of the output.
    pub fn finish(mut self) -> io::Result<Saved> {
        self.flush()?;
        self.out.flush()?;
        Ok(self.numbers)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.writer.records() > 0 {
            let datagram = self.writer.datagram();
            let len = u16::try_from(datagram.len()).map_err(io::Error::other)?;
            self.out.write_all(&len.to_be_bytes())?;
            self.out.write_all(datagram)?;
            self.writer.begin(Version::V1, 0);
        }
        Ok(())
    }
}

/// The record of a connection; `None` if no destination has its server.
fn record(table: &[Group], connection: &Connection) -> Option<Record<'static>> {
    let endpoint = |(address, port): (IpAddr, u16)| Endpoint::new(own(address), port);
    let state = State::from_name(connection.state.as_bytes())?;
    let (group, destination) = explain(table, connection)?;
    let entry = Entry {
        key: key(&group.service.service.id)?,
        forwarding: Forwarding::from_number(u32::from(destination.destination.forwarding))?,
        client: endpoint(connection.source),
        server: endpoint(connection.destination),
        timeout: connection.expires.max(1),
    };
    if is_template(connection) {
        return Some(entry.template(state == State::Assured));
    }
    let service = endpoint(connection.service);
    Some(entry.connection(protocol(connection.known_protocol()?)?, service, state))
}

/// A template stands for all ports of the client.
fn is_template(connection: &Connection) -> bool {
    connection.source.1 == 0
}

fn protocol(protocol: model::Protocol) -> Option<Protocol> {
    Protocol::try_from(u8::try_from(u16::from(protocol)).ok()?).ok()
}

fn key(id: &ServiceId) -> Option<Key> {
    Some(match *id {
        ServiceId::Address {
            protocol: own_protocol,
            address,
            port,
        } => Key::Address {
            protocol: protocol(own_protocol)?,
            endpoint: Endpoint::new(own(address), port),
        },
        ServiceId::Mark { mark, family } => Key::Mark {
            mark,
            family: match family {
                model::Family::Inet => Family::V4,
                model::Family::Inet6 => Family::V6,
            },
        },
    })
}

/// The service and the destination of a connection.
fn explain<'a>(
    table: &'a [Group],
    connection: &Connection,
) -> Option<(&'a Group, &'a DestinationEntry)> {
    let protocol = connection.known_protocol();
    let (virtual_address, virtual_port) = connection.service;
    // A service for its own address first, then one for all its ports, then firewall marks.
    let rank = |id: &ServiceId| match *id {
        ServiceId::Address {
            protocol: own,
            address,
            port,
        } if Some(own) == protocol && address == virtual_address => match port {
            port if port == virtual_port => Some(0),
            0 => Some(1),
            _ => None,
        },
        ServiceId::Address { .. } => None,
        // The template of a mark has the mark in place of the virtual address.
        ServiceId::Mark { mark, .. } => (!is_template(connection)
            || first_octets(virtual_address) == mark.to_be_bytes())
        .then_some(2),
    };
    let server = |entry: &&DestinationEntry| {
        let (address, port) = connection.destination;
        let own = &entry.destination;
        own.id.address == address && (own.id.port == port || own.id.port == 0 || port == 0)
    };
    table
        .iter()
        .filter_map(|group| {
            let rank = rank(&group.service.service.id)?;
            Some((rank, group, group.destinations.iter().find(server)?))
        })
        .min_by_key(|(rank, ..)| *rank)
        .map(|(_, group, destination)| (group, destination))
}

fn first_octets(address: IpAddr) -> [u8; 4] {
    match address {
        IpAddr::V4(address) => address.octets(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.octets();
            [a, b, c, d]
        }
    }
}

/// Reads all datagrams of a file. Nothing is sent before the whole file is known to be one.
///
/// # Errors
///
/// [`Error::Usage`] if it is not a file of `sync save`.
pub fn read(mut file: impl Read) -> Result<Vec<Vec<u8>>, Error> {
    let wrong = |what: &str| Error::Usage(format!("not a file of lvsadm sync save: {what}"));
    let mut octets = Vec::new();
    file.read_to_end(&mut octets)
        .map_err(|error| Error::Failed(format!("cannot read the connections: {error}")))?;
    let mut datagrams = Vec::new();
    let mut rest = octets.as_slice();
    while let Some((len, after)) = rest.split_first_chunk::<2>() {
        let len = usize::from(u16::from_be_bytes(*len));
        let (datagram, after) = after
            .split_at_checked(len)
            .ok_or_else(|| wrong("its end is missing"))?;
        if Datagram::new(datagram).is_err() {
            return Err(wrong("a datagram is malformed"));
        }
        datagrams.push(datagram.to_vec());
        rest = after;
    }
    if !rest.is_empty() {
        return Err(wrong("its end is missing"));
    }
    Ok(datagrams)
}

/// Gives connections to the director, and returns their number. A backup daemon runs meanwhile.
///
/// # Errors
///
/// [`Error::Failed`] if such a daemon runs already, or if the director does not take all of them.
pub fn load(director: &mut impl Director, datagrams: &[Vec<u8>]) -> Result<usize, Error> {
    if director
        .daemons()?
        .iter()
        .any(|daemon| daemon.role == DaemonRole::Backup)
    {
        return Err(Error::Failed(
            "a backup daemon runs, and only one can: stop it first (lvsadm --stop-daemon backup)"
                .to_owned(),
        ));
    }
    let wanted: usize = datagrams.iter().map(|datagram| records(datagram)).sum();
    director.change(&Change::StartDaemon(Daemon {
        role: DaemonRole::Backup,
        interface: INTERFACE.to_owned(),
        sync_id: 0,
        max_length: 0,
        group: None,
        port: 0,
        ttl: 0,
    }))?;
    let outcome = deliver(director, datagrams, wanted);
    director.change(&Change::StopDaemon(DaemonRole::Backup))?;
    let loaded = outcome?;
    if loaded < wanted {
        return Err(Error::Failed(format!(
            "the director has {loaded} connections, and {wanted} were given to it: services or \
             destinations of the others are missing, or the limit conn_max is too low"
        )));
    }
    Ok(wanted)
}

/// Sends until the director has all connections, a few times at most, since datagrams may get lost.
/// Returns the number of connections that it has.
fn deliver(
    director: &mut impl Director,
    datagrams: &[Vec<u8>],
    wanted: usize,
) -> Result<usize, Error> {
    let mut loaded = 0;
    for _ in 0..ROUNDS {
        send(datagrams)?;
        for _ in 0..POLLS {
            loaded = 0;
            director.connections(&ConnectionFilter::default(), &mut |_| {
                loaded += 1;
                Ok(())
            })?;
            if loaded >= wanted {
                return Ok(loaded);
            }
            std::thread::sleep(POLL);
        }
    }
    Ok(loaded)
}

/// The number of records in a datagram.
fn records(datagram: &[u8]) -> usize {
    Datagram::new(datagram).map_or(0, |datagram| datagram.flatten().count())
}

/// Sends datagrams to the backup daemon of this host.
fn send(datagrams: &[Vec<u8>]) -> Result<(), Error> {
    let failed = |error: io::Error| Error::Failed(format!("cannot send the connections: {error}"));
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
    rustix::net::sockopt::set_ip_multicast_if(&socket, &Ipv4Addr::LOCALHOST)
        .map_err(|error| failed(error.into()))?;
    for burst in datagrams.chunks(BURST) {
        for datagram in burst {
            socket.send_to(datagram, GROUP).map_err(failed)?;
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::memory::Memory;
    use crate::connections;
    use crate::names::Fixed;
    use crate::restore;

    const RULES: &str = "-A -t 10.1.0.100:80 -s rr
-a -t 10.1.0.100:80 -r 10.2.0.11:8080 -m
-A -u 10.1.0.100:53 -s rr
-a -u 10.1.0.100:53 -r 10.3.0.12:53 -i
-A -f 7 -s rr -p 300
-a -f 7 -r 10.2.0.13:0 -g
";
    // The last one has a server that no service has.
    const LISTING: &str = "
TCP 0A000001 C001 0A010064 0050 0A02000B 1F90 ESTABLISHED     899
UDP 0A000001 C002 0A010064 0035 0A03000C 0035 UDP             200
TCP 0A000001 0000 0A010064 0050 0A02000B 1F90 ASSURED         300
IP  0A000001 0000 00000007 0000 0A02000D 0000 NONE            301
TCP 0A000001 C003 0A010064 0050 0A020063 0050 ESTABLISHED     10
";

    /// What `sync save` writes for a listing of connections.
    fn saved(listing: &str) -> (Vec<u8>, Saved) {
        let mut director = Memory::default();
        let rules = restore::parse(RULES, &Fixed).unwrap();
        restore::apply(&rules, &mut director).unwrap();
        let mut file = Vec::new();
        let mut saver = Saver::new(&director.groups, 0, &mut file).unwrap();
        connections::read(listing.as_bytes(), &mut |connection| saver.add(&connection)).unwrap();
        let numbers = saver.finish().unwrap();
        (file, numbers)
    }

    #[test]
    fn saved_connections_have_the_method_and_the_state_of_their_listing() {
        let (file, numbers) = saved(LISTING);
        assert_eq!(
            numbers,
            Saved {
                saved: 4,
                skipped: 1
            }
        );
        let datagrams = read(file.as_slice()).unwrap();
        assert_eq!(datagrams.len(), 1);
        let records: Vec<Record<'_>> = Datagram::new(&datagrams[0])
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let told: Vec<_> = records
            .iter()
            .map(|record| {
                (
                    record.flags.forwarding().unwrap(),
                    record.is_template(),
                    record.state,
                    record.timeout,
                    record.mark,
                    record.client.port,
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                (Forwarding::Masquerading, false, 1, 899, 0, 0xc001),
                (Forwarding::Tunneling, false, 0, 200, 0, 0xc002),
                (Forwarding::Masquerading, true, 1, 300, 0, 0),
                (Forwarding::DirectRouting, true, 0, 301, 7, 0),
            ]
        );
        assert_eq!(records[0].protocol, Some(Protocol::Tcp));
        assert_eq!(records[3].protocol, None);
    }

    #[test]
    fn many_connections_take_several_datagrams() {
        let lines: Vec<String> = (1..=1000)
            .map(|port| {
                format!("TCP 0A000001 {port:04X} 0A010064 0050 0A02000B 1F90 ESTABLISHED 9")
            })
            .collect();
        let listing = format!("\n{}", lines.join("\n"));
        let (file, numbers) = saved(&listing);
        let datagrams = read(file.as_slice()).unwrap();
        assert!(datagrams.iter().all(|datagram| datagram.len() <= DATAGRAM));
        assert!(datagrams.len() > 20, "{}", datagrams.len());
        let all: usize = datagrams.iter().map(|datagram| records(datagram)).sum();
        assert_eq!((all, numbers.saved, numbers.skipped), (1000, 1000, 0));
    }

    #[test]
    fn a_file_that_is_cut_off_or_no_file_of_connections_is_refused() {
        let (file, _) = saved(LISTING);
        for len in 1..file.len() {
            assert!(read(&file[..len]).is_err(), "{len}");
        }
        assert_eq!(read(&b""[..]).unwrap().len(), 0);
        let error = read(&b"no datagram"[..]).unwrap_err().to_string();
        assert!(
            error.starts_with("not a file of lvsadm sync save"),
            "{error}"
        );
    }
}
