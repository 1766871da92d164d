// SPDX-License-Identifier: GPL-2.0-only

//! The datagrams by which directors synchronize their connections, in the format of the C director
//! (protocol versions 0 and 1, `net/netfilter/ipvs/ip_vs_sync.c` of Linux 7.2).
//!
//! A datagram is a header and up to 255 records. Numbers are in network order unless a comment says
//! otherwise. Version 1:
//!
//! ====== ====== =====================================================
//! offset octets header
//! ====== ====== =====================================================
//! 0      1      0; version 0 has its number of records here
//! 1      1      syncid
//! 2      2      octets of the datagram
//! 4      1      number of records
//! 5      1      version
//! 6      2      0
//! ====== ====== =====================================================
//!
//! ====== ======== ===================================================
//! offset octets   record, at a multiple of 4
//! ====== ======== ===================================================
//! 0      1        1 for IPv6, 0 for IPv4
//! 1      1        IP protocol, 0 for a template of a firewall mark
//! 2      2        version 0 in 4 bits, octets with options in 12 bits
//! 4      4        flags
//! 8      2        state
//! 10     2 x 3    ports of client, service, server
//! 16     4        firewall mark
//! 20     4        timeout of the state in seconds
//! 24     4 or 16  addresses of client, service, server, 3 in all
//! then            options: kind (1), octets (1), data
//! ====== ======== ===================================================
//!
//! Everything that arrives is hostile. A record is refused unless it could belong to a connection:
//! the C director checks neither addresses nor ports.

mod entry;

pub use entry::Entry;

use crate::{address::Family, destination::Forwarding, state::State, Address, Endpoint, Protocol};
use core::ops::DerefMut;

/// Octets of the header of version 1.
const HEADER: usize = 8;
/// Octets of the header of version 0.
const HEADER_V0: usize = 4;
/// Octets of a record of version 0 without sequence numbers.
const RECORD_V0: usize = 24;
/// Octets of sequence numbers, an option in version 1.
const SEQUENCES: usize = 24;
/// The octets before the addresses of a record of version 1.
const FIXED: usize = 24;
/// The octets of the largest record with its options, a limit of the 12-bit length.
const LARGEST: usize = 0xfff;
/// The record is of IPv6.
const KIND_V6: u8 = 1;
/// Option: sequence numbers.
const OPTION_SEQUENCES: u8 = 1;
/// Option: data of a persistence engine.
const OPTION_ENGINE_DATA: u8 = 2;
/// Option: name of a persistence engine.
const OPTION_ENGINE_NAME: u8 = 3;
/// A receiver that does not know an option with this bit ignores the option. Without this bit it
/// drops the record.
const OPTION_MAY_BE_IGNORED: u8 = 0x40;
/// Octets of the longest name of a persistence engine.
const ENGINE_NAME_MAX: usize = 16;

/// The version of a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    /// Version 0: IPv4 only, without timeouts, marks and options.
    V0,
    /// Version 1.
    V1,
}

impl Version {
    /// Returns the octets of the header.
    const fn header(self) -> usize {
        match self {
            Self::V0 => HEADER_V0,
            Self::V1 => HEADER,
        }
    }
}

/// The flags of a record (`IP_VS_CONN_F_*`), less those that no receiver uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flags(u32);

impl Flags {
    /// The forwarding method.
    const FORWARDING: u32 = 0x7;
    /// Replies bypass the director.
    pub const NO_OUTPUT: Self = Self(0x80);
    /// The connection counts as inactive.
    pub const INACTIVE: Self = Self(0x100);
    /// Sequence numbers of replies are translated.
    pub const OUT_SEQUENCES: Self = Self(0x200);
    /// Sequence numbers of requests are translated.
    pub const IN_SEQUENCES: Self = Self(0x400);
    /// The client's port is not known yet.
    pub const NO_CLIENT_PORT: Self = Self(0x800);
    /// The record is a persistence template.
    pub const TEMPLATE: Self = Self(0x1000);
    /// The connection lives for one packet. It is never synchronized.
    const ONE_PACKET: Self = Self(0x2000);
    /// The flags that a receiver uses (`IP_VS_CONN_F_BACKUP_MASK`, with `TEMPLATE`).
    const KNOWN: u32 = Self::FORWARDING | 0x80 | 0x100 | 0x200 | 0x400 | 0x800 | 0x1000;

