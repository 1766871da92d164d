// SPDX-License-Identifier: GPL-2.0-only

//! The table of regions of a namespace, which the scheduler `geo` looks at.
//!
//! A table never changes. Packets see the former one or the new one, as a whole.

use core::sync::atomic::{AtomicU64, Ordering};
use kernel::{
    alloc::{AllocError, KVVec},
    prelude::*,
    sync::Arc,
};
use knet::{
    rcu::{self, Boxed, Cell, Section},
    work,
};
use lvs_core::regions::{
    index::{Line, Roots},
    Mistake, Regions,
};

/// A table without mistakes, and its index.
pub(crate) struct Table {
    octets: KVVec<u8>,
    lines: KVVec<Line>,
    roots: Roots,
}

/// Why there is no table.
pub(crate) enum Failure {
    /// The octets are no table.
    Mistake(Mistake),
    /// There is no memory for the index.
    Memory(AllocError),
}

impl Table {
    /// Checks a table and makes its index. Process context.
    pub(crate) fn new(mut octets: KVVec<u8>) -> Result<Self, Failure> {
        // Distinguishes the tables of all namespaces, which is more than necessary.
        static GENERATION: AtomicU64 = AtomicU64::new(0);

        Regions::check(&octets, work::yield_now).map_err(Failure::Mistake)?;
        let generation = GENERATION.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        Regions::stamp(&mut octets, generation);
        let table = Regions::new(&octets);
        let count = table.index_lines(work::yield_now);
        let mut lines =
            KVVec::from_elem(Line::ZERO, count, GFP_KERNEL_ACCOUNT).map_err(Failure::Memory)?;
        let roots = table.build_index(&mut lines, work::yield_now);
        Ok(Self {
            octets,
            lines,
            roots,
        })
    }

    /// The octets of the table.
    pub(crate) fn octets(&self) -> &[u8] {
        &self.octets
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
            Some(table) => Regions::with_index(&table.octets, &table.lines, table.roots),
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
