// SPDX-License-Identifier: GPL-2.0-only

//! Addresses in requests of the family "ipvs_rs".

use super::refusal::Refusal;
use kernel::prelude::*;
use lvs_core::{
    netlink::{Attribute, AttributeError},
    Address,
};

/// Reads an address. Its length gives the family.
pub(super) fn address(attribute: Attribute<'_>) -> Result<Address, Refusal> {
    let address = match *attribute.payload {
        [a, b, c, d] => Address::from_v4([a, b, c, d]),
        ref octets => {
            let wrong = AttributeError::WrongLength {
                kind: attribute.kind,
            };
            let address = Address::from_v6(octets.try_into().map_err(|_| wrong)?);
            if address.is_v4() {
                return Err(Refusal::new(
                    EINVAL,
                    c"an IPv4-mapped address is not an IPv6 address",
                ));
            }
            address
        }
    };
    Ok(address)
}