    /// Returns the flags for a forwarding method.
    pub const fn new(forwarding: Forwarding) -> Self {
        Self(forwarding as u32)
    }

    /// Returns these flags and those of `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns true if all flags of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns the forwarding method, or `None` for one that the director does not have.
    pub fn forwarding(self) -> Option<Forwarding> {
        Forwarding::from_number(self.0 & Self::FORWARDING)
    }

    /// Returns true if the record must have sequence numbers.
    const fn has_sequences(self) -> bool {
        self.0 & (Self::OUT_SEQUENCES.0 | Self::IN_SEQUENCES.0) != 0
    }
}

/// How the sequence numbers of one direction are translated (`struct ip_vs_seq`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sequence {
    /// The sequence number from which on `delta` counts.
    pub initial: u32,
    /// The number that is added.
    pub delta: u32,
    /// The number that is added before `initial`.
    pub previous_delta: u32,
}

/// The sequence numbers of both directions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sequences {
    /// From client to server.
    pub input: Sequence,
    /// From server to client.
    pub output: Sequence,
}

/// A persistence engine, and what it found in the packets of a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Engine<'a> {
    /// The name, 1 to 16 octets without a zero octet.
    pub name: &'a [u8],
    /// The data, at most 255 octets.
    pub data: &'a [u8],
}

/// One connection or template.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record<'a> {
    /// The flags.
    pub flags: Flags,
    /// The protocol; `None` for a template of a firewall mark.
    pub protocol: Option<Protocol>,
    /// The state. 0 or 1 in a template, where 1 means that a connection was established.
    pub state: u16,
    /// The firewall mark of the packets.
    pub mark: u32,
    /// The timeout of the state in seconds; 0 in version 0, which has none.
    pub timeout: u32,
    /// The client. Its port is 0 in a template.
    pub client: Endpoint,
    /// The virtual service. For a firewall mark, the first four octets of the address are the mark.
    pub service: Endpoint,
    /// The real server.
    pub server: Endpoint,
    /// Sequence numbers. Present if a flag says so.
    pub sequences: Option<Sequences>,
    /// The persistence engine.
    pub engine: Option<Engine<'a>>,
}

/// The reason why a datagram, or the rest of it, cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Malformed {
    /// The datagram is shorter than its header, or than a record that it announces.
    Truncated,
    /// The length in the header differs from that of the datagram.
    Length,
    /// The version is unknown.
    Version,
    /// A record is of an unknown kind or version.
    Kind,
    /// An option has a wrong length, or occurs twice.
    Option,
}

/// The reason why one record is refused. The next record can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unusable {
    /// An unknown option must not be ignored.
    UnknownOption,
    /// The flags contradict each other or the options.
    Flags,
    /// The protocol is not supported.
    Protocol,
    /// The protocol has no such state.
    State,
    /// An address cannot be that of a host, or a port is 0.
    Endpoint,
    /// There are data of a persistence engine without its name.
    Engine,
}

/// The reason why a record is missing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// This record and the rest of the datagram.
    Rest(Malformed),
    /// Only this record.
    One(Unusable),
}

/// A datagram. Its records are read one after the other.
#[derive(Clone, Debug)]
pub struct Datagram<'a> {
    /// The version.
    pub version: Version,
    /// The number that separates groups of directors. A receiver with 0 accepts all.
    pub syncid: u8,
    rest: &'a [u8],
    left: u8,
}

fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (first, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(first)
}

fn word(bytes: &mut &[u8]) -> Option<u32> {
    take(bytes).copied().map(u32::from_be_bytes)
}

fn half(bytes: &mut &[u8]) -> Option<u16> {
    take(bytes).copied().map(u16::from_be_bytes)
}

fn address(bytes: &mut &[u8], family: Family) -> Option<Address> {
    match family {
        Family::V4 => take(bytes).copied().map(Address::from_v4),
        Family::V6 => take(bytes).copied().map(Address::from_v6),
    }
}

