// SPDX-License-Identifier: GPL-2.0-only

//! An independent parser that finds the parts of a packet and verifies its checksums, each computed
//! over all the data that it covers. It is slow and simple, and not for hostile packets: it may
//! panic on one shorter than its fixed IP header.

use std::ops::Range;

/// A checksum in a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Checksum {
    /// Offset of the field.
    pub at: usize,
    /// Whether it matches the data, or was left out by a sender who may do so.
    pub right: bool,
}

/// The payload of an IP packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Upper {
    pub protocol: u8,
    /// The offset of its start.
    pub at: usize,
    /// The offset of its end by the IP header; the end of the data for a segment too large for the
    /// header.
    pub end: usize,
    /// Whether only a part is present.
    pub is_fragment: bool,
}

fn word(data: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*data.get(at)?, *data.get(at + 1)?]))
}

/// The ones-complement sum: the sum modulo 65535, with 0 only if all numbers are zero.
fn sum(parts: &[&[u8]]) -> u16 {
    let data = parts.concat();
    let mut sum: u64 = 0;
    for (at, octet) in data.iter().enumerate() {
        sum += u64::from(*octet) << if at % 2 == 0 { 8 } else { 0 };
    }
    match sum {
        0 => 0,
        _ => ((sum - 1) % 0xffff + 1) as u16,
    }
}

/// The place of the source and destination addresses.
pub fn addresses(ip: &[u8]) -> (Range<usize>, Range<usize>) {
    match ip[0] >> 4 {
        4 => (12..16, 16..20),
        _ => (8..24, 24..40),
    }
}

/// Parses the headers of the packet; `None` if they end too early or are invalid.
pub fn upper(ip: &[u8]) -> Option<Upper> {
    let end = |len: usize| if len == 0 { ip.len() } else { len };
    match ip.first()? >> 4 {
        4 => {
            let fragment = word(ip, 6)?;
            Some(Upper {
                protocol: *ip.get(9)?,
                at: usize::from(ip[0] & 15) * 4,
                end: end(word(ip, 2)?.into()),
                is_fragment: fragment & 0x3fff != 0,
            })
        }
        6 => {
            let len = usize::from(word(ip, 4)?);
            let mut upper = Upper {
                protocol: *ip.get(6)?,
                at: 40,
                end: end(if len == 0 { 0 } else { 40 + len }),
                is_fragment: false,
            };
            while let 0 | 43 | 44 | 51 | 60 = upper.protocol {
                let header = ip.get(upper.at..upper.at + 8)?;
                let mut len = 8 + usize::from(header[1]) * 8;
                if upper.protocol == 44 {
                    len = 8;
                    upper.is_fragment |= word(header, 2)? & 0xfff9 != 0;
                } else if upper.protocol == 51 {
                    len = 8 + usize::from(header[1]) * 4;
                }
                let is_later = upper.protocol == 44 && word(header, 2)? & 0xfff8 != 0;
                upper.protocol = header[0];
                upper.at += len;
                if is_later {
                    break;
                }
            }
            Some(upper)
        }
        _ => None,
    }
}

/// The sum of the pseudo-header of the packet's transport protocol, for a payload of `len` octets.
fn pseudo_header(ip: &[u8], protocol: u8, len: usize) -> Vec<u8> {
    let (source, destination) = addresses(ip);
    let mut pseudo = ip[source.start..destination.end].to_vec();
    pseudo.extend((len as u32).to_be_bytes());
    pseudo.extend([0, 0, 0, protocol]);
    pseudo
}

/// The difference between this plain sum and that of the packet's pseudo-header, modulo 65535.
/// `None` if there is no pseudo-header.
pub fn pseudo_header_is(ip: &[u8], field: u16) -> Option<u16> {
    let upper = upper(ip)?;
    let len = upper.end.checked_sub(upper.at)?;
    let sum = sum(&[&pseudo_header(ip, upper.protocol, len)]);
    Some((u32::from(field) + 0xffff - u32::from(sum)).rem_euclid(0xffff) as u16)
}

/// All checksums that the data allow to verify: those of the IPv4 header, of TCP, UDP and ICMP, and
/// those in the packet that an ICMP error quotes.
pub fn checksums(ip: &[u8]) -> Vec<Checksum> {
    let mut found = vec![];
    find(ip, 0, &mut found);
    found
}

fn find(ip: &[u8], offset: usize, found: &mut Vec<Checksum>) {
    let fixed = match ip.first().map(|first| first >> 4) {
        Some(4) => 20,
        Some(6) => 40,
        _ => return,
    };
    if ip.len() < fixed {
        return;
    }
    let mut note = |at: usize, right: bool| {
        let at = offset + at;
        found.push(Checksum { at, right });
    };
    if fixed == 20 {
        let header = ip.get(..usize::from(ip[0] & 15) * 4);
        let Some(header) = header.filter(|header| header.len() >= fixed) else {
            return;
        };
        note(10, sum(&[header]) == 0xffff);
    }
    let Some(Upper {
        protocol,
        at,
        end,
        is_fragment: false,
    }) = upper(ip)
    else {
        return;
    };
    let Some(data) = ip.get(at..end) else {
        return;
    };
    let pseudo = pseudo_header(ip, protocol, data.len());
    let right = |field: usize| data.len() >= field + 2 && sum(&[&pseudo, data]) == 0xffff;
    match protocol {
        6 if data.len() >= 20 => note(at + 16, right(16)),
        17 if data.len() >= 8 && word(data, 4) == Some(data.len() as u16) => {
            note(at + 6, word(data, 6) == Some(0) || right(6));
        }
        1 if fixed == 20 && data.len() >= 8 => note(at + 2, sum(&[data]) == 0xffff),
        58 if fixed == 40 && data.len() >= 8 => note(at + 2, right(2)),
        _ => return,
    }
    let is_error = match protocol {
        1 => matches!(data[0], 3 | 4 | 11 | 12),
        58 => matches!(data[0], 1..=4),
        _ => false,
    };
    if is_error {
        find(&data[8..], offset + at + 8, found);
    }
}
