// SPDX-License-Identifier: GPL-2.0-only

//! What all steps of the packet path need beside the packet.

use crate::state::tables::Tables;
use knet::{hook::Point, rcu::Section};

/// The circumstances in which one packet is handled.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    /// The tables of the packet's namespace.
    pub(crate) tables: &'a Tables,
    /// The read section of the hook.
    pub(crate) section: &'a Section<'a>,
    /// The hook.
    pub(crate) point: Point,
}
