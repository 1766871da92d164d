// SPDX-License-Identifier: GPL-2.0-only

//! Messages between directors, in datagrams of version 1 without records. The C director reads
//! nothing of such a datagram.
//!
//! A message is its kind (1 octet), the octets of its data (1), and the data. Receivers skip kinds
//! that they do not know, and data beyond what they know. Numbers are in network order.
//!
//! ==== ======= ====================================================================
//! kind name    data
//! ==== ======= ====================================================================
//! 1    HELLO   nonce (8), epoch (8) and number (4) of the promised sweep or 0,
//!              flags (1): 1 asks for a sweep
//! 2    WELCOME nonce of the HELLO (8), number of the sweep (4), flags (1): 1 if the
//!              sweep has begun
//! 3    DONE    number of the sweep (4), entries that it sent through this port (4)
//! 0x48 stamp   see [`stamp`]
//! ==== ======= ====================================================================

use super::{
    read::Datagram,
    stamp::{self, Keys, Stamp},
    HEADER,
};

const HELLO: u8 = 1;
const WELCOME: u8 = 2;
const DONE: u8 = 3;
/// Octets of the longest datagram that [`write()`] makes.
pub const LONGEST: usize = HEADER + 2 + 21 + stamp::SIGNED_LEN;

/// A message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Message {
    /// From a backup.
    Hello(Hello),
    /// From a master: it has heard a backup.
    Welcome(Welcome),
    /// From a master: a fast sweep has ended.
    Done(Done),
}

/// A backup introduces itself, and asks for the whole table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hello {
    /// A random number. Only a master that answers now can repeat it.
    pub nonce: u64,
    /// The epoch of the master that promised a sweep; 0 without a promise.
    pub epoch: u64,
    /// The number of the promised sweep; 0 without a promise.
    pub sweep: u32,
    /// The backup needs the whole table.
    pub wants_sweep: bool,
}

/// A master has heard a backup.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Welcome {
    /// The number in the backup's message.
    pub nonce: u64,
    /// The sweep that sends the table; 0 if the backup asked for none.
    pub sweep: u32,
    /// That sweep began before this message.
    pub has_begun: bool,
}

/// A fast sweep has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Done {
    /// The number of the sweep.
    pub sweep: u32,
    /// The entries that it sent through this port.
    pub entries: u32,
}

/// Writes a datagram with a message, or without one: a sign of life. Returns its length, or `None`
/// if the buffer is too small.
pub fn write(
    buffer: &mut [u8],
    syncid: u8,
    message: Option<Message>,
    stamp: Stamp,
    keys: &impl Keys,
) -> Option<usize> {
    let mut data = [0; 21];
    let (kind, len) = match message {
        None => (0, 0),
        Some(Message::Hello(hello)) => {
            let Hello {
                nonce,
                epoch,
                sweep,
                wants_sweep,
            } = hello;
            put(&mut data, 0, &nonce.to_be_bytes())?;
            put(&mut data, 8, &epoch.to_be_bytes())?;
            put(&mut data, 16, &sweep.to_be_bytes())?;
            put(&mut data, 20, &[wants_sweep.into()])?;
            (HELLO, 21)
        }
        Some(Message::Welcome(welcome)) => {
            put(&mut data, 0, &welcome.nonce.to_be_bytes())?;
            put(&mut data, 8, &welcome.sweep.to_be_bytes())?;
            put(&mut data, 12, &[welcome.has_begun.into()])?;
            (WELCOME, 13)
        }
        Some(Message::Done(done)) => {
            put(&mut data, 0, &done.sweep.to_be_bytes())?;
            put(&mut data, 4, &done.entries.to_be_bytes())?;
            (DONE, 8)
        }
    };
    let mut end = HEADER;
    if let Some(data) = data.get(..len).filter(|data| !data.is_empty()) {
        put(buffer, end, &[kind, u8::try_from(len).ok()?])?;
        put(buffer, end.checked_add(2)?, data)?;
        end = end.checked_add(2)?.checked_add(len)?;
    }
    let size = end.checked_add(stamp::len(keys))?;
    let [high, low] = u16::try_from(size).ok()?.to_be_bytes();
    put(buffer, 0, &[0, syncid, high, low, 0, 1, 0, 0])?;
    stamp::write(buffer.get_mut(..size)?, stamp, keys)?;
    Some(size)
}

fn put(buffer: &mut [u8], start: usize, bytes: &[u8]) -> Option<()> {
    let place = buffer.get_mut(start..start.checked_add(bytes.len())?)?;
    place.copy_from_slice(bytes);
    Some(())
}

/// Reads one message. `None`: it is of an unknown kind, or too short.
pub(super) fn read(kind: u8, data: &[u8]) -> Option<Message> {
    let (number, rest) = match kind {
        HELLO | WELCOME => {
            let (nonce, rest) = data.split_first_chunk()?;
            (u64::from_be_bytes(*nonce), rest)
        }
        _ => (0, data),
    };
    match kind {
        HELLO => {
            let (epoch, rest) = rest.split_first_chunk()?;
            let (sweep, rest) = rest.split_first_chunk()?;
            Some(Message::Hello(Hello {
                nonce: number,
                epoch: u64::from_be_bytes(*epoch),
                sweep: u32::from_be_bytes(*sweep),
                wants_sweep: rest.first()? & 1 != 0,
            }))
        }
        WELCOME => {
            let (sweep, rest) = rest.split_first_chunk()?;
            Some(Message::Welcome(Welcome {
                nonce: number,
                sweep: u32::from_be_bytes(*sweep),
                has_begun: rest.first()? & 1 != 0,
            }))
        }
        DONE => {
            let (sweep, rest) = rest.split_first_chunk()?;
            Some(Message::Done(Done {
                sweep: u32::from_be_bytes(*sweep),
                entries: u32::from_be_bytes(*rest.first_chunk()?),
            }))
        }
        _ => None,
    }
}

/// The messages of a datagram.
#[derive(Clone, Debug)]
pub struct Messages<'a>(&'a [u8]);

impl<'a> Messages<'a> {
    /// Returns the messages of a datagram; `None` if it has records.
    pub fn of(datagram: &Datagram<'a>) -> Option<Self> {
        datagram.messages().map(Self)
    }
}

impl Iterator for Messages<'_> {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        loop {
            let ([kind, len], rest) = self.0.split_first_chunk()?;
            let (data, rest) = rest.split_at_checked(usize::from(*len))?;
            self.0 = rest;
            if let Some(message) = read(*kind, data) {
                return Some(message);
            }
        }
    }
}
