// SPDX-License-Identifier: GPL-2.0-only

//! Host tests of lvs_core: what its public functions promise, held against independent oracles:
//! full recomputation, models of the papers' algorithms, and tables of expected results.
//!
//! Nothing here may call the code under test to compute what it expects of that code.

mod address;
mod checksum;
mod hash;
mod netlink;
mod packet;
mod rewrite;
mod schedule;
mod schedule_race;
mod split_order;
mod state;
mod wire;