fn sequence(bytes: &mut &[u8], number: fn([u8; 4]) -> u32) -> Option<Sequence> {
    Some(Sequence {
        initial: number(*take(bytes)?),
        delta: number(*take(bytes)?),
        previous_delta: number(*take(bytes)?),
    })
}

fn sequences(mut bytes: &[u8], number: fn([u8; 4]) -> u32) -> Option<Sequences> {
    let sequences = Sequences {
        input: sequence(&mut bytes, number)?,
        output: sequence(&mut bytes, number)?,
    };
    bytes.is_empty().then_some(sequences)
}

impl<'a> Datagram<'a> {
    /// Reads the header of a datagram.
    ///
    /// # Errors
    ///
    /// [`Malformed::Truncated`], [`Malformed::Length`] or [`Malformed::Version`].
    pub fn new(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let ([first, syncid, size @ ..], rest) = bytes
            .split_first_chunk::<HEADER_V0>()
            .ok_or(Malformed::Truncated)?;
        if usize::from(u16::from_be_bytes(*size)) != bytes.len() {
            return Err(Malformed::Length);
        }
        // The C director reads all other datagrams as version 0, where the first octet is the
        // number of records. With 0 records there is nothing to read.
        let (version, left, rest) = match rest.split_first_chunk::<4>() {
            Some(([count, 1, 0, 0], rest)) if *first == 0 => (Version::V1, *count, rest),
            _ if *first == 0 => return Err(Malformed::Version),
            _ => (Version::V0, *first, rest),
        };
        Ok(Self {
            version,
            syncid: *syncid,
            rest,
            left,
        })
    }

    fn record(&mut self) -> Result<Record<'a>, Refused> {
        match self.version {
            Version::V0 => self.record_v0(),
            Version::V1 => self.record_v1(),
        }
    }

    fn record_v0(&mut self) -> Result<Record<'a>, Refused> {
        let truncated = Refused::Rest(Malformed::Truncated);
        let (record, rest) = self
            .rest
            .split_first_chunk::<RECORD_V0>()
            .ok_or(truncated)?;
        self.rest = rest;
        let fields = || {
            let mut record = record.as_slice();
            let [_, protocol] = *take(&mut record)?;
            let ports = [half(&mut record)?, half(&mut record)?, half(&mut record)?];
            let addresses = [
                address(&mut record, Family::V4)?,
                address(&mut record, Family::V4)?,
                address(&mut record, Family::V4)?,
            ];
            let flags = u32::from(half(&mut record)?);
            let state = half(&mut record)?;
            Some(Fields {
                family: Family::V4,
                protocol,
                flags,
                state,
                ports,
                addresses,
                mark: 0,
                timeout: 0,
            })
        };
        let fields = fields().ok_or(truncated)?;
        let mut options = Options::default();
        if Flags(fields.flags).has_sequences() {
            let (bytes, rest) = self
                .rest
                .split_first_chunk::<SEQUENCES>()
                .ok_or(truncated)?;
            self.rest = rest;
            // The C director sends its structures as they are, in the order of its machine.
            options.sequences = sequences(bytes, u32::from_ne_bytes);
        }
        fields.check(options)
    }

    fn record_v1(&mut self) -> Result<Record<'a>, Refused> {
        let truncated = Refused::Rest(Malformed::Truncated);
        let &[kind, _, high, low, ..] = self.rest.first_chunk::<FIXED>().ok_or(truncated)?;
        let size = u16::from_be_bytes([high, low]);
        let record = self
            .rest
            .get(..usize::from(size & 0xfff))
            .ok_or(truncated)?;
        let family = match kind {
            0 => Family::V4,
            KIND_V6 => Family::V6,
            _ => return Err(Refused::Rest(Malformed::Kind)),
        };
        if size >> 12 != 0 {
            return Err(Refused::Rest(Malformed::Kind));
        }
        // The last record may lack its padding.
        self.rest = self
            .rest
            .get(record.len().next_multiple_of(4)..)
            .unwrap_or(&[]);

        let mut rest = record;
        let fields = Fields::read(&mut rest, family).ok_or(truncated)?;
        let options = Options::read(rest)?;
        fields.check(options)
    }
}

