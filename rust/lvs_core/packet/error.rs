// SPDX-License-Identifier: GPL-2.0-only

//! Why headers cannot be read.

/// Why there is no [`Headers`](super::Headers).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ParseError {
    /// The slice ends too early.
    Truncated {
        /// How many octets, counted from the start of the IP header, must be present to go on.
        need: usize,
    },
    /// The headers contradict themselves: no larger slice makes sense of this packet.
    Malformed,
    /// Another transport protocol or another IP version, or a packet that is still on its way to
    /// another node.
    NotOurs,
    /// A fragment other than the first: it carries no ports.
    Fragment,
}
