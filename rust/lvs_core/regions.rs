// SPDX-License-Identifier: GPL-2.0-only

//! Regions: where addresses are, and which regions are near to each other.
//!
//! A table maps every address to a region, or to none. It is made in user space
//! (`lvsadm geo`), checked once by [`Regions::check`], and read for each new connection. It is one
//! slice of octets, so it is loaded and replaced as a whole. All numbers are big-endian:
//!
//! ```text
//! octets       contents
//! 4            MAGIC
//! 4            r: the number of regions, 1 to MOST_REGIONS
//! 4            n: the number of IPv4 ranges
//! 4            m: the number of IPv6 ranges
//! 8            the generation, which the kernel writes
//! 16 r         the regions' names, from region 1 on, padded with NUL
//! r (r + 1)    for each region of clients: the distances of servers in no region, in region 1, ...
//! 4 n          the first address of each IPv4 range, ascending; the first range begins at 0.0.0.0
//! n            the region of each IPv4 range, 0 for none
//! 16 m, m      the same for IPv6, from ::
//! ```
//!
//! A range ends where the next one begins. Longest prefix match is resolved when the table is made:
//! nested prefixes become ranges side by side. A lookup is a binary search, with 20 steps for a
//! million ranges. The kernel adds an [`index`], by which a lookup reads few lines of the
//! processor's cache.

pub mod index;
mod ranges;

use crate::Address;
use core::ffi::CStr;
use index::{Found, Index, Line, Roots};
use ranges::Ranges;

/// The first octets of a table: its format.
pub const MAGIC: [u8; 4] = *b"lvs1";
/// Octets before the names.
pub const HEADER: usize = 24;
/// Octets of a name, with at least one NUL.
pub const NAME: usize = 16;
/// The greatest number of regions.
pub const MOST_REGIONS: u8 = 250;
/// The greatest size of a table, in octets.
pub const MOST_OCTETS: usize = 64 << 20;
/// How many ranges are checked between two breaks, a power of two.
const STRETCH: usize = 1 << 14;

/// A mistake in a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mistake {
    /// It has another format.
    Format,
    /// Its size is not that of its contents.
    Size,
    /// It has no regions, or too many.
    Regions,
    /// The name of a region is empty, too long, not printable, or used twice.
    Name,
    /// Ranges are not in order, or do not begin with the first address.
    Order,
    /// A range is in a region that the table does not have.
    Region,
}

impl Mistake {
    /// A sentence about it.
    #[must_use]
    pub const fn sentence(self) -> &'static CStr {
        match self {
            Self::Format => c"this is not a table of regions that the module can read",
            Self::Size => c"the size of the table of regions is wrong",
            Self::Regions => c"a table has 1 to 250 regions",
            Self::Name => {
                c"a region needs a name of its own, of 1 to 15 printable ASCII characters"
            }
            Self::Order => c"the ranges of the table are not in ascending order from address 0 on",
            Self::Region => c"a range is in a region that the table does not have",
        }
    }
}

/// A table of regions, or none. Any octets may be given: those that [`Regions::check`] refuses lead
/// to wrong regions, but to no panic and to no endless loop.
#[derive(Clone, Copy, Debug)]
pub struct Regions<'a> {
    octets: &'a [u8],
    index: Option<Index<'a>>,
}

/// Two tables are equal if they say the same, with an index or without one.
impl PartialEq for Regions<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.octets == other.octets
    }
}

impl Eq for Regions<'_> {}

/// The parts of a table.
struct Parts<'a> {
    names: &'a [u8],
    distances: &'a [u8],
    v4: Ranges<'a>,
    v6: Ranges<'a>,
}

impl<'a> Regions<'a> {
    /// No table: all addresses are in no region.
    pub const NONE: Self = Self::new(&[]);

    /// The table of these octets, which [`Self::check`] accepted.
    #[inline]
    #[must_use]
    pub const fn new(octets: &'a [u8]) -> Self {
        Self {
            octets,
            index: None,
        }
    }