impl<'a> Iterator for Datagram<'a> {
    type Item = Result<Record<'a>, Refused>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let record = self.record();
        if matches!(record, Err(Refused::Rest(_))) {
            self.left = 0;
        }
        Some(record)
    }
}

/// What a record has in both versions, unchecked.
struct Fields {
    family: Family,
    protocol: u8,
    flags: u32,
    state: u16,
    /// Of client, service, server; likewise the addresses.
    ports: [u16; 3],
    addresses: [Address; 3],
    mark: u32,
    timeout: u32,
}

impl Fields {
    fn read(record: &mut &[u8], family: Family) -> Option<Self> {
        let [_, protocol, _, _] = *take(record)?;
        let flags = word(record)?;
        let state = half(record)?;
        let ports = [half(record)?, half(record)?, half(record)?];
        let mark = word(record)?;
        let timeout = word(record)?;
        let addresses = [
            address(record, family)?,
            address(record, family)?,
            address(record, family)?,
        ];
        Some(Self {
            family,
            protocol,
            flags,
            state,
            ports,
            addresses,
            mark,
            timeout,
        })
    }

    fn check(self, options: Options<'_>) -> Result<Record<'_>, Refused> {
        self.record(options).map_err(Refused::One)
    }

    fn record(self, options: Options<'_>) -> Result<Record<'_>, Unusable> {
        if options.unknown {
            return Err(Unusable::UnknownOption);
        }
        let all = Flags(self.flags);
        let flags = Flags(self.flags & Flags::KNOWN);
        let is_template = flags.contains(Flags::TEMPLATE);
        if all.contains(Flags::ONE_PACKET)
            || is_template && flags.contains(Flags::NO_CLIENT_PORT)
            || flags.has_sequences() != options.sequences.is_some()
        {
            return Err(Unusable::Flags);
        }
        let protocol = match self.protocol {
            0 if is_template => None,
            number => Some(Protocol::try_from(number).map_err(|_| Unusable::Protocol)?),
        };
        let states = match protocol {
            _ if is_template => 2,
            Some(Protocol::Tcp) => State::Udp as u16,
            _ => 1,
        };
        if self.state >= states {
            return Err(Unusable::State);
        }
        let [client, service, server] = self.addresses;
        let [client_port, service_port, server_port] = self.ports;
        // The address of a firewall mark's template is the mark.
        let virtual_is_host = protocol.is_none() || service.is_host();
        let ports_are_set = is_template
            || service_port != 0
                && server_port != 0
                && (client_port != 0) != flags.contains(Flags::NO_CLIENT_PORT);
        // The client of a template is a network: 10.0.0.0, or 0.0.0.0 for a netmask of 1 bit.
        let client_is_host = is_template || client.is_host();
        // IPv4-mapped addresses are not valid in a record of IPv6.
        let is_foreign = |address: &Address| address.family() != self.family;
        if !server.is_host()
            || !virtual_is_host
            || !client_is_host
            || !ports_are_set
            || self.addresses.iter().any(is_foreign)
        {
            return Err(Unusable::Endpoint);
        }
        Ok(Record {
            flags,
            protocol,
            state: self.state,
            mark: self.mark,
            timeout: self.timeout,
            client: Endpoint::new(client, client_port),
            service: Endpoint::new(service, service_port),
            server: Endpoint::new(server, server_port),
            sequences: options.sequences,
            engine: options.engine()?,
        })
    }
}

/// The options of a record.
#[derive(Default)]
struct Options<'a> {
    sequences: Option<Sequences>,
    name: Option<&'a [u8]>,
    data: Option<&'a [u8]>,
    /// There is an unknown option that must not be ignored.
    unknown: bool,
}

impl<'a> Options<'a> {
    fn read(mut rest: &'a [u8]) -> Result<Self, Refused> {
        let mut options = Self::default();
        while !rest.is_empty() {
            options
                .one(&mut rest)
                .ok_or(Refused::Rest(Malformed::Option))?;
        }
        Ok(options)
    }

