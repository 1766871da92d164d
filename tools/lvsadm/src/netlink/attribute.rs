// SPDX-License-Identifier: GPL-2.0-only

//! What every object's attributes share: walking a chain, reading one value.

use netlink_packet_core::{DecodeError, ErrorContext, NlaBuffer, NlasIterator};

/// One attribute as it stands in a message.
pub(super) type Raw<'a> = NlaBuffer<&'a [u8]>;

/// Reads a chain of attributes with `read`.
pub(super) fn chain<T>(
    bytes: &[u8],
    what: &'static str,
    mut read: impl FnMut(&Raw<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    // As many as the largest of the objects has: there may be hundreds of thousands of them.
    let mut chain = Vec::with_capacity(16);
    for attribute in NlasIterator::new(bytes) {
        let attribute = attribute.and_then(|attribute| read(&attribute));
        chain.push(attribute.context(what)?);
    }
    Ok(chain)
}

/// Text up to the first NUL. Names are ASCII; anything else is shown as well as it can be.
pub(super) fn text(value: &[u8]) -> String {
    let end = value.iter().position(|octet| *octet == 0);
    let text = end.and_then(|end| value.get(..end)).unwrap_or(value);
    String::from_utf8_lossy(text).into_owned()
}

/// Exactly `N` octets.
pub(super) fn octets<const N: usize>(
    value: &[u8],
    what: &'static str,
) -> Result<[u8; N], DecodeError> {
    value.try_into().map_err(|_| {
        DecodeError::from(format!(
            "{what} has {} bytes where {N} are expected",
            value.len()
        ))
    })
}

/// Copies `value` to the front of `buffer`, which the caller made long enough.
pub(super) fn put(buffer: &mut [u8], value: &[u8]) {
    for (to, from) in buffer.iter_mut().zip(value) {
        *to = *from;
    }
}

/// Copies `value` and a closing NUL.
pub(super) fn put_text(buffer: &mut [u8], value: &str) {
    put(buffer, value.as_bytes());
    if let Some(end) = buffer.get_mut(value.len()) {
        *end = 0;
    }
}
