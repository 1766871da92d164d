// SPDX-License-Identifier: GPL-2.0-only

//! The decisions of a Linux Virtual Server director.
//!
//! This crate contains arithmetic and protocol knowledge: reading and rewriting packet headers,
//! checksums, connection states and their timeouts, hashing, the scheduling algorithms, and reading
//! netlink attributes. All of it works on byte slices and plain values.
//!
//! It contains no kernel types, memory management, locks, clocks, or anything else that depends on
//! the environment. The kernel module and ordinary host programs link the same code.
//!
//! # The no-panic contract
//!
//! The code runs in softirq context, where a panic stops the machine. No function panics for any
//! input: there is no indexing and no `unwrap`, and all arithmetic defines its result at the
//! limits. All bytes from the wire or from netlink are treated as hostile.

// The kernel's build sets no_std itself.
#![cfg_attr(not(any(test, MODULE)), no_std)]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

#[macro_use]
mod numbered;

pub mod address;
pub mod arrivals;
pub mod batch;
pub mod buckets;
pub mod checksum;
pub mod crc32c;
pub mod daemon;
pub mod defence;
pub mod delay;
pub mod destination;
pub mod drop;
pub mod engine;
pub mod extension;
pub mod feedback;
pub mod filter;
pub mod ftp;
pub mod hash;
pub mod helper;
pub mod icmp;
pub mod load;
pub mod netlink;
pub mod packet;
pub mod rate;
pub mod receive;
pub mod redispatch;
pub mod regions;
pub mod request;
pub mod reuse;
pub mod rewrite;
pub mod ring;
pub mod scheduler;
pub mod selection;
pub mod sequence;
pub mod service;
pub mod sip;
pub mod state;
pub mod sync;
pub mod timeout;
pub mod transmit;
pub mod tunnel;
pub mod uapi;
pub mod wheel;

pub use address::{Address, Endpoint, Family, Protocol, Unsupported};