    /// Reads one option; `None` if it is malformed or occurs twice.
    fn one(&mut self, rest: &mut &'a [u8]) -> Option<()> {
        let [kind, len] = *take(rest)?;
        let (data, after) = rest.split_at_checked(usize::from(len))?;
        if data.is_empty() {
            return None;
        }
        *rest = after;
        let is_second = match kind & !OPTION_MAY_BE_IGNORED {
            OPTION_SEQUENCES => {
                let sequences = sequences(data, u32::from_be_bytes)?;
                self.sequences.replace(sequences).is_some()
            }
            OPTION_ENGINE_DATA => self.data.replace(data).is_some(),
            OPTION_ENGINE_NAME if data.len() <= ENGINE_NAME_MAX => {
                self.name.replace(data).is_some()
            }
            OPTION_ENGINE_NAME => true,
            _ => {
                self.unknown |= kind & OPTION_MAY_BE_IGNORED == 0;
                false
            }
        };
        (!is_second).then_some(())
    }

    fn engine(&self) -> Result<Option<Engine<'a>>, Unusable> {
        match (self.name, self.data) {
            (Some(name), data) if !name.contains(&0) => Ok(Some(Engine {
                name,
                data: data.unwrap_or(&[]),
            })),
            (None, None) => Ok(None),
            _ => Err(Unusable::Engine),
        }
    }
}

/// The reason why a datagram cannot take a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unfit {
    /// The datagram is full: send it, and begin another.
    Full,
    /// This version, or the format, cannot express the record.
    Inexpressible,
}

/// Writes datagrams into a buffer, one after the other.
#[derive(Debug)]
pub struct Writer<B> {
    buffer: B,
    version: Version,
    syncid: u8,
    /// The octets and the records that are written.
    len: usize,
    records: u8,
}

impl<B: DerefMut<Target = [u8]>> Writer<B> {
    /// Begins a datagram. The buffer has the length of the largest datagram. `None`: it has no room
    /// for the header.
    pub fn new(buffer: B, version: Version, syncid: u8) -> Option<Self> {
        let len = version.header();
        (buffer.len() >= len).then_some(Self {
            buffer,
            version,
            syncid,
            len,
            records: 0,
        })
    }

    /// Returns the number of records.
    pub const fn records(&self) -> u8 {
        self.records
    }

    /// Begins another datagram, perhaps of another version. The present one is lost.
    pub fn begin(&mut self, version: Version) {
        (self.version, self.records) = (version, 0);
        self.len = version.header();
    }

    /// Adds a record.
    ///
    /// # Errors
    ///
    /// [`Unfit`]; the datagram is unchanged then.
    pub fn push(&mut self, record: &Record<'_>) -> Result<(), Unfit> {
        let records = self.records.checked_add(1).ok_or(Unfit::Full)?;
        let start = match self.version {
            Version::V0 => self.len,
            Version::V1 => self.len.next_multiple_of(4),
        };
        // The length has 16 bits.
        let most = self.buffer.len().min(usize::from(u16::MAX));
        let room = self.buffer.get_mut(start..most).ok_or(Unfit::Full)?;
        let size = match self.version {
            Version::V0 => write_v0(room, record)?,
            Version::V1 => write_v1(room, record)?,
        };
        if let Some(padding) = self.buffer.get_mut(self.len..start) {
            padding.fill(0);
        }
        self.len = start.saturating_add(size);
        self.records = records;
        Ok(())
    }

    /// Completes the datagram and returns it.
    pub fn datagram(&mut self) -> &[u8] {
        let [high, low] = u16::try_from(self.len).unwrap_or(u16::MAX).to_be_bytes();
        match self.version {
            Version::V0 => {
                if let Some(header) = self.buffer.first_chunk_mut() {
                    *header = [self.records, self.syncid, high, low];
                }
            }
            Version::V1 => {
                if let Some(header) = self.buffer.first_chunk_mut() {
                    *header = [0, self.syncid, high, low, self.records, 1, 0, 0];
                }
            }
        }
        self.buffer.get(..self.len).unwrap_or(&[])
    }
}

/// Writes octets one after the other.
struct Cursor<'a> {
    room: &'a mut [u8],
    len: usize,
}

