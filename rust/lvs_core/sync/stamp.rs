// SPDX-License-Identifier: GPL-2.0-only

//! Stamps: the place of a datagram among those of its sender, and proof that the sender has a key.
//!
//! A stamp is the last option of the last record, or the last message of a datagram without
//! records. It ends the datagram. Numbers are in network order.
//!
//! ====== ====== =====================================================
//! offset octets stamp
//! ====== ====== =====================================================
//! 0      1      0x48
//! 1      1      octets that follow: 12, or 29 if the datagram is signed
//! 2      8      epoch: a random number that the sender chose at its start, for each UDP port
//! 10     4      sequence number: 1 for the first datagram of an epoch
//! 14     1      identifier of the key, if signed
//! 15     16     code, if signed: BLAKE2s-128 with the key over the whole datagram before the code
//! ====== ====== =====================================================
//!
//! A receiver that has a key checks the code before it reads anything but the header.

use crate::sync::{HEADER, OPTION_MAY_BE_IGNORED};

/// The kind of the option.
pub const OPTION: u8 = OPTION_MAY_BE_IGNORED | 0x08;
/// Octets of an authentication code.
pub const CODE: usize = 16;
/// Octets of epoch and sequence number.
const PLAIN: usize = 12;
/// Octets of a stamp that is not signed.
pub const UNSIGNED_LEN: usize = 2 + PLAIN;
/// Octets of a stamp with a code.
pub const SIGNED_LEN: usize = UNSIGNED_LEN + 1 + CODE;

/// An authentication code.
pub type Code = [u8; CODE];

/// The place of a datagram among those of its sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// The random number that the sender chose at its start.
    pub epoch: u64,
    /// The number of the datagram, from 1 on.
    pub sequence: u32,
}

/// The keys of a director.
pub trait Keys {
    /// Returns the identifier of the key that signs; `None` if there is no key.
    fn signing(&self) -> Option<u8>;

    /// Computes the code of `data` with a key; `None` if there is no key with this identifier.
    fn code(&self, id: u8, data: &[u8]) -> Option<Code>;
}

/// The reason why a datagram is not believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Doubt {
    /// It is not signed.
    Unsigned,
    /// It is signed with a key that this director lacks.
    Key(u8),
    /// The code is wrong.
    Code,
}

/// Returns the octets that a stamp takes.
pub fn len(keys: &impl Keys) -> usize {
    match keys.signing() {
        Some(_) => SIGNED_LEN,
        None => UNSIGNED_LEN,
    }
}

/// Writes a stamp at the end of a complete datagram, whose last octets have room for it. `None`:
/// the keys are not those that [`len`] saw.
pub(super) fn write(datagram: &mut [u8], stamp: Stamp, keys: &impl Keys) -> Option<()> {
    let key = keys.signing();
    let start = datagram.len().checked_sub(len(keys))?;
    let place = datagram.get_mut(start..)?;
    let follow = u8::try_from(place.len().checked_sub(2)?).ok()?;
    let (head, rest) = place.split_first_chunk_mut::<UNSIGNED_LEN>()?;
    let [a, b, c, d, e, f, g, h] = stamp.epoch.to_be_bytes();
    let [i, j, k, l] = stamp.sequence.to_be_bytes();
    *head = [OPTION, follow, a, b, c, d, e, f, g, h, i, j, k, l];
    let Some(key) = key else {
        return Some(());
    };
    *rest.first_mut()? = key;
    let (signed, code) = datagram.split_last_chunk_mut::<CODE>()?;
    *code = keys.code(key, signed)?;
    Some(())
}

/// Reads the data of a stamp, signed or not. `None`: there are not so many octets.
pub(super) fn read(data: &[u8]) -> Option<Stamp> {
    let (epoch, rest) = data.split_first_chunk()?;
    let (sequence, rest) = rest.split_first_chunk()?;
    if !rest.is_empty() && rest.len() != 1 + CODE {
        return None;
    }
    Some(Stamp {
        epoch: u64::from_be_bytes(*epoch),
        sequence: u32::from_be_bytes(*sequence),
    })
}

/// Checks the code of a datagram and returns its stamp.
///
/// # Errors
///
/// [`Doubt`].
pub fn verify(datagram: &[u8], keys: &impl Keys) -> Result<Stamp, Doubt> {
    let (signed, code) = datagram.split_last_chunk::<CODE>().ok_or(Doubt::Unsigned)?;
    let start = signed
        .len()
        .checked_sub(UNSIGNED_LEN + 1)
        .filter(|start| *start >= HEADER)
        .ok_or(Doubt::Unsigned)?;
    let Some(&[OPTION, follow, ref stamp @ .., key]) = signed
        .get(start..)
        .and_then(|stamp| stamp.first_chunk::<15>())
    else {
        return Err(Doubt::Unsigned);
    };
    if usize::from(follow) != PLAIN + 1 + CODE {
        return Err(Doubt::Unsigned);
    }
    let expected = keys.code(key, signed).ok_or(Doubt::Key(key))?;
    // Every octet is compared, so that the time says nothing about the code.
    let differences = core::iter::zip(&expected, code).fold(0, |sum, (a, b)| sum | (a ^ b));
    match core::hint::black_box(differences) {
        0 => read(stamp).ok_or(Doubt::Unsigned),
        _ => Err(Doubt::Code),
    }
}
