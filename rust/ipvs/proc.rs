// SPDX-License-Identifier: GPL-2.0-only

//! What administrators read and write below `/proc`.

pub(crate) mod files;
pub(crate) mod status;
pub(crate) mod sysctl;
