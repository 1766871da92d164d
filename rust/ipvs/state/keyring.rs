// SPDX-License-Identifier: GPL-2.0-only

//! The keys that sign synchronization datagrams.
//!
//! There are at most two, so that a key can be replaced while directors send. The older one signs;
//! datagrams with either are taken. Nothing reads a key back.

use kernel::{prelude::*, sync::Arc};
use knet::{
    crypto::Key,
    rcu::{self, Boxed, Cell},
};
use lvs_core::sync::stamp::{Code, Keys};

/// A key with its identifier.
#[derive(Clone)]
struct Entry {
    id: u8,
    key: Arc<Key>,
}

/// Keys, the older one first.
#[derive(Clone, Default)]
pub(crate) struct Pair([Option<Entry>; 2]);

impl Pair {
    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter().flatten()
    }

    /// The identifiers; the first key signs.
    pub(crate) fn ids(&self) -> impl Iterator<Item = u8> + '_ {
        self.entries().map(|entry| entry.id)
    }
}

impl Keys for Pair {
    fn signing(&self) -> Option<u8> {
        self.ids().next()
    }

    fn code(&self, id: u8, data: &[u8]) -> Option<Code> {
        let entry = self.entries().find(|entry| entry.id == id)?;
        Some(entry.key.code(data))
    }
}

/// The keys of a director.
pub struct Keyring(Cell<Pair>);

impl Default for Keyring {
    fn default() -> Self {
        Self(Cell::empty())
    }
}

impl Keyring {
    /// Runs `f` with the present keys, in a read section. Any context.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&Pair) -> R) -> R {
        rcu::read(|section| match self.0.get(section) {
            Some(pair) => f(pair),
            None => f(&Pair([None, None])),
        })
    }

    /// Whether there is a key. Any context.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a key. [`EEXIST`]: one has this identifier; [`ENOSPC`]: there are two. Process context;
    /// the caller excludes other changes.
    pub(crate) fn add(&self, id: u8, key: Key) -> Result {
        let mut pair = self.with(Pair::clone);
        if pair.ids().any(|known| known == id) {
            return Err(EEXIST);
        }
        let place = pair.0.iter_mut().find(|entry| entry.is_none());
        *place.ok_or(ENOSPC)? = Some(Entry {
            id,
            key: Arc::new(key, GFP_KERNEL)?,
        });
        self.0.replace(Some(Boxed::new(pair, GFP_KERNEL)?));
        Ok(())
    }

    /// Deletes a key. [`ENOENT`]: none has this identifier. Process context; the caller excludes
    /// other changes.
    pub(crate) fn delete(&self, id: u8) -> Result {
        let Pair([first, second]) = self.with(Pair::clone);
        let is_it = |entry: &Option<Entry>| entry.as_ref().is_some_and(|entry| entry.id == id);
        let left = match (is_it(&first), is_it(&second)) {
            (true, _) => second,
            (_, true) => first,
            _ => return Err(ENOENT),
        };
        let pair = match left {
            Some(left) => Some(Boxed::new(Pair([Some(left), None]), GFP_KERNEL)?),
            None => None,
        };
        self.0.replace(pair);
        Ok(())
    }
}
