// SPDX-License-Identifier: GPL-2.0-only

//! Synchronization in the family `ipvs_rs`.

use std::net::IpAddr;

use lvs_core::extension::{command, message, sync};
use lvs_core::sync::Event;
use netlink_packet_core::{parse_u32, DefaultNla, Emitable, Nla, NlasIterator, NLA_F_NESTED};
use netlink_packet_generic::GenlFamily;
use zeroize::Zeroizing;

use super::attribute;
use super::convert::required;
use super::native::{answer, nest, Request, FAMILY};
use super::reply::Failure;
use crate::model::{Joined, Synchronization};

impl Request {
    /// Asks for the state of synchronization.
    #[must_use]
    pub fn synchronization() -> Self {
        Self::with(command::GET_SYNC, Vec::new())
    }

    /// Asks for the whole table to be sent, or asked for.
    #[must_use]
    pub fn resync() -> Self {
        Self::with(command::RESYNC, Vec::new())
    }

    /// Asks for the deletion of a key.
    #[must_use]
    pub fn delete_sync_key(id: u8) -> Self {
        let attributes = vec![DefaultNla::new(sync::KEY_ID, vec![id])];
        Self::about_sync(command::DEL_SYNC_KEY, &attributes)
    }

    /// Asks for another peer.
    #[must_use]
    pub fn add_sync_peer(peer: IpAddr) -> Self {
        Self::about_sync(command::ADD_SYNC_PEER, &[peer_attribute(peer)])
    }

    /// Asks for the deletion of a peer.
    #[must_use]
    pub fn delete_sync_peer(peer: IpAddr) -> Self {
        Self::about_sync(command::DEL_SYNC_PEER, &[peer_attribute(peer)])
    }

    fn about_sync(command: u8, attributes: &[DefaultNla]) -> Self {
        Self::with(command, vec![nest(message::SYNC, attributes)])
    }
}

/// Asks for another key. It holds the only copy of the key, which is wiped when it is dropped.
#[derive(Clone)]
pub struct NewKey {
    id: u8,
    key: Zeroizing<Vec<u8>>,
}

impl NewKey {
    /// The request for a key with this identifier.
    #[must_use]
    pub fn new(id: u8, key: Zeroizing<Vec<u8>>) -> Self {
        Self { id, key }
    }

    fn attributes(&self) -> [Field<'_>; 2] {
        [
            Field(sync::KEY_ID, std::slice::from_ref(&self.id)),
            Field(sync::KEY, &self.key),
        ]
    }
}

/// The key is left out.
impl std::fmt::Debug for NewKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl GenlFamily for NewKey {
    fn family_name() -> &'static str {
        FAMILY
    }

    fn command(&self) -> u8 {
        command::ADD_SYNC_KEY
    }

    fn version(&self) -> u8 {
        lvs_core::extension::FAMILY_VERSION
    }
}

impl Emitable for NewKey {
    fn buffer_len(&self) -> usize {
        [self].as_slice().buffer_len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        [self].as_slice().emit(buffer);
    }
}

/// The nest that holds both attributes.
impl Nla for &NewKey {
    fn kind(&self) -> u16 {
        message::SYNC | NLA_F_NESTED
    }

    fn value_len(&self) -> usize {
        self.attributes().as_slice().buffer_len()
    }

    fn emit_value(&self, buffer: &mut [u8]) {
        self.attributes().as_slice().emit(buffer);
    }
}

/// An attribute whose value is somewhere else.
struct Field<'a>(u16, &'a [u8]);

impl Nla for Field<'_> {
    fn kind(&self) -> u16 {
        self.0
    }

    fn value_len(&self) -> usize {
        self.1.len()
    }

    fn emit_value(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(self.1);
    }
}

fn peer_attribute(peer: IpAddr) -> DefaultNla {
    let octets = match peer {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    DefaultNla::new(sync::PEER, octets)
}

/// Reads the state of synchronization from an answer.
///
/// # Errors
///
/// [`Failure::Malformed`].
pub fn read(part: &[u8]) -> Result<Synchronization, Failure> {
    for attribute in answer(part) {
        let attribute = attribute?;
        if attribute.kind() == message::SYNC {
            return read_nest(attribute.value());
        }
    }
    required(None, "the state of synchronization")
}

fn read_nest(value: &[u8]) -> Result<Synchronization, Failure> {
    let mut state = Synchronization::default();
    for attribute in NlasIterator::new(value) {
        let attribute = attribute?;
        let value = attribute.value();
        match attribute.kind() {
            sync::BACKUP => {
                let [number] = attribute::octets(value, "the state of the backup")?;
                state.backup = Some(match number {
                    sync::COMPLETE => Joined::Complete,
                    sync::ALONE => Joined::Alone,
                    _ => Joined::No,
                });
            }
            sync::ROLES => state.master = parse_u32(value)? & 1 != 0,
            sync::EVENTS => {
                for event in NlasIterator::new(value) {
                    let event = event?;
                    let count = attribute::octets(event.value(), "a number of events")?;
                    if let Some(known) = Event::from_number(event.kind()) {
                        state.events.push((known, u64::from_ne_bytes(count)));
                    }
                }
            }
            sync::KEYS => state.keys = value.to_vec(),
            sync::PEER => state.peers.push(super::native::address(value)?),
            _ => (),
        }
    }
    Ok(state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::socket::GENERIC_HEADER;

    #[test]
    fn a_key_in_its_request() {
        let key = NewKey::new(3, Zeroizing::new(vec![0xab; 32]));
        let mut written = vec![0; key.buffer_len()];
        key.emit(&mut written);
        let attributes = [
            DefaultNla::new(sync::KEY_ID, vec![3]),
            DefaultNla::new(sync::KEY, vec![0xab; 32]),
        ];
        let nla = nest(message::SYNC, &attributes[..]);
        let mut expected = vec![0; nla.buffer_len()];
        nla.emit(&mut expected);
        assert_eq!(written, expected);
        assert_eq!(format!("{key:?}"), "NewKey { id: 3, .. }");
    }

    #[test]
    fn what_the_kernel_answers() {
        let events = [
            DefaultNla::new(Event::Taken.number(), 5u64.to_ne_bytes().to_vec()),
            DefaultNla::new(999, 6u64.to_ne_bytes().to_vec()),
        ];
        let attributes = [
            DefaultNla::new(sync::BACKUP, vec![sync::ALONE]),
            DefaultNla::new(sync::ROLES, 3u32.to_ne_bytes().to_vec()),
            nest(sync::EVENTS, &events[..]),
            DefaultNla::new(sync::KEYS, vec![4, 2]),
            DefaultNla::new(sync::PEER, vec![192, 0, 2, 1]),
        ];
        let nla = nest(message::SYNC, &attributes[..]);
        let mut part = vec![0; GENERIC_HEADER + nla.buffer_len()];
        nla.emit(&mut part[GENERIC_HEADER..]);
        let expected = Synchronization {
            master: true,
            backup: Some(Joined::Alone),
            keys: vec![4, 2],
            peers: vec![[192, 0, 2, 1].into()],
            events: vec![(Event::Taken, 5)],
        };
        assert_eq!(read(&part).unwrap(), expected);
        assert!(read(&part[..GENERIC_HEADER]).is_err());
    }
}
