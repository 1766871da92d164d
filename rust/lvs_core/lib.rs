// SPDX-License-Identifier: GPL-2.0-only

//! What a Linux Virtual Server director decides.
//!
//! Here belong arithmetic and protocol knowledge: reading and rewriting packet headers, checksums,
//! connection states and their timeouts, hashing, the scheduling algorithms and the reading of
//! netlink attributes. All of it works on byte slices and plain values.
//!
//! Never here: kernel types, memory management, locks, clocks, or anything else that needs to know
//! where the code runs. The kernel module and an ordinary host program link the same code.
//!
//! # The no-panic contract
//!
//! The code runs in softirq context, where a panic stops the machine. No function panics for any
//! input: no indexing, no `unwrap`, and all arithmetic says what happens at the limits. What comes
//! from the wire or from netlink is taken to be hostile.

// The kernel's build says no_std by itself.
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

pub mod address;
pub mod checksum;
pub mod defence;
pub mod delay;
pub mod extension;
pub mod hash;
pub mod icmp;
pub mod netlink;
pub mod packet;
pub mod rate;
pub mod rewrite;
pub mod scheduler;
pub mod selection;
pub mod split_order;
pub mod state;
pub mod timeout;
pub mod tunnel;

pub use address::{Address, Endpoint, Family, Protocol, Unsupported};
