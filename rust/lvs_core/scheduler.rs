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
//! sequence), and a selection with [`changed`](Algorithm::changed) (a selection that still holds
//! the old list may then count against the new one's sequence, by at most one place).

mod dh;
mod ewma;
mod fo;
mod lblc;
mod lc;
mod mh;
mod nq;
mod oneip;
mod ovf;
mod ranked;
pub mod ranking;
mod rr;
mod sed;
mod sh;
mod slots;
mod two;
mod twos;
mod wlc;
mod wrr;

pub use dh::DestinationHashing;
pub use ewma::{LeastPeakDelay, PeakEwma};
pub use fo::{GreatestWeight, WeightedFailover};
pub use lblc::{LocalityBasedLeastConnection, LocalityBasedWithReplication};
pub use lc::{FewestConnections, LeastConnection};
pub use mh::MaglevHashing;
pub use nq::{IdleFirst, NeverQueue};
pub use oneip::OneIp;
pub use ovf::{GreatestNotFull, WeightedOverflow};
pub use ranked::{Order, Ranked};
pub use rr::RoundRobin;
pub use sed::{ShortestDelay, ShortestExpectedDelay};
pub use sh::SourceHashing;
pub use two::BestOfTwo;
pub use twos::PowerOfTwoChoices;
pub use wlc::{FewestForWeight, WeightedLeastConnection};
pub use wrr::WeightedRoundRobin;

use crate::{delay::Delay, Endpoint, Protocol};
use core::sync::atomic::AtomicU64;

/// A scheduling algorithm. There is one value per virtual service, which keeps the service's place
/// in the sequence, and memory for each list of servers, for what is made of that.
pub trait Algorithm: Send + Sync + 'static {
    /// Whether [`Self::load_changed`] is to be called.
    const FOLLOWS_LOADS: bool = false;
    /// Whether it asks for [`Server::delay`], so that delays are to be measured.
    const MEASURES_DELAYS: bool = false;
    /// Whether each packet of a flow may be asked for instead of the first alone, so that nothing needs
    /// to be remembered: the choice depends on nothing but the flow, the servers and their weights.
    const MAY_BE_STATELESS: bool = false;

    /// A fresh one, for a new service. `seed` is random.
    fn new(seed: u64) -> Self;

    /// How many words of memory a list of so many servers needs, when the former list had `former`
    /// words.
    fn words(_servers: usize, _former: usize) -> usize {
        0
    }

    /// The list is another one, and its memory, which holds nothing but zeros, is to be filled in.
    /// Connections are scheduled by the former list until this returns; `former` is the memory of
    /// that, empty after [`Change::Reset`]. One call at a time for a service.
    fn changed<S: Server>(&self, list: &List<'_, S>, former: &[AtomicU64], change: Change);

    /// The index of the server for a new connection, or none when no server can take it.
    fn select<S: Server>(&self, list: &List<'_, S>, flow: &Flow) -> Option<usize>;

    /// The number of connections of the server at `index` has changed, maybe while the list was
    /// handed to [`Self::changed`].
    fn load_changed<S: Server>(&self, _list: &List<'_, S>, _index: usize) {}
}

/// The servers of a service.
#[derive(Debug)]
pub struct List<'a, S> {
    /// In the order in which they were added.
    pub servers: &'a [S],
    /// What an algorithm made of this list: as many words as it said.
    pub memory: &'a [AtomicU64],
}

/// A new connection that wants a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flow {
    /// The protocol.
    pub protocol: Protocol,
    /// The client's address and port.
    pub client: Endpoint,
    /// The address and port that the client sees.
    pub virtual_endpoint: Endpoint,
    /// What the service says of how to choose.
    pub options: Options,
    /// A clock's seconds.
    pub now: u32,
}

/// How hashing schedulers choose, as administrators set it for a service.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// The client's port counts, too.
    pub port: bool,
    /// When the server that it would be takes no connections, it is another one.
    pub fallback: bool,
}

/// What a scheduler knows of a real server.
pub trait Server {
    /// The weight: how much of the load it should get, relative to the others. A server of weight 0
    /// is quiesced and gets no new connection.
    fn weight(&self) -> u32;
    /// The last weight that was not 0; 0 when there was none.
    fn last_weight(&self) -> u32;
    /// Its address and port: what tells it from others, whatever list it is in.
    fn endpoint(&self) -> Endpoint;
    /// Connections in a state that counts as active.
    fn active(&self) -> u32;
    /// All other connections.
    fn inactive(&self) -> u32;
    /// Active connections in the upper half, the others in the lower one, of one moment.
    #[inline]
    fn connections(&self) -> u64 {
        (u64::from(self.active()) << 32) | u64::from(self.inactive())
    }
    /// The server has reached its upper threshold of connections and takes none.
    fn overloaded(&self) -> bool;
    /// The delay of its answers to new connections, where that is measured.
    #[inline]
    fn delay(&self) -> Delay {
        Delay::default()
    }
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

impl Change {
    /// Where the server stands now that was at `index` before; `None` when it is gone.
    fn index(self, index: usize) -> Option<usize> {
        match self {
            Self::Added(at) if at <= index => index.checked_add(1),
            Self::Removed(at) if at == index => None,
            Self::Removed(at) if at < index => index.checked_sub(1),
            Self::Added(_) | Self::Removed(_) | Self::Edited(_) => Some(index),
            Self::Reset => None,
        }
    }
}

/// The weight of a server that can take a connection, or `None`.
#[inline]
pub fn capacity<S: Server>(server: &S) -> Option<u32> {
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
        Change::Added(_) | Change::Removed(_) | Change::Edited(_) | Change::Reset => cursor,
    }
}

/// The greatest common divisor; that of 0 and `b` is `b`.
fn gcd(mut a: u32, mut b: u32) -> u32 {
    while let Some(rest) = a.checked_rem(b) {
        (a, b) = (b, rest);
    }
    a
}

/// A number from 0 to `bound`, without it, as random as `word` is.
#[inline]
fn below(word: u64, bound: u64) -> u64 {
    (u128::from(word).wrapping_mul(u128::from(bound)) >> 64) as u64
}
