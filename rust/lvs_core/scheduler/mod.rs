// SPDX-License-Identifier: GPL-2.0-only

//! Scheduling algorithms: which server gets a new connection.
//!
//! Here belong the algorithms of the papers, over anything that is a [`Server`]. Never here: how
//! servers are stored, or what becomes of the connection.
//!
//! All of them work through `&self`, from many CPUs at once and without locks, also while weights
//! and counts change under their hands. A selection never gives a server that had weight 0 or was
//! overloaded when looked at, and never an index outside the list.
//!
//! Two things may race by design: a selection with another (each then gets its own place in the
//! sequence), and a selection with [`changed`](RoundRobin::changed) (a selection that still holds
//! the old list may then count against the new one's sequence, by at most one place).

mod lc;
mod rr;
mod wlc;
mod wrr;

pub use lc::LeastConnection;
pub use rr::RoundRobin;
pub use wlc::WeightedLeastConnection;
pub use wrr::WeightedRoundRobin;

/// What a scheduler knows of a real server.
pub trait Server {
    /// The weight: how much of the load it should get, relative to the others. A server of weight 0
    /// is quiesced and gets no new connection.
    fn weight(&self) -> u32;
    /// Connections in a state that counts as active.
    fn active(&self) -> u32;
    /// All other connections.
    fn inactive(&self) -> u32;
    /// The server has reached its upper threshold of connections and takes none.
    fn overloaded(&self) -> bool;
}

/// How the list of servers changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// A server was put in; it is at this index now.
    Added(usize),
    /// A server was taken out; it was at this index.
    Removed(usize),
    /// The weight or the thresholds of the server at this index changed.
    Edited(usize),
    /// The list is another one: begin anew.
    Reset,
}

/// The weight of a server that can take a connection, or `None`.
#[inline]
fn capacity<S: Server>(server: &S) -> Option<u32> {
    match server.weight() {
        0 => None,
        _ if server.overloaded() => None,
        weight => Some(weight),
    }
}

/// Where a cursor stands after the change so that no server loses or regains its turn: the cursor
/// is the index of the server whose turn is next.
#[inline]
fn moved(cursor: u32, change: Change) -> u32 {
    let before = |index: usize| u32::try_from(index).is_ok_and(|index| index < cursor);
    match change {
        Change::Added(index) if before(index) => cursor.saturating_add(1),
        Change::Removed(index) if before(index) => cursor.saturating_sub(1),
        Change::Added(_) | Change::Removed(_) | Change::Edited(_) => cursor,
        Change::Reset => 0,
    }
}

/// A server's load when it was looked at.
struct Load {
    index: usize,
    divisor: u32,
    active: u32,
    inactive: u32,
}

/// The first of the servers that take connections with the fewest active connections in relation
/// to their divisors, which are made of the weights and not 0; among equals the one with the fewest
/// inactive ones in relation. Ratios are compared by cross-multiplication, never by division.
///
/// This is a look at every server for every new connection, so a server that others are below is
/// left with one look at its weight and its active connections.
#[inline]
fn least<S: Server>(servers: &[S], divisor: impl Fn(u32) -> u32) -> Option<usize> {
    // a / w < b / v, where w and v are not 0; the product of 32-bit numbers fits 64 bits.
    let cross = |a: u32, v: u32| u64::from(a).wrapping_mul(u64::from(v));
    let mut least: Option<Load> = None;
    let mut next: usize = 0;
    for server in servers {
        let index = next;
        next = next.wrapping_add(1);
        let weight = server.weight();
        if weight == 0 {
            continue;
        }
        let divisor = divisor(weight);
        let active = server.active();
        if let Some(best) = &least {
            let ours = cross(active, best.divisor);
            let theirs = cross(best.active, divisor);
            if ours > theirs
                || (ours == theirs
                    && cross(server.inactive(), best.divisor) >= cross(best.inactive, divisor))
            {
                continue;
            }
        }
        if !server.overloaded() {
            least = Some(Load {
                index,
                divisor,
                active,
                inactive: server.inactive(),
            });
        }
    }
    least.map(|load| load.index)
}
