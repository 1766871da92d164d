// SPDX-License-Identifier: GPL-2.0-only

//! Holds lvsadm to what a kernel and ipvsadm really did: `captured` to the byte, `hostile` when
//! the bytes are not what they should be. `replay` serves the captures in ../fixtures.

mod captured;
mod hostile;
mod replay;
