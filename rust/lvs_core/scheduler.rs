// SPDX-License-Identifier: GPL-2.0-only

//! Scheduling algorithms: they choose the server for a new connection.
//!
//! Belongs here: the algorithms, over anything that is a [`Destination`]. Never here: how
//! destinations are stored, or how the connection goes on.
//!
//! All algorithms work through `&self`, on many CPUs at once and without locks, even while weights
//! and counts change. A selection never returns a server that had weight 0 or was overloaded when
//! it was read, and never an index outside the list.
//!
//! Two races are part of the design. Concurrent selections each get their own place in the
//! sequence. A selection that runs concurrently with [`changed`](Algorithm::changed) and uses the
//! old list may advance the new list's sequence by one place at most.

mod best_of_two;
mod dh;
mod ewma;
mod fo;
mod geo;
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
mod twos;
mod unscheduled;
mod wlc;
mod wrr;

pub use best_of_two::BestOfTwo;
pub use dh::DestinationHashing;
pub use ewma::{LeastPeakDelay, PeakEwma};
pub use fo::{GreatestWeight, WeightedFailover};
pub use geo::NearestRegion;
pub use lblc::{Locality, LocalityBasedLeastConnection, LocalityBasedWithReplication};
pub use lc::{FewestConnections, LeastConnection};
pub use mh::MaglevHashing;
pub use nq::{IdleFirst, NeverQueue};
pub use oneip::OneIp;
pub use ovf::{GreatestNotFull, WeightedOverflow};
pub use ranked::{Order, Ranked};
pub use rr::RoundRobin;
pub use sed::{ShortestDelay, ShortestExpectedDelay};
pub use sh::SourceHashing;
pub use twos::PowerOfTwoChoices;
pub use unscheduled::Unscheduled;
pub use wlc::{FewestForWeight, WeightedLeastConnection};
pub use wrr::WeightedRoundRobin;

use crate::{delay::Delay, regions::Regions, Endpoint, Protocol};
use core::{ops::Deref, sync::atomic::AtomicU64};

/// A scheduling algorithm. Each virtual service has one value, which keeps the service's place in
/// the sequence. Each list of servers has memory for data that the algorithm derives from the list.
pub trait Algorithm: Send + Sync + 'static {
    /// Whether the director calls [`Self::load_changed`].
    const FOLLOWS_LOADS: bool = false;
    /// Whether the algorithm uses [`Destination::delay`], so the director must measure delays.
    const MEASURES_DELAYS: bool = false;
    /// Whether the choice depends only on the flow, the servers and their weights. Then the
    /// director may ask for each packet instead of only the first, and needs no connection entries.
    const MAY_BE_STATELESS: bool = false;

    /// Returns the state for a new service. `seed` is random.
    fn new(seed: u64) -> Self;

    /// Returns the number of words of memory for a list of this many servers, if the former list
    /// had `former` words.
    fn words(_servers: usize, _former: usize) -> usize {
        0
    }

    /// Fills the memory of a new list; it is all zeros before. Connections are scheduled by the
    /// former list until this returns. `former` is the memory of that list, and empty after
    /// [`Change::Reset`]. Calls for one service do not overlap. Process context.
    fn changed<S: Destination>(&self, list: &List<'_, S>, former: &[AtomicU64], change: Change);

    /// Returns the index of the server for a new connection, or `None` if no server accepts one.
    /// Softirq, RCU read section.
    fn select<S: Destination>(&self, list: &List<'_, S>, flow: &Flow<'_>) -> Option<usize>;

    /// Reports that the number of connections of the server at `index` has changed. This may happen
    /// during [`Self::changed`] for the same list. RCU read section.
    fn load_changed<S: Destination>(&self, _list: &List<'_, S>, _index: usize) {}
}

/// The servers of a service.
#[derive(Debug)]
pub struct List<'a, S> {
    /// In the order in which they were added.
    pub destinations: &'a [S],
    /// The algorithm's memory for this list, with the length from [`Algorithm::words`].
    pub memory: &'a [AtomicU64],
}

/// A new connection that needs a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flow<'a> {
    /// The protocol.
    pub protocol: Protocol,
    /// The client's address and port.
    pub client: Endpoint,
    /// The virtual address and port.
    pub virtual_endpoint: Endpoint,
    /// The service's options.
    pub options: Options,
    /// The time in seconds.
    pub now: u32,
    /// The director's table of regions.
    pub regions: Regions<'a>,
}

