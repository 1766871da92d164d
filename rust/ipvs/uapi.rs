// SPDX-License-Identifier: GPL-2.0-only

//! Numbers that user space knows, which the command shares: see [`lvs_core::uapi`].

pub(crate) use lvs_core::uapi::{
    command, daemon, destination, info, message, service, stats, VERSION,
};
