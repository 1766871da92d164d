// SPDX-License-Identifier: GPL-2.0-only

//! Host tests of lvs_core. They compare the public functions with independent oracles: full
//! recomputation, models of the papers' algorithms, and tables of expected results.
//!
//! No test may compute its expectations with the code under test.

// Helpers are `pub` for the other modules of the test.
#![allow(unreachable_pub)]

mod address;
mod arrivals;
mod batch;
mod buckets;
mod cases;
mod checksum;
mod corpus;
mod daemon;
mod defence;
mod delay;
mod destination;
mod drop;
mod feedback;
mod filter;
mod ftp;
#[path = "../../fuzz/src/lib.rs"]
mod fuzz;
mod hash;
mod icmp;
mod ipsec;
mod load;
mod netlink;
mod packet;
mod packet_v6;
mod receive;
mod redispatch;
mod regions;
mod regions_index;
mod request;
mod reuse;
mod rewrite;
mod ring;
mod schedule;
mod schedule_chance;
mod schedule_delay;
mod schedule_example;
mod schedule_hash;
mod schedule_locality;
mod schedule_moves;
mod schedule_race;
mod schedule_ranked;
mod sctp;
mod selection;
mod sequence;
mod sip;
mod state;
mod sync;
mod sync_entry;
mod sync_join;
mod sync_reports;
mod sync_stamp;
mod transmit;
mod tunnel;
mod wheel;
mod wire;
