// SPDX-License-Identifier: GPL-2.0-only

//! The table of regions in the family `ipvs_rs`.

use lvs_core::extension::{command, message};
use netlink_packet_core::DefaultNla;

use super::native::{answer, Request};
use super::reply::Failure;

/// Octets of the table in one attribute, whose length has 16 bits.
const PIECE: usize = 32 * 1024;

impl Request {
    /// Asks for another table of regions, or for none if it is empty.
    #[must_use]
    pub fn load_regions(octets: &[u8]) -> Self {
        let pieces = octets.chunks(PIECE);
        let attributes = pieces.map(|piece| DefaultNla::new(message::REGIONS, piece.to_vec()));
        Self::with(command::LOAD_REGIONS, attributes.collect())
    }

    /// Asks for the table of regions.
    #[must_use]
    pub fn regions() -> Self {
        Self::with(command::GET_REGIONS, Vec::new())
    }
}

/// Adds the octets of an answer to `table`.
///
/// # Errors
///
/// [`Failure::Malformed`].
pub fn read(part: &[u8], table: &mut Vec<u8>) -> Result<(), Failure> {
    for attribute in answer(part) {
        let attribute = attribute?;
        if attribute.kind() == message::REGIONS {
            table.extend_from_slice(attribute.value());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::Emitable;

    use super::*;
    use crate::netlink::socket::GENERIC_HEADER;

    #[test]
    fn a_table_comes_back_in_pieces() {
        let octets: Vec<u8> = (0..=255).cycle().take(2 * PIECE + 7).collect();
        let request = Request::load_regions(&octets);
        let mut part = vec![0; GENERIC_HEADER + request.buffer_len()];
        request.emit(&mut part[GENERIC_HEADER..]);
        let mut table = Vec::new();
        read(&part, &mut table).unwrap();
        assert_eq!(table, octets);
        assert!(read(&part[..part.len() - 5], &mut table).is_err());
    }
}
