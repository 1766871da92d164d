// SPDX-License-Identifier: GPL-2.0-only

//! The wire: generic netlink family `IPVS`, version 1, byte for byte as
//! `include/uapi/linux/ip_vs.h` has it, and the family `ipvs_rs` beside it ([`native`]).
//!
//! Belongs here: message and attribute types, one file an object, each with the bytes a kernel
//! really sent as its test; the socket; how an exchange ends. Never: what a service is (that is
//! [`crate::model`]; `convert` goes from one to the other), nor sentences for people.
//!
//! What arrives is hostile: no function of this module panics on any bytes. Attributes that are not
//! known are kept, so that a newer kernel's answers still parse.

mod attribute;
pub mod convert;
pub mod daemon;
pub mod destination;
pub mod message;
pub mod native;
pub mod regions;
pub mod reply;
pub mod request;
pub mod service;
pub mod socket;
pub mod stats;
pub mod synchronization;

pub use message::{Attribute, Command, Message};
pub use reply::{Failure, KernelError};
pub use socket::{Connection, Listener};
