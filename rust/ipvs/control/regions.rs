// SPDX-License-Identifier: GPL-2.0-only

//! The commands of the family "ipvs_rs" about the table of regions.

use super::refusal::Refusal;
use crate::services::regions::{Failure, Table};
use kernel::{alloc::KVVec, prelude::*, sync::Arc};
use knet::{
    errno,
    netlink::{Full, Writer},
};
use lvs_core::{extension::message, netlink::Attributes, regions::MOST_OCTETS};

/// Octets of the table in one message of a listing.
const PIECE: usize = 2048;

/// Reads the table of a request; none if it has no octets. The request is one message, so a table
/// is loaded as a whole.
pub(super) fn table(bytes: &[u8]) -> Result<Option<Table>, Refusal> {
    let attributes = Attributes::new(bytes)?;
    let mut size = 0usize;
    for attribute in &attributes {
        if attribute.kind != message::REGIONS {
            return Err(unknown());
        }
        size = size.saturating_add(attribute.payload.len());
    }
    if size == 0 {
        return Ok(None);
    }
    if size > MOST_OCTETS {
        return Err(Refusal::new(
            EINVAL,
            c"a table of regions has at most 64 MiB",
        ));
    }
    let mut octets = KVVec::with_capacity(size, GFP_KERNEL_ACCOUNT).map_err(Error::from)?;
    for attribute in &attributes {
        octets
            .extend_from_slice(attribute.payload, GFP_KERNEL_ACCOUNT)
            .map_err(Error::from)?;
    }
    match Table::new(octets) {
        Ok(table) => Ok(Some(table)),
        Err(Failure::Mistake(mistake)) => Err(Refusal::new(EINVAL, mistake.sentence())),
        Err(Failure::Memory(error)) => Err(Error::from(error).into()),
    }
}

fn unknown() -> Refusal {
    Refusal::new(
        errno::operation_not_supported(),
        c"this module does not know this attribute of regions",
    )
}

/// Refuses attributes in a request that lists the table.
pub(super) fn listing(bytes: &[u8]) -> Result<(), Refusal> {
    match Attributes::new(bytes)?.iter().next() {
        Some(_) => Err(unknown()),
        None => Ok(()),
    }
}

/// The table in pieces, as it was when the listing began.
pub(super) struct Pieces {
    table: Option<Arc<Table>>,
    at: usize,
}

impl Pieces {
    pub(super) fn new(table: Option<Arc<Table>>) -> Self {
        Self { table, at: 0 }
    }

    fn piece(&self) -> &[u8] {
        let octets = self.table.as_ref().map_or(&[][..], |table| table.octets());
        let rest = octets.get(self.at..).unwrap_or_default();
        rest.get(..PIECE).unwrap_or(rest)
    }

    pub(super) fn find(&self) -> bool {
        !self.piece().is_empty()
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) -> Result<(), Full> {
        writer.put(message::REGIONS, self.piece())
    }

    pub(super) fn advance(&mut self) {
        self.at = self.at.saturating_add(PIECE);
    }
}