    /// The same with the index that [`Self::build_index`] made of these octets.
    #[inline]
    #[must_use]
    pub const fn with_index(octets: &'a [u8], lines: &'a [Line], roots: Roots) -> Self {
        Self {
            octets,
            index: Some(Index { lines, roots }),
        }
    }

    /// The number of lines of this table's index. `pause` is called now and then. Process context.
    pub fn index_lines(self, pause: impl FnMut()) -> usize {
        let (v4, v6) = self.families();
        index::build(&v4, &v6, None, pause).1
    }

    /// Makes the index of this table in so many lines, all [`Line::ZERO`]. `pause` is called now
    /// and then. Process context.
    pub fn build_index(self, lines: &mut [Line], pause: impl FnMut()) -> Roots {
        let (v4, v6) = self.families();
        index::build(&v4, &v6, Some(lines), pause).0
    }

    fn families(self) -> (Ranges<'a>, Ranges<'a>) {
        let parts = self.parts();
        parts.map_or_else(Default::default, |parts| (parts.v4, parts.v6))
    }

    /// Checks a table completely. `pause` is called now and then. Process context.
    pub fn check(octets: &[u8], mut pause: impl FnMut()) -> Result<(), Mistake> {
        let table = Regions::new(octets);
        if octets.get(..4) != Some(&MAGIC) {
            return Err(Mistake::Format);
        }
        if octets.len() > MOST_OCTETS {
            return Err(Mistake::Size);
        }
        if !(1..=u32::from(MOST_REGIONS)).contains(&table.number(4).unwrap_or(0)) {
            return Err(Mistake::Regions);
        }
        let parts = table.parts().ok_or(Mistake::Size)?;
        let mut rest = parts.names;
        while let Some((name, others)) = rest.split_at_checked(NAME) {
            let len = name.iter().take_while(|octet| octet.is_ascii_graphic());
            let padding = name.get(len.count()..).unwrap_or_default();
            let padded = !padding.is_empty() && padding.iter().all(|octet| *octet == 0);
            if !padded || padding.len() == NAME || others.chunks(NAME).any(|other| other == name) {
                return Err(Mistake::Name);
            }
            rest = others;
        }
        let most = table.len();
        let read = |octets| u32::from_be_bytes(octets).into();
        check_ranges(parts.v4, most, &mut pause, read)?;
        check_ranges(parts.v6, most, &mut pause, u128::from_be_bytes)
    }

    /// Writes the generation into a table, which distinguishes it from its predecessors. It must
    /// not be 0, and be below 2^56.
    pub fn stamp(octets: &mut [u8], generation: u64) {
        if let Some(place) = octets.get_mut(16..HEADER) {
            place.copy_from_slice(&generation.to_be_bytes());
        }
    }

    /// The generation; 0 without a table.
    #[inline]
    #[must_use]
    pub fn generation(self) -> u64 {
        let octets = self.octets.get(16..HEADER);
        let octets = octets.and_then(|octets| octets.try_into().ok());
        octets.map_or(0, u64::from_be_bytes)
    }

    /// The number of regions.
    #[inline]
    #[must_use]
    pub fn len(self) -> u8 {
        self.number(4).unwrap_or(0) as u8
    }

