// SPDX-License-Identifier: GPL-2.0-only

//! Error numbers of networking that the `kernel` crate lacks.
//!
//! C header: `include/uapi/asm-generic/errno.h`

use kernel::{bindings, error::Error};

/// EPROTONOSUPPORT: protocol not supported.
pub fn protocol_not_supported() -> Error {
    Error::from_errno(-(bindings::EPROTONOSUPPORT as i32))
}

/// EOPNOTSUPP: operation not supported.
pub fn operation_not_supported() -> Error {
    Error::from_errno(-(bindings::EOPNOTSUPP as i32))
}

/// EAFNOSUPPORT: address family not supported.
pub fn family_not_supported() -> Error {
    Error::from_errno(-(bindings::EAFNOSUPPORT as i32))
}
