// SPDX-License-Identifier: GPL-2.0-only

//! Writes datagrams.

use super::{
    stamp::{self, Keys, Stamp},
    Record, Sequences, Version, ENGINE_NAME_MAX, HEADER, KIND_V6, LARGEST, OPTION_ENGINE_DATA,
    OPTION_ENGINE_NAME, OPTION_SEQUENCES, SEQUENCES,
};
use crate::{Address, Family};
use core::ops::DerefMut;

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
    /// Where the last record begins.
    last: usize,
    /// Octets that stay free for a stamp.
    reserve: usize,
    /// The datagram is complete.
    is_sealed: bool,
}

impl<B: DerefMut<Target = [u8]>> Writer<B> {
    /// Begins a datagram without a stamp. The buffer has the length of the largest datagram.
    /// `None`: it has no room for the header.
    pub fn new(buffer: B, version: Version, syncid: u8) -> Option<Self> {
        let len = version.header();
        (buffer.len() >= len).then_some(Self {
            buffer,
            version,
            syncid,
            len,
            records: 0,
            last: len,
            reserve: 0,
            is_sealed: false,
        })
    }

    /// Returns the number of records.
    pub const fn records(&self) -> u8 {
        self.records
    }

    /// Returns whether the datagram is complete, so that it takes no record.
    pub const fn is_sealed(&self) -> bool {
        self.is_sealed
    }

    /// Begins another datagram, perhaps of another version, with `reserve` octets for a stamp. The
    /// present one is lost.
    pub fn begin(&mut self, version: Version, reserve: usize) {
        self.version = version;
        self.records = 0;
        self.len = version.header();
        self.last = self.len;
        self.reserve = reserve;
        self.is_sealed = false;
    }

    /// Adds a record.
    ///
    /// # Errors
    ///
    /// [`Unfit`]; the datagram is unchanged then.
    pub fn push(&mut self, record: &Record<'_>) -> Result<(), Unfit> {
        if self.is_sealed {
            return Err(Unfit::Full);
        }
        let records = self.records.checked_add(1).ok_or(Unfit::Full)?;
        let start = match self.version {
            Version::V0 => self.len,
            Version::V1 => self.len.next_multiple_of(4),
        };
        // The length has 16 bits.
        let most = self.buffer.len().min(usize::from(u16::MAX));
        let most = most.saturating_sub(self.reserve);
        let room = self.buffer.get_mut(start..most).ok_or(Unfit::Full)?;
        let size = match self.version {
            Version::V0 => write_v0(room, record)?,
            Version::V1 => write_v1(room, record)?,
        };
        // With the stamp the record must still have a length that fits its field.
        if size.saturating_add(self.reserve) > LARGEST {
            return Err(Unfit::Inexpressible);
        }
        if let Some(padding) = self.buffer.get_mut(self.len..start) {
            padding.fill(0);
        }
        self.last = start;
        self.len = start.saturating_add(size);
        self.records = records;
        Ok(())
    }

    /// Completes the datagram with a stamp, unless it is complete. `None`: there is no room for the
    /// stamp, or no record, or the version is 0.
    pub fn seal(&mut self, stamp: Stamp, keys: &impl Keys) -> Option<()> {
        if self.is_sealed {
            return Some(());
        }
        if self.records == 0 || self.version == Version::V0 {
            return None;
        }
        let added = stamp::len(keys);
        let len = self.len.checked_add(added)?;
        if len > self.buffer.len() {
            return None;
        }
        let size = self.buffer.get_mut(self.last.checked_add(2)?..)?;
        let size = size.first_chunk_mut()?;
        let with_stamp = usize::from(u16::from_be_bytes(*size)).checked_add(added)?;
        if with_stamp > LARGEST {
            return None;
        }
        *size = u16::try_from(with_stamp).ok()?.to_be_bytes();
        self.len = len;
        self.write_header();
        stamp::write(self.buffer.get_mut(..len)?, stamp, keys)?;
        self.is_sealed = true;
        Some(())
    }

    fn write_header(&mut self) {
        let [high, low] = u16::try_from(self.len).unwrap_or(u16::MAX).to_be_bytes();
        match self.version {
            Version::V0 => {
                if let Some(header) = self.buffer.first_chunk_mut() {
                    *header = [self.records, self.syncid, high, low];
                }
            }
            Version::V1 => {
                if let Some(header) = self.buffer.first_chunk_mut::<HEADER>() {
                    *header = [0, self.syncid, high, low, self.records, 1, 0, 0];
                }
            }
        }
    }

    /// Completes the datagram and returns it.
    pub fn datagram(&mut self) -> &[u8] {
        self.write_header();
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