    /// Whether there are no regions.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The name of a region.
    #[must_use]
    pub fn name(self, region: u8) -> Option<&'a [u8]> {
        let index = usize::from(region.checked_sub(1)?);
        let name = self.parts()?.names.chunks(NAME).nth(index)?;
        name.split(|octet| *octet == 0).next()
    }

    /// The region of an address; 0 for none. Softirq.
    #[inline]
    #[must_use]
    pub fn region(self, address: Address) -> u8 {
        match self.find(address) {
            Some(found) => found.region,
            None => self.search(address),
        }
    }

    /// Looks an address up in the index, if there is one. Softirq.
    #[inline]
    #[must_use]
    pub fn find(self, address: Address) -> Option<Found> {
        let index = self.index?;
        Some(match address.v4() {
            Some(octets) => index.v4(u32::from_be_bytes(octets)),
            None => index.v6(u128::from_be_bytes(address.octets16())),
        })
    }

    /// The region of an address without the index.
    #[inline(never)]
    fn search(self, address: Address) -> u8 {
        let Some(parts) = self.parts() else { return 0 };
        match address.v4() {
            Some(octets) => parts
                .v4
                .find(u32::from_be_bytes(octets), u32::from_be_bytes),
            None => {
                let octets = address.octets16();
                parts
                    .v6
                    .find(u128::from_be_bytes(octets), u128::from_be_bytes)
            }
        }
    }

    /// How far a server's region is from a client's region: 0 is the nearest. Clients in no region
    /// are near to all. Softirq.
    #[inline]
    #[must_use]
    pub fn distance(self, client: u8, server: u8) -> u8 {
        let Some(row) = usize::from(client).checked_sub(1) else {
            return 0;
        };
        let regions = usize::from(self.len());
        let at = regions
            .wrapping_mul(NAME)
            .wrapping_add(row.wrapping_mul(regions.wrapping_add(1)))
            .wrapping_add(usize::from(server))
            .wrapping_add(HEADER);
        self.octets.get(at).copied().unwrap_or(u8::MAX)
    }

    /// The IPv4 ranges, in order: the first address and the region of each.
    pub fn v4(self) -> impl Iterator<Item = (u32, u8)> + 'a {
        let ranges = self.parts().map(|parts| parts.v4);
        ranges
            .into_iter()
            .flat_map(|ranges| ranges.iter(u32::from_be_bytes))
    }

    /// The same for IPv6.
    pub fn v6(self) -> impl Iterator<Item = (u128, u8)> + 'a {
        let ranges = self.parts().map(|parts| parts.v6);
        ranges
            .into_iter()
            .flat_map(|ranges| ranges.iter(u128::from_be_bytes))
    }

    /// The number of 32 bits at `at` of the header.
    #[inline]
    fn number(self, at: usize) -> Option<u32> {
        let octets = self.octets.get(at..at.wrapping_add(4))?;
        Some(u32::from_be_bytes(octets.try_into().ok()?))
    }

    #[inline]
    fn parts(self) -> Option<Parts<'a>> {
        let regions = usize::from(self.len());
        let v4 = usize::try_from(self.number(8)?).ok()?;
        let v6 = usize::try_from(self.number(12)?).ok()?;
        let rest = self.octets.get(HEADER..)?;
        let (names, rest) = rest.split_at_checked(regions.wrapping_mul(NAME))?;
        let rows = regions.wrapping_mul(regions.wrapping_add(1));
        let (distances, rest) = rest.split_at_checked(rows)?;
        let (v4, rest) = Ranges::split::<4>(rest, v4)?;
        let (v6, rest) = Ranges::split::<16>(rest, v6)?;
        rest.is_empty().then_some(Parts {
            names,
            distances,
            v4,
            v6,
        })
    }

    /// The distances of each region of clients, in order: see [`Self::distance`].
    pub fn distances(self) -> impl Iterator<Item = &'a [u8]> {
        let row = usize::from(self.len()).saturating_add(1);
        let distances = self.parts().map_or(&[][..], |parts| parts.distances);
        distances.chunks(row)
    }
}

/// Checks the ranges of one family.
fn check_ranges<const N: usize>(
    ranges: Ranges<'_>,
    most: u8,
    pause: &mut impl FnMut(),
    read: impl Fn([u8; N]) -> u128,
) -> Result<(), Mistake> {
    let mut last = None;
    for (index, (start, region)) in ranges.iter(read).enumerate() {
        if index & (STRETCH - 1) == 0 {
            pause();
        }
        let ascends = last.map_or(start == 0, |last| last < start);
        if !ascends {
            return Err(Mistake::Order);
        }
        if region > most {
            return Err(Mistake::Region);
        }
        last = Some(start);
    }
    Ok(())
}
