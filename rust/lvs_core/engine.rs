// SPDX-License-Identifier: GPL-2.0-only

//! Persistence engines: what identifies a client beside its address.
//!
//! An engine reads the first datagram of a connection to a persistent service. What it finds there
//! belongs to the identity of the client's template. Where it finds nothing, the address decides
//! alone.

use crate::uapi::service::PE_NAME_MAX;
use core::ffi::CStr;

/// The most octets that an engine may find: the length has one octet in synchronization datagrams.
pub const LONGEST: usize = 255;

/// A persistence engine.
pub trait Engine: Send + Sync {
    /// Returns what identifies the client in the payload of a UDP datagram: 1 to [`LONGEST`]
    /// octets. `None`: nothing does. Any context.
    fn find<'a>(&self, payload: &'a [u8]) -> Option<&'a [u8]>;
}

/// The name of an engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EngineName([u8; PE_NAME_MAX]);

impl EngineName {
    /// Returns the name in `bytes`, or `None` if no engine can have it. A name has 1 to 16 letters,
    /// digits, `_` and `-`, so it can be part of the name of a module.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut name = [0; PE_NAME_MAX];
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if bytes.is_empty() || bytes.len() >= PE_NAME_MAX || !bytes.iter().all(plain) {
            return None;
        }
        name.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self(name))
    }

    /// Returns the name as a C string.
    pub fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.0).unwrap_or(c"")
    }
}
