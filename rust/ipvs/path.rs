// SPDX-License-Identifier: GPL-2.0-only

//! The packet path: the steps that a packet takes over the [tables](crate::state::tables).
//!
//! A hook reads a packet's headers, decides, then sends. Each file uses only files below it:
//!
//! | file | step |
//! |---|---|
//! | `hooks` | registers the hooks, and hands their packets to `arrive`, `fast` and `xdp` |
//! | `batch` | has packets wait where they come in, so that several are looked up at once |
//! | `xdp` | takes frames before they are packets |
//! | `fast` | takes packets that need no attention, where they come in |
//! | `arrive` | takes a packet through the steps; gathers fragments |
//! | `icmp` | does the same for an ICMP error |
//! | `related` | does the same for packets of IPsec, which follow the negotiation of their keys |
//! | `decide` | decides what happens to a packet: [`decide::Decision`] |
//! | `helper` | reads control connections, and begins the data connections that they announce |
//! | `engine` | has a persistence engine read a datagram; begins what servers send first |
//! | `schedule` | begins a connection, or refuses it: [`refusal::Refusal`] |
//! | `choose` | chooses a real server: scheduler, persistence, no entries |
//! | `transmit` | rewrites and sends; never decides |
//! | `target` | the real server that packets go to, and the route to it |
//! | `drop` | counts dropped packets, and reports them |
//! | `read` | reads headers from a packet's buffer |
//! | `context` | what all steps need beside the packet |
//!
//! New connections are scheduled at LOCAL_IN, after the firewall's INPUT chain. Packets of a known
//! connection are caught at PRE_ROUTING, in both directions, after conntrack and mangle, and are
//! sent from there; most of them even earlier, by the devices where they come in: see
//! `Documentation/packet-path.rst`.

mod arrive;
mod batch;
mod choose;
mod context;
mod decide;
mod drop;
mod engine;
mod fast;
mod helper;
pub(crate) mod hooks;
mod icmp;
mod read;
mod refusal;
mod related;
mod schedule;
mod target;
mod transmit;
mod xdp;