impl Cursor<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Unfit> {
        let end = self.len.checked_add(bytes.len()).ok_or(Unfit::Full)?;
        let place = self.room.get_mut(self.len..end).ok_or(Unfit::Full)?;
        place.copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }

    fn address(&mut self, address: Address, family: Family) -> Result<(), Unfit> {
        match (family, address.v4()) {
            (Family::V4, Some(octets)) => self.put(&octets),
            (Family::V6, None) => self.put(&address.octets16()),
            _ => Err(Unfit::Inexpressible),
        }
    }

    fn option(&mut self, kind: u8, data: &[u8]) -> Result<(), Unfit> {
        let len = u8::try_from(data.len()).map_err(|_| Unfit::Inexpressible)?;
        self.put(&[kind, len])?;
        self.put(data)
    }
}

fn sequence_words(sequences: &Sequences) -> [u32; 6] {
    let Sequences { input, output } = sequences;
    [
        input.initial,
        input.delta,
        input.previous_delta,
        output.initial,
        output.delta,
        output.previous_delta,
    ]
}

fn write_v0(room: &mut [u8], record: &Record<'_>) -> Result<usize, Unfit> {
    let flags = u16::try_from(record.flags.0).map_err(|_| Unfit::Inexpressible)?;
    let mut cursor = Cursor { room, len: 0 };
    cursor.put(&[0, record.protocol.map_or(0, |protocol| protocol as u8)])?;
    let ends = [record.client, record.service, record.server];
    for end in ends {
        cursor.put(&end.port.to_be_bytes())?;
    }
    for end in ends {
        cursor.address(end.address, Family::V4)?;
    }
    cursor.put(&flags.to_be_bytes())?;
    cursor.put(&record.state.to_be_bytes())?;
    match (&record.sequences, record.flags.has_sequences()) {
        (Some(sequences), true) => {
            for number in sequence_words(sequences) {
                cursor.put(&number.to_ne_bytes())?;
            }
        }
        (None, false) => {}
        _ => return Err(Unfit::Inexpressible),
    }
    if record.engine.is_some() {
        return Err(Unfit::Inexpressible);
    }
    Ok(cursor.len)
}

fn write_v1(room: &mut [u8], record: &Record<'_>) -> Result<usize, Unfit> {
    let family = record.client.address.family();
    let mut cursor = Cursor { room, len: 0 };
    let kind = match family {
        Family::V4 => 0,
        Family::V6 => KIND_V6,
    };
    let protocol = record.protocol.map_or(0, |protocol| protocol as u8);
    // The length is written at the end.
    cursor.put(&[kind, protocol, 0, 0])?;
    cursor.put(&record.flags.0.to_be_bytes())?;
    cursor.put(&record.state.to_be_bytes())?;
    let ends = [record.client, record.service, record.server];
    for end in ends {
        cursor.put(&end.port.to_be_bytes())?;
    }
    cursor.put(&record.mark.to_be_bytes())?;
    cursor.put(&record.timeout.to_be_bytes())?;
    for end in ends {
        cursor.address(end.address, family)?;
    }
    match (&record.sequences, record.flags.has_sequences()) {
        (Some(sequences), true) => {
            cursor.put(&[OPTION_SEQUENCES, SEQUENCES as u8])?;
            for number in sequence_words(sequences) {
                cursor.put(&number.to_be_bytes())?;
            }
        }
        (None, false) => {}
        _ => return Err(Unfit::Inexpressible),
    }
    if let Some(engine) = record.engine {
        let is_name = (1..=ENGINE_NAME_MAX).contains(&engine.name.len());
        if !is_name || engine.name.contains(&0) {
            return Err(Unfit::Inexpressible);
        }
        if !engine.data.is_empty() {
            cursor.option(OPTION_ENGINE_DATA, engine.data)?;
        }
        cursor.option(OPTION_ENGINE_NAME, engine.name)?;
    }
    let size = match u16::try_from(cursor.len) {
        Ok(size) if cursor.len <= LARGEST => size.to_be_bytes(),
        _ => return Err(Unfit::Inexpressible),
    };
    if let Some(field) = cursor.room.get_mut(2..4) {
        field.copy_from_slice(&size);
    }
    Ok(cursor.len)
}
