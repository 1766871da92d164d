// SPDX-License-Identifier: GPL-2.0-only

//! The file transfer protocol: which data connection a control connection announces.
//!
//! - RFC 959: `PORT` of the client (active), `PASV` and the reply 227 of the server (passive).
//! - RFC 2428: `EPRT`, and `EPSV` with the reply 229.
//! - RFC 4217: after `AUTH` and the reply 234 the connection is encrypted, and nothing can be read.
//!
//! Only whole lines count, which begin where a segment begins or behind the end of another line. So
//! a line that is split over segments is left alone. A reply counts only if the client has asked
//! for it: a server may repeat a client's text at the beginning of a line.

use crate::helper::{Announcement, Answered, Asked, Control, Form, Helper};
use crate::{Address, Endpoint};
use core::net::{Ipv4Addr, Ipv6Addr};
use core::ops::Range;

/// The helper for FTP.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ftp;

/// The port of control connections.
pub const PORT: u16 = 21;
/// The longest line that is read.
const LONGEST_LINE: usize = 512;
/// Ports below belong to services, not to transfers.
const FIRST_PORT: u16 = 1024;

/// What a client says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command {
    /// `PORT` or `EPRT`: it waits here.
    Waits(Endpoint),
    /// `PASV`.
    Passive,
    /// `EPSV`.
    Extended,
    /// `AUTH`: it wants encryption.
    Secure,
    /// Anything else.
    Other,
}

/// What a server says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// 227: it waits here; the range of the line with the endpoint.
    Passive(Endpoint, Range<usize>),
    /// 229: it waits at this port; the range of the line with the port.
    Extended(u16, Range<usize>),
    /// 234: encryption begins.
    Secure,
    /// Anything else.
    Other,
}

/// The whole lines of a segment with their positions, without their ends.
fn lines(payload: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0usize;
    payload
        .split_inclusive(|octet| *octet == b'\n')
        .filter_map(move |line| {
            let begin = at;
            at = at.saturating_add(line.len());
            let line = line.strip_suffix(b"\n")?;
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            (line.len() <= LONGEST_LINE).then_some((begin, line))
        })
}

/// Splits the text behind a word of a command, in any case.
fn after_word<'a>(line: &'a [u8], word: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = line.split_at_checked(word.len())?;
    let ends = rest.first().is_none_or(|octet| *octet == b' ');
    (ends && start.eq_ignore_ascii_case(word)).then(|| rest.trim_ascii())
}

/// Reads a line of a client, without its end.
pub fn command(line: &[u8]) -> Command {
    // Telnet commands may come first (RFC 959, section 4.1.3): an interrupt and a mark.
    let from = line.iter().position(u8::is_ascii).unwrap_or(0);
    let line = line.get(from..).unwrap_or(line);
    if let Some(text) = after_word(line, b"PORT") {
        return match numbers(text) {
            Some((endpoint, range)) if range.end == text.len() => Command::Waits(endpoint),
            _ => Command::Other,
        };
    }
    if let Some(text) = after_word(line, b"EPRT") {
        return extended_endpoint(text).map_or(Command::Other, Command::Waits);
    }
    if let Some(b"") = after_word(line, b"PASV") {
        return Command::Passive;
    }
    match after_word(line, b"EPSV") {
        Some(b"" | b"1" | b"2") => return Command::Extended,
        // "EPSV ALL" promises not to use the other commands.
        Some(_) => return Command::Other,
        None => {}
    }
    match after_word(line, b"AUTH") {
        Some(_) => Command::Secure,
        None => Command::Other,
    }
}

/// Reads a line of a server, without its end.
pub fn reply(line: &[u8]) -> Reply {
    let Some((code, text)) = line.split_first_chunk::<4>() else {
        return Reply::Other;
    };
    let found = match code {
        b"227 " => first_number(text),
        b"229 " => text.iter().position(|octet| *octet == b'('),
        b"234 " => return Reply::Secure,
        _ => return Reply::Other,
    };
    let Some((skipped, rest)) = found.and_then(|from| Some((from, text.get(from..)?))) else {
        return Reply::Other;
    };
    let shifted = |range: Range<usize>| {
        let shift = skipped.saturating_add(code.len());
        range.start.saturating_add(shift)..range.end.saturating_add(shift)
    };
    match code {
        b"227 " => numbers(rest).map_or(Reply::Other, |(endpoint, range)| {
            Reply::Passive(endpoint, shifted(range))
        }),
        _ => extended_port(rest).map_or(Reply::Other, |(port, range)| {
            Reply::Extended(port, shifted(range))
        }),
    }
}

/// Where the first number begins. Parentheses around the numbers are usual, but not required
/// (RFC 1123, section 4.1.2.6).
fn first_number(text: &[u8]) -> Option<usize> {
    text.iter().position(u8::is_ascii_digit)
}

/// Reads a decimal number at the start of the text; returns its value and its length.
fn number(text: &[u8], most: u16) -> Option<(u16, usize)> {
    let digits = text.iter().take_while(|octet| octet.is_ascii_digit());
    let (mut value, mut len) = (0u16, 0usize);
    for digit in digits {
        value = value
            .checked_mul(10)?
            .checked_add(u16::from(digit.wrapping_sub(b'0')))?;
        len = len.checked_add(1)?;
    }
    ((1..=5).contains(&len) && value <= most).then_some((value, len))
}

