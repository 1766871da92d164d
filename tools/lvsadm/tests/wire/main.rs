// SPDX-License-Identifier: GPL-2.0-only

//! Holds lvsadm to what a kernel and ipvsadm really did: `captured` to the byte, `hostile` when
//! the bytes are not what they should be. `replay` serves the captures in ../fixtures.

// Helpers are `pub` for the other modules of the test.
#![allow(unreachable_pub)]

mod captured;
mod hostile;
mod replay;
