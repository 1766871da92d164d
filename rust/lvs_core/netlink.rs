// SPDX-License-Identifier: GPL-2.0-only

//! Reading netlink attributes: RFC 3549, section 2.2; `struct nlattr` in `linux/netlink.h`.
//!
//! Numbers are in the machine's byte order unless a function says otherwise.

use crate::{Address, Family};

/// Octets of `struct nlattr`: its length and its kind, 16 bits each.
const HEADER: usize = 4;
/// The bits of the kind that are not `NLA_F_NESTED` or `NLA_F_NET_BYTEORDER`.
const KIND: u16 = 0x3fff;

/// The reason why attributes cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AttributeError {
    /// The chain ends within an attribute, or an attribute's length is less than its header's.
    Truncated,
    /// The payload's length differs from that of the expected type.
    WrongLength {
        /// The kind of the attribute.
        kind: u16,
    },
    /// A string has more octets after a NUL.
    NotTerminated {
        /// The kind of the attribute.
        kind: u16,
    },
}

/// A chain of attributes, checked completely when it is created.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a>(&'a [u8]);

/// Splits the first attribute off the chain.
#[inline]
fn split(chain: &[u8]) -> Option<(Attribute<'_>, &[u8])> {
    let [l0, l1, k0, k1] = *chain.first_chunk::<HEADER>()?;
    let len = usize::from(u16::from_ne_bytes([l0, l1]));
    let payload = chain.get(HEADER..len)?;
    let kind = u16::from_ne_bytes([k0, k1]) & KIND;
    // The last attribute may lack its padding.
    let rest = chain.get(len.next_multiple_of(4)..).unwrap_or(&[]);
    Some((Attribute { kind, payload }, rest))
}

impl<'a> Attributes<'a> {
    /// Returns the attributes in this slice, which must contain a chain and nothing else.
    ///
    /// # Errors
    ///
    /// [`AttributeError::Truncated`] if an attribute is shorter than its header or exceeds the
    /// slice, or if other octets follow the chain.
    pub fn new(bytes: &'a [u8]) -> Result<Self, AttributeError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            (_, rest) = split(rest).ok_or(AttributeError::Truncated)?;
        }
        Ok(Self(bytes))
    }

    /// Returns the attribute of this kind, the last one if there are several, like the kernel's
    /// `nla_parse()`.
    pub fn find(&self, kind: u16) -> Option<Attribute<'a>> {
        self.iter()
            .filter(|attribute| attribute.kind == kind)
            .last()
    }

    /// All attributes in order.
    pub fn iter(&self) -> Iter<'a> {
        Iter(self.0)
    }
}

impl<'a> IntoIterator for &Attributes<'a> {
    type Item = Attribute<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Iterates over the attributes of a chain in order.
#[derive(Clone, Debug)]
pub struct Iter<'a>(&'a [u8]);

impl<'a> Iterator for Iter<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        let (attribute, rest) = split(self.0)?;
        self.0 = rest;
        Some(attribute)
    }
}

/// One attribute.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attribute<'a> {
    /// The kind (`nla_type`), without the flags `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER`.
    pub kind: u16,
    /// The payload, without padding.
    pub payload: &'a [u8],
}

impl<'a> Attribute<'a> {
    /// Returns the payload if it has exactly this length.
    #[inline]
    fn exact<const N: usize>(&self) -> Result<[u8; N], AttributeError> {
        self.payload
            .try_into()
            .map_err(|_| AttributeError::WrongLength { kind: self.kind })
    }

    /// An 8-bit number.
    ///
    /// # Errors
    ///
    /// [`AttributeError::WrongLength`] for any other length, here and in the functions below.
    pub fn u8(&self) -> Result<u8, AttributeError> {
        self.exact().map(u8::from_ne_bytes)
    }

    /// A 16-bit number.
    ///
    /// # Errors
    ///
    /// As [`Attribute::u8`].
    pub fn u16(&self) -> Result<u16, AttributeError> {
        self.exact().map(u16::from_ne_bytes)
    }

    /// A 16-bit number in network order, as ports are sent.
    ///
    /// # Errors
    ///
    /// As [`Attribute::u8`].
    pub fn u16_be(&self) -> Result<u16, AttributeError> {
        self.exact().map(u16::from_be_bytes)
    }

    /// A 32-bit number.
    ///
    /// # Errors
    ///
    /// As [`Attribute::u8`].
    pub fn u32(&self) -> Result<u32, AttributeError> {
        self.exact().map(u32::from_ne_bytes)
    }

    /// A 32-bit number in network order, as IPv4 netmasks are sent.
    ///
    /// # Errors
    ///
    /// As [`Attribute::u8`].
    pub fn u32_be(&self) -> Result<u32, AttributeError> {
        self.exact().map(u32::from_be_bytes)
    }

    /// A flag: only its presence matters.
    ///
    /// # Errors
    ///
    /// [`AttributeError::WrongLength`] if it has a payload.
    pub fn flag(&self) -> Result<(), AttributeError> {
        self.exact::<0>().map(|_| ())
    }

    /// Two 32-bit numbers, flags and their mask, like `struct ip_vs_flags` in `linux/ip_vs.h`.
    ///
    /// # Errors
    ///
    /// As [`Attribute::u8`].
    pub fn flags_mask(&self) -> Result<(u32, u32), AttributeError> {
        let [a, b, c, d, e, f, g, h] = self.exact()?;
        Ok((
            u32::from_ne_bytes([a, b, c, d]),
            u32::from_ne_bytes([e, f, g, h]),
        ))
    }

    /// A string without its terminating NULs, of which there may be none or several.
    ///
    /// # Errors
    ///
    /// [`AttributeError::NotTerminated`] if another octet follows a NUL.
    pub fn string(&self) -> Result<&'a [u8], AttributeError> {
        let mut string = self.payload;
        while let Some((0, shorter)) = string.split_last() {
            string = shorter;
        }
        if string.contains(&0) {
            return Err(AttributeError::NotTerminated { kind: self.kind });
        }
        Ok(string)
    }

    /// The attributes within this one.
    ///
    /// # Errors
    ///
    /// As [`Attributes::new`].
    pub fn nested(&self) -> Result<Attributes<'a>, AttributeError> {
        Attributes::new(self.payload)
    }

    /// An address of this family: 16 octets, of which IPv4 uses the first four (`union
    /// nf_inet_addr` in `linux/netfilter.h`). For IPv4 the others may be absent.
    ///
    /// # Errors
    ///
    /// [`AttributeError::WrongLength`] for fewer octets than the family's address, or more than 16.
    pub fn address(&self, family: Family) -> Result<Address, AttributeError> {
        let wrong_length = AttributeError::WrongLength { kind: self.kind };
        match family {
            Family::V4 if self.payload.len() <= 16 => self
                .payload
                .first_chunk()
                .copied()
                .map(Address::from_v4)
                .ok_or(wrong_length),
            Family::V4 => Err(wrong_length),
            Family::V6 => self.exact().map(Address::from_v6),
        }
    }
}