/// Reads `a,b,c,d,p,q` at the start of the text.
fn numbers(text: &[u8]) -> Option<(Endpoint, Range<usize>)> {
    let mut octets = [0u8; 6];
    let mut at = 0usize;
    for (index, octet) in octets.iter_mut().enumerate() {
        if index != 0 {
            text.get(at).filter(|octet| **octet == b',')?;
            at = at.checked_add(1)?;
        }
        let (value, len) = number(text.get(at..)?, 255)?;
        *octet = u8::try_from(value).ok()?;
        at = at.checked_add(len)?;
    }
    let [a, b, c, d, p, q] = octets;
    let endpoint = Endpoint::new(Address::from_v4([a, b, c, d]), u16::from_be_bytes([p, q]));
    (endpoint.port != 0).then_some((endpoint, 0..at))
}

/// Whether an octet may separate the parts of an extended endpoint (RFC 2428, section 2).
fn separates(octet: u8) -> bool {
    matches!(octet, 33..=126) && !octet.is_ascii_digit()
}

/// Reads `|1|192.0.2.1|4000|` or `|2|2001:db8::1|4000|`.
fn extended_endpoint(text: &[u8]) -> Option<Endpoint> {
    let (separator, rest) = text.split_first()?;
    if !separates(*separator) {
        return None;
    }
    let mut parts = rest.splitn(4, |octet| octet == separator);
    let (family, address, port) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next()? != b"" {
        return None;
    }
    let address = core::str::from_utf8(address).ok()?;
    let address = match family {
        b"1" => Address::from_v4(address.parse::<Ipv4Addr>().ok()?.octets()),
        b"2" => Address::from_v6(address.parse::<Ipv6Addr>().ok()?.octets()),
        _ => return None,
    };
    let (value, len) = number(port, u16::MAX)?;
    (len == port.len() && value != 0).then(|| Endpoint::new(address, value))
}

/// Reads `(|||4000|)` at the start of the text.
fn extended_port(text: &[u8]) -> Option<(u16, Range<usize>)> {
    let [b'(', first, second, third, rest @ ..] = text else {
        return None;
    };
    if !separates(*first) || first != second || first != third {
        return None;
    }
    let (port, len) = number(rest, u16::MAX)?;
    let end = len.checked_add(4)?;
    let closes = text.get(end) == Some(first) && text.get(end.checked_add(1)?) == Some(&b')');
    (closes && port != 0).then_some((port, 4..end))
}

/// What the helper remembers: whether the client has asked and how, whether it has asked for
/// encryption, whether that has begun, and the last reply with the number of its segment.
#[derive(Clone, Copy)]
struct Memory {
    passive: bool,
    extended: bool,
    secure: bool,
    encrypted: bool,
    answered: Option<(Form, u32)>,
}

impl Memory {
    const fn unpack(word: u64) -> Self {
        Self {
            passive: word & 1 != 0,
            extended: word & 2 != 0,
            secure: word & 4 != 0,
            encrypted: word & 8 != 0,
            answered: match word & 48 {
                16 => Some((Form::Numbers, (word >> 32) as u32)),
                48 => Some((Form::Port, (word >> 32) as u32)),
                _ => None,
            },
        }
    }

    const fn pack(self) -> u64 {
        let answered = match self.answered {
            Some((Form::Numbers, sequence)) => ((sequence as u64) << 32) | 16,
            Some((Form::Port, sequence)) => ((sequence as u64) << 32) | 48,
            None => 0,
        };
        self.passive as u64
            | ((self.extended as u64) << 1)
            | ((self.secure as u64) << 2)
            | ((self.encrypted as u64) << 3)
            | answered
    }
}

impl Helper for Ftp {
    fn hear_client(&self, control: &Control, memory: u64, payload: &[u8]) -> Asked {
        let mut memory = Memory::unpack(memory);
        let mut asked = Asked::default();
        if !memory.encrypted {
            for (_, line) in lines(payload) {
                match command(line) {
                    // A server obeys the last one.
                    Command::Waits(endpoint) => {
                        let is_own = endpoint.address == control.client.address
                            && endpoint.port >= FIRST_PORT;
                        asked.refused |= !is_own;
                        asked.waits = is_own.then_some(endpoint);
                    }
                    Command::Passive => memory.passive = true,
                    Command::Extended => memory.extended = true,
                    Command::Secure => memory.secure = true,
                    Command::Other => {}
                }
            }
        }
        asked.memory = memory.pack();
        asked
    }

    fn hear_server(
        &self,
        control: &Control,
        memory: u64,
        sequence: u32,
        payload: &[u8],
    ) -> Answered {
        let mut memory = Memory::unpack(memory);
        let mut answered = Answered::default();
        if !memory.encrypted {
            // A segment that is sent again has the same reply.
            let again = |form| memory.answered == Some((form, sequence));
            for (begin, line) in lines(payload) {
                let (address, port, range, form) = match reply(line) {
                    Reply::Passive(endpoint, range) if memory.passive || again(Form::Numbers) => {
                        (endpoint.address, endpoint.port, range, Form::Numbers)
                    }
                    Reply::Extended(port, range) if memory.extended || again(Form::Port) => {
                        (control.server.address, port, range, Form::Port)
                    }
                    Reply::Secure if memory.secure => {
                        memory.encrypted = true;
                        break;
                    }
                    _ => continue,
                };
                memory.passive = false;
                memory.extended = false;
                memory.answered = Some((form, sequence));
                // Some servers are told to name the virtual address, others name none.
                let is_own = [
                    control.server.address,
                    control.service.address,
                    Address::UNSPECIFIED,
                ]
                .contains(&address)
                    && port >= FIRST_PORT;
                answered.refused |= !is_own;
                let range = range.start.saturating_add(begin)..range.end.saturating_add(begin);
                answered.waits = is_own.then_some(Announcement {
                    port,
                    at: range,
                    form,
                });
                break;
            }
        }
        answered.memory = memory.pack();
        answered
    }
}
