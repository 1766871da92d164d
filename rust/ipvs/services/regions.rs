// SPDX-License-Identifier: GPL-2.0-only

//! The table of regions of a namespace, which the scheduler `geo` looks at.
//!
//! A table never changes. Packets see the former one or the new one, as a whole.

use core::sync::atomic::{AtomicU64, Ordering};
use kernel::{alloc::KVVec, prelude::*, sync::Arc};
use knet::{
    rcu::{self, Boxed, Cell, Section},
    work,
};
use lvs_core::regions::{Mistake, Regions};

/// A table without mistakes.
pub(crate) struct Table(KVVec<u8>);

impl Table {
    /// Checks a table. Process context.
    pub(crate) fn new(mut octets: KVVec<u8>) -> Result<Self, Mistake> {
        // Distinguishes the tables of all namespaces, which is more than necessary.
        static GENERATION: AtomicU64 = AtomicU64::new(0);

        Regions::check(&octets, work::yield_now)?;
        let generation = GENERATION.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        Regions::stamp(&mut octets, generation);
        Ok(Self(octets))
    }

    /// The octets of the table.
    pub(crate) fn octets(&self) -> &[u8] {
        &self.0
    }
}

/// The present table.
pub struct Present(Cell<Arc<Table>>);

impl Default for Present {
    fn default() -> Self {
        Self(Cell::empty())
    }
}

impl Present {
    /// The regions as packets see them. Softirq.
    #[inline]
    pub(crate) fn regions<'a>(&self, section: &'a Section<'_>) -> Regions<'a> {
        match self.0.get(section) {
            Some(table) => Regions::new(&table.0),
            None => Regions::NONE,
        }
    }

    /// The table, if there is one. Any context.
    pub(crate) fn table(&self) -> Option<Arc<Table>> {
        rcu::read(|section| self.0.get(section).cloned())
    }

    /// Replaces the table. The memory of the former one is freed after a grace period. Process
    /// context.
    pub(crate) fn replace(&self, table: Option<Table>) -> Result {
        let table = match table {
            Some(table) => {
                let table = Arc::new(table, GFP_KERNEL_ACCOUNT)?;
                Some(Boxed::new(table, GFP_KERNEL_ACCOUNT)?)
            }
            None => None,
        };
        self.0.replace(table);
        Ok(())
    }
}