/// Options that administrators set: for hashing schedulers of a service, and for locality-based
/// schedulers of the director.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Hash the client's port as well.
    pub port: bool,
    /// If the selected server accepts no connections, select another one.
    pub fallback: bool,
    /// The seed of the hash that selects a server. Directors with different seeds choose
    /// independently of each other.
    pub seed: u8,
    /// Seconds until locality-based scheduling forgets an address without connections.
    pub lblc_expiration: u32,
    /// The same with replication; also the seconds until an unchanged set loses a server.
    pub lblcr_expiration: u32,
}

impl Options {
    /// The default of both expirations: a day.
    pub const EXPIRATION: u32 = 24 * 60 * 60;
    /// The options of a service without flags, with the director's defaults.
    pub const DEFAULT: Self = Self {
        port: false,
        fallback: false,
        seed: 0,
        lblc_expiration: Self::EXPIRATION,
        lblcr_expiration: Self::EXPIRATION,
    };
}

impl Default for Options {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A real server as schedulers see it.
pub trait Destination {
    /// Whether several threads may use the list at the same time. A program with one thread says
    /// no, and schedulers spare it locked instructions.
    const SHARED: bool = true;

    /// The weight: the server's share of the load, relative to the others. A server with weight 0
    /// is quiesced and gets no new connections.
    fn weight(&self) -> u32;
    /// The last weight other than 0; 0 if there was none.
    fn last_weight(&self) -> u32;
    /// The address and port, which identify the server in all lists.
    fn endpoint(&self) -> Endpoint;
    /// Connections in a state that counts as active.
    fn active(&self) -> u32;
    /// All other connections.
    fn inactive(&self) -> u32;
    /// Active connections in the upper half and the others in the lower half, read at once.
    #[inline]
    fn connections(&self) -> u64 {
        (u64::from(self.active()) << 32) | u64::from(self.inactive())
    }
    /// Whether the server has reached its upper threshold of connections.
    fn overloaded(&self) -> bool;
    /// The delay of its answers to new connections, if the director measures it.
    #[inline]
    fn delay(&self) -> Delay {
        Delay::default()
    }
}

impl<P: Deref<Target: Destination>> Destination for P {
    const SHARED: bool = <P::Target as Destination>::SHARED;

    #[inline]
    fn weight(&self) -> u32 {
        (**self).weight()
    }

    #[inline]
    fn last_weight(&self) -> u32 {
        (**self).last_weight()
    }

    #[inline]
    fn endpoint(&self) -> Endpoint {
        (**self).endpoint()
    }

    #[inline]
    fn active(&self) -> u32 {
        (**self).active()
    }

    #[inline]
    fn inactive(&self) -> u32 {
        (**self).inactive()
    }

    #[inline]
    fn connections(&self) -> u64 {
        (**self).connections()
    }

    #[inline]
    fn overloaded(&self) -> bool {
        (**self).overloaded()
    }

    #[inline]
    fn delay(&self) -> Delay {
        (**self).delay()
    }
}

/// The change of a list of servers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// A server was added at this index.
    Added(usize),
    /// The server at this index was removed.
    Removed(usize),
    /// The weight or the thresholds of the server at this index changed.
    Edited(usize),
    /// The list is unrelated to the former one: start again.
    Reset,
}

impl Change {
    /// Returns the new index of the server that was at `index`, or `None` if it was removed.
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

/// Returns the weight of a server that accepts a connection, otherwise `None`.
#[inline]
pub fn capacity<S: Destination>(destination: &S) -> Option<u32> {
    match destination.weight() {
        0 => None,
        _ if destination.overloaded() => None,
        weight => Some(weight),
    }
}

/// Returns the cursor after the change, so that no server loses or regains its turn. The cursor is
/// the index of the server whose turn is next.
#[inline]
fn moved(cursor: u32, change: Change) -> u32 {
    let before = |index: usize| u32::try_from(index).is_ok_and(|index| index < cursor);
    match change {
        Change::Added(index) if before(index) => cursor.saturating_add(1),
        Change::Removed(index) if before(index) => cursor.saturating_sub(1),
        Change::Added(_) | Change::Removed(_) | Change::Edited(_) | Change::Reset => cursor,
    }
}

/// Returns the greatest common divisor; for 0 and `b` it is `b`.
fn gcd(mut a: u32, mut b: u32) -> u32 {
    while let Some(rest) = a.checked_rem(b) {
        (a, b) = (b, rest);
    }
    a
}

/// Returns a number below `bound` that is as random as `word`.
#[inline]
fn below(word: u64, bound: u64) -> u64 {
    (u128::from(word).wrapping_mul(u128::from(bound)) >> 64) as u64
}
