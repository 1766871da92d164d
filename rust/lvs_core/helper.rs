// SPDX-License-Identifier: GPL-2.0-only

//! Helpers: what a director must know about a protocol whose connections announce others.
//!
//! A helper reads the segments of a *control* connection and says which *data* connection comes
//! next. It allocates nothing, and remembers one word for each control connection. It believes only
//! what the control connection's own ends can mean: the client's address, the server's address.

use crate::{Address, Endpoint};
use core::ops::Range;

/// The ends of a control connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Control {
    /// The client.
    pub client: Endpoint,
    /// The address and port that the client asked for.
    pub service: Endpoint,
    /// The real server.
    pub server: Endpoint,
}

/// The longest text that replaces another: `255,255,255,255,255,255`.
pub const LONGEST: usize = 23;

/// What a segment from the client means.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Asked {
    /// What the helper remembers of the control connection from now on.
    pub memory: u64,
    /// The client waits here for a connection of the server.
    pub waits: Option<Endpoint>,
    /// The client named an endpoint that is not its own, or a port below 1024.
    pub refused: bool,
}

/// What a segment from the server means.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Answered {
    /// What the helper remembers of the control connection from now on.
    pub memory: u64,
    /// The server waits for a connection of the client.
    pub waits: Option<Announcement>,
    /// The server named an endpoint that is not its own, or a port below 1024.
    pub refused: bool,
}

/// Where a server waits for its client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Announcement {
    /// The server's port.
    pub port: u16,
    /// The octets of the segment that say so.
    pub at: Range<usize>,
    /// How they say it.
    pub form: Form,
}

/// A form of an endpoint in text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// Six decimal numbers: the octets of an IPv4 address and of a port.
    Numbers,
    /// A port as one decimal number.
    Port,
}

impl Form {
    /// Writes an endpoint in this form; returns the length. `None` for an IPv6 address in numbers.
    pub fn write(self, address: Address, port: u16, to: &mut [u8; LONGEST]) -> Option<usize> {
        let mut end = 0usize;
        match self {
            Self::Numbers => {
                let [a, b, c, d] = address.v4()?;
                let [high, low] = port.to_be_bytes();
                for (index, number) in [a, b, c, d, high, low].into_iter().enumerate() {
                    if index != 0 {
                        *to.get_mut(end)? = b',';
                        end = end.checked_add(1)?;
                    }
                    end = decimal(number.into(), to, end)?;
                }
            }
            Self::Port => end = decimal(port, to, end)?,
        }
        Some(end)
    }
}

/// Writes a number from `at` on; returns its end.
fn decimal(number: u16, to: &mut [u8], at: usize) -> Option<usize> {
    let digits = number.checked_ilog10().unwrap_or(0).checked_add(1)?;
    let end = at.checked_add(digits as usize)?;
    let mut rest = number;
    for place in to.get_mut(at..end)?.iter_mut().rev() {
        *place = b'0'.wrapping_add((rest % 10) as u8);
        rest /= 10;
    }
    Some(end)
}

/// A protocol whose connections announce others.
pub trait Helper: Send + Sync {
    /// Reads a client's segment: its payload. `memory` is what the last call returned, 0 at first.
    fn hear_client(&self, control: &Control, memory: u64, payload: &[u8]) -> Asked;

    /// Reads a server's segment: its payload, and the number of its first octet.
    fn hear_server(
        &self,
        control: &Control,
        memory: u64,
        sequence: u32,
        payload: &[u8],
    ) -> Answered;
}
