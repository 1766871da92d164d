// SPDX-License-Identifier: GPL-2.0-only

//! The commands of the family "ipvs_rs" about synchronization.

use super::{address::address, refusal::Refusal};
use crate::{director::Director, sync::Joined};
use kernel::prelude::*;
use knet::{
    crypto::Key,
    errno,
    netlink::{Full, Request, Source, Writer},
};
use lvs_core::{
    daemon::Role,
    extension::{command, message, sync},
    netlink::{AttributeError, Attributes},
    request::need,
    sync::Event,
    Address,
};

/// Carries out a command.
pub(super) fn act(request: &Request<'_>, director: &Director) -> Result<(), Refusal> {
    let attributes = Attributes::new(request.attributes())?;
    match request.command() {
        command::GET_SYNC => Ok(request.reply(command::GET_SYNC, |writer| {
            writer.nest(message::SYNC, |writer| state(writer, director))
        })?),
        command::RESYNC => director.resync().map_err(|error| match error {
            ESRCH => Refusal::new(ESRCH, c"no synchronization daemon runs"),
            other => other.into(),
        }),
        command::ADD_SYNC_KEY => {
            let nest = nest(&attributes, &[sync::KEY_ID, sync::KEY])?;
            let id = need(&nest, sync::KEY_ID, c"no identifier of a key given")?.u8()?;
            let key = need(&nest, sync::KEY, c"no key given")?;
            let wrong = AttributeError::WrongLength { kind: key.kind };
            let key = Key::new(key.payload.try_into().map_err(|_| wrong)?);
            let key = key.map_err(Error::from)?;
            director.add_sync_key(id, key).map_err(|error| match error {
                EEXIST => Refusal::new(EEXIST, c"a key with this identifier exists already"),
                ENOSPC => Refusal::new(ENOSPC, c"there are two keys already: delete one first"),
                other => other.into(),
            })
        }
        command::DEL_SYNC_KEY => {
            let nest = nest(&attributes, &[sync::KEY_ID])?;
            let id = need(&nest, sync::KEY_ID, c"no identifier of a key given")?.u8()?;
            director.delete_sync_key(id).map_err(|error| match error {
                ENOENT => Refusal::new(ENOENT, c"there is no key with this identifier"),
                other => other.into(),
            })
        }
        command::ADD_SYNC_PEER => {
            let peer = peer(&attributes)?;
            director.add_sync_peer(peer).map_err(|error| match error {
                EEXIST => Refusal::new(EEXIST, c"this peer exists already"),
                ENOSPC => Refusal::new(ENOSPC, c"there are eight peers already"),
                EBUSY => busy(),
                EINVAL => Refusal::new(
                    EINVAL,
                    c"a peer is the address of a host, of the family of the other peers",
                ),
                other => other.into(),
            })
        }
        command::DEL_SYNC_PEER => {
            let peer = peer(&attributes)?;
            director
                .delete_sync_peer(peer)
                .map_err(|error| match error {
                    ENOENT => Refusal::new(ENOENT, c"there is no such peer"),
                    EBUSY => busy(),
                    other => other.into(),
                })
        }
        _ => Err(unknown()),
    }
}

fn peer(attributes: &Attributes<'_>) -> Result<Address, Refusal> {
    let nest = nest(attributes, &[sync::PEER])?;
    address(need(&nest, sync::PEER, c"no address of a peer given")?)
}

fn busy() -> Refusal {
    Refusal::new(
        EBUSY,
        c"stop the synchronization daemons first: between multicast and peers they need other \
          sockets",
    )
}

fn unknown() -> Refusal {
    Refusal::new(
        errno::operation_not_supported(),
        c"this module does not know this attribute of synchronization",
    )
}

/// The attributes of a request, which may only be some.
fn nest<'a>(attributes: &Attributes<'a>, known: &[u16]) -> Result<Attributes<'a>, Refusal> {
    if attributes.iter().any(|one| one.kind != message::SYNC) {
        return Err(unknown());
    }
    let nest = need(
        attributes,
        message::SYNC,
        c"nothing about synchronization given",
    )?;
    let nest = nest.nested()?;
    match nest.iter().any(|one| !known.contains(&one.kind)) {
        true => Err(unknown()),
        false => Ok(nest),
    }
}

fn state(writer: &mut Writer<'_>, director: &Director) -> Result<(), Full> {
    if let Some(joined) = director.backup_state() {
        writer.u8(
            sync::BACKUP,
            match joined {
                Joined::No => sync::JOINING,
                Joined::Complete => sync::COMPLETE,
                Joined::Alone => sync::ALONE,
            },
        )?;
    }
    let roles = director.daemons().into_iter().flatten();
    let roles = roles.fold(0, |sum, daemon| {
        sum | match daemon.role {
            Role::Master => 1,
            Role::Backup => 2,
        }
    });
    writer.u32(sync::ROLES, roles)?;
    if let Some(tables) = director.tables() {
        writer.nest(sync::EVENTS, |writer| {
            for event in Event::ALL {
                match tables.synchronization.get(event) {
                    0 => {}
                    count => writer.put(event.number(), &count.to_ne_bytes())?,
                }
            }
            Ok(())
        })?;
    }
    let mut ids = [0; 2];
    let len = director.settings.keyring.with(|keys| {
        let places = ids.iter_mut().zip(keys.ids());
        places.map(|(place, id)| *place = id).count()
    });
    if let Some(ids) = ids.get(..len).filter(|ids| !ids.is_empty()) {
        writer.put(sync::KEYS, ids)?;
    }
    for peer in director.settings.peers.list().into_iter().flatten() {
        match peer.v4() {
            Some(octets) => writer.put(sync::PEER, &octets)?,
            None => writer.put(sync::PEER, &peer.octets16())?,
        }
    }
    Ok(())
}
