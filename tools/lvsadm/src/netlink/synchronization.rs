// SPDX-License-Identifier: GPL-2.0-only

//! Synchronization in the family `ipvs_rs`.

use std::net::IpAddr;

use lvs_core::extension::{command, message, sync};
use lvs_core::sync::Event;
use netlink_packet_core::{parse_u32, DefaultNla, NlasIterator};

use super::attribute;
use super::convert::required;
use super::native::{answer, nest, Request};
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

    /// Asks for another key.
    #[must_use]
    pub fn add_sync_key(id: u8, key: &[u8]) -> Self {
        let attributes = vec![
            DefaultNla::new(sync::KEY_ID, vec![id]),
            DefaultNla::new(sync::KEY, key.to_vec()),
        ];
        Self::about_sync(command::ADD_SYNC_KEY, &attributes)
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
    use netlink_packet_core::Emitable;

    use super::*;
    use crate::netlink::socket::GENERIC_HEADER;

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
