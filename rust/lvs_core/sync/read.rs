// SPDX-License-Identifier: GPL-2.0-only

//! Reads datagrams.

use super::{
    stamp::{self, Stamp},
    Engine, Flags, Malformed, Record, Refused, Sequence, Sequences, Unusable, Version,
    ENGINE_NAME_MAX, FIXED, HEADER_V0, KIND_V6, OPTION_ENGINE_DATA, OPTION_ENGINE_NAME,
    OPTION_MAY_BE_IGNORED, OPTION_SEQUENCES, RECORD_V0, SEQUENCES,
};
use crate::{state::State, Address, Endpoint, Family, Protocol};

/// The number of states of SCTP in records.
const SCTP_STATES: u16 = 14;

/// A datagram. Its records are read one after the other.
#[derive(Clone, Debug)]
pub struct Datagram<'a> {
    /// The version.
    pub version: Version,
    /// The number that separates groups of directors. A receiver with 0 accepts all.
    pub syncid: u8,
    rest: &'a [u8],
    left: u8,
    /// It has messages, not records.
    has_messages: bool,
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
            has_messages: version == Version::V1 && left == 0,
        })
    }

    /// Returns how many records are left to read.
    pub const fn count(&self) -> u8 {
        self.left
    }

    /// Returns the octets of the messages; `None` if this is a datagram with records.
    pub(super) const fn messages(&self) -> Option<&'a [u8]> {
        match self.has_messages {
            true => Some(self.rest),
            false => None,
        }
    }

    /// Returns the stamp, unchecked, before records are read.
    pub fn stamp(&self) -> Option<Stamp> {
        let mut options = match self.messages() {
            Some(messages) => messages,
            None if self.version == Version::V1 => {
                let record = self.last_record()?;
                let addresses = match record.first()? {
                    0 => 3 * 4,
                    _ => 3 * 16,
                };
                record.get(FIXED..)?.get(addresses..)?
            }
            None => return None,
        };
        loop {
            let [kind, len] = *take(&mut options)?;
            let (data, rest) = options.split_at_checked(usize::from(len))?;
            if kind == stamp::OPTION {
                return stamp::read(data);
            }
            options = rest;
        }
    }

    /// Finds the last record without reading the others.
    fn last_record(&self) -> Option<&'a [u8]> {
        let mut rest = self.rest;
        let mut last = None;
        for _ in 0..self.left {
            let &[_, _, high, low] = rest.first_chunk()?;
            let size = usize::from(u16::from_be_bytes([high, low]) & 0xfff);
            last = Some(rest.get(..size)?);
            rest = rest.get(size.next_multiple_of(4)..).unwrap_or(&[]);
        }
        last
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
            Some(Protocol::Sctp) => SCTP_STATES,
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
