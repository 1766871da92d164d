// SPDX-License-Identifier: GPL-2.0-only

//! The index of a table of regions: finds the range of an address in few lines of the processor's
//! cache.
//!
//! The index has a slot for the addresses of each family. A slot says one of three things about the
//! addresses that begin with certain bits:
//!
//! - *Region*: all are in this region.
//! - *Tree*: their ranges are in a B+ tree. Each node is one line. It compares only as many octets
//!   as differ between the ranges (2, 4, 8 or 16), so a node has 3 to 32 keys.
//! - *Split*: the next bits select one of many slots.
//!
//! The first slot of a family is a tree if that has at most four levels, otherwise a split by 16
//! bits. A slot below one split is a tree if that has at most three levels, and below two splits if
//! it has at most two; otherwise it is a split by so many bits that a slot has about as many ranges
//! as a leaf holds. Slots below three splits are trees of any height. So a lookup reads at most
//! four lines for IPv4, whatever the table is, and for IPv6 as long as no tree is below three
//! splits that has more than one level.
//!
//! The idea of slots and compressed nodes is from "Poptrie: A Compressed Trie with Population Count
//! for Fast and Scalable Software IP Routing Table Lookup" (Asai, Ohara, 2015). Trees in the place
//! of bit maps bound the memory, whatever the prefixes are.

use super::ranges::Ranges;

/// Octets of a line.
const OCTETS: usize = 64;
/// Octets of a slot.
const SLOT: usize = 8;
/// The numbers of octets that nodes compare.
const WIDTHS: [usize; 4] = [2, 4, 8, 16];
/// The bits of the first split.
const FIRST_BITS: u32 = 16;
/// The most levels of a tree with so many splits above it, if it may be split instead.
const MOST_LEVELS: [usize; 3] = [4, 3, 2];
/// The most levels of any tree: 5^9 leaves are more than a table has.
const LEVELS: usize = 12;
/// How many ranges are read between two breaks, a power of two.
const STRETCH: usize = 1 << 14;

/// A line of the index.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Line([u8; OCTETS]);

impl Line {
    /// An empty line.
    pub const ZERO: Self = Self([0; OCTETS]);
}

/// What is known about the addresses that begin with certain bits: the kind in the lowest two bits,
/// then six bits of a detail, 24 of a count, and the number of the first line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Slot(u64);

/// A slot, read.
enum Kind {
    Region(u8),
    Tree { width: usize, count: usize },
    Split { bits: u32 },
}

impl Slot {
    fn new(kind: u64, detail: usize, count: usize, first: usize) -> Self {
        let detail = (detail as u64) << 2;
        let count = (count as u64 & 0xff_ffff) << 8;
        Self(kind | detail | count | ((first as u64) << 32))
    }

    fn region(region: u8) -> Self {
        Self::new(0, 0, region.into(), 0)
    }

    #[inline]
    fn kind(self) -> Kind {
        let detail = (self.0 >> 2) as usize & 0x3f;
        let count = (self.0 >> 8) as usize & 0xff_ffff;
        match self.0 & 3 {
            1 => Kind::Tree {
                width: detail,
                count,
            },
            2 => Kind::Split {
                bits: detail as u32,
            },
            _ => Kind::Region(count as u8),
        }
    }

    #[inline]
    fn first(self) -> usize {
        (self.0 >> 32) as usize
    }
}

/// The first slots of an index.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Roots {
    v4: Slot,
    v6: Slot,
}

/// The levels of a tree of so many ranges, the leaves first.
struct Levels {
    lines: [usize; LEVELS],
    height: usize,
}

impl Levels {
    #[inline]
    fn new(width: usize, count: usize) -> Self {
        let mut lines = [0; LEVELS];
        let mut now = count.div_ceil(leaf_keys(width));
        let mut height = 0usize;
        for level in &mut lines {
            *level = now;
            height = height.wrapping_add(1);
            if now <= 1 {
                break;
            }
            now = now.div_ceil(children(width));
        }
        Self { lines, height }
    }

    #[inline]
    fn lines(&self, level: usize) -> usize {
        self.lines.get(level).copied().unwrap_or(0)
    }

    fn total(&self) -> usize {
        self.lines.iter().sum()
    }
}

/// How many ranges a leaf has.
#[inline]
const fn leaf_keys(width: usize) -> usize {
    match OCTETS.checked_div(width.wrapping_add(1)) {
        Some(keys) => keys,
        None => 1,
    }
}

/// How many children another node has.
#[inline]
const fn children(width: usize) -> usize {
    match OCTETS.checked_div(width) {
        Some(keys) => keys.wrapping_add(1),
        None => 1,
    }
}

/// The octets of an address that a tree compares, as a number. `rest` has the bits of the address
/// below all splits in its upper bits.
#[inline]
const fn key(width: usize, rest: u128) -> u128 {
    rest >> 128usize.wrapping_sub(width.wrapping_mul(8))
}

/// The ranges that begin in a slot. What precedes them is in the region `before`.
#[derive(Clone, Copy)]
struct Part {
    /// The numbers of the ranges.
    from: usize,
    to: usize,
    /// The first address.
    base: u128,
    before: u8,
}

impl Part {
    /// The ranges, the first of which begins at the base.
    fn ranges<'a>(&self, all: &'a Ranges<'_>) -> impl Iterator<Item = (u128, u8)> + 'a {
        let (from, to) = (self.from, self.to);
        let begins = |start: &(u128, u8)| start.0 == self.base;
        let first = match all.get(from).as_ref().is_some_and(begins) && from < to {
            true => None,
            false => Some((self.base, self.before)),
        };
        let others = (from..to).filter_map(|number| all.get(number));
        first.into_iter().chain(others)
    }
}

/// Makes an index, or finds out how long it is.
struct Builder<'a, P> {
    lines: Option<&'a mut [Line]>,
    used: usize,
    steps: usize,
    pause: P,
}

impl<P: FnMut()> Builder<'_, P> {
    fn take(&mut self, lines: usize) -> usize {
        let first = self.used;
        self.used = first.saturating_add(lines);
        first
    }

    fn put(&mut self, line: usize, at: usize, octets: &[u8]) {
        let lines = self.lines.as_deref_mut();
        let line = lines.and_then(|lines| lines.get_mut(line));
        let place = line.and_then(|line| line.0.get_mut(at..)?.get_mut(..octets.len()));
        if let Some(place) = place {
            place.copy_from_slice(octets);
        }
    }

    fn put_key(&mut self, line: usize, index: usize, width: usize, key: u128) {
        let octets = key.to_be_bytes();
        let octets = octets.get(octets.len().wrapping_sub(width)..);
        self.put(line, index.wrapping_mul(width), octets.unwrap_or_default());
    }

    fn step(&mut self) {
        self.steps = self.steps.wrapping_add(1);
        if self.steps & (STRETCH - 1) == 0 {
            (self.pause)();
        }
    }

    /// The slot of these ranges, below so many splits by `shift` bits altogether.
    fn slot(&mut self, all: &Ranges<'_>, part: &Part, splits: usize, shift: u32) -> Slot {
        let (mut count, mut differs) = (0usize, 0);
        for (start, _) in part.ranges(all) {
            self.step();
            count = count.wrapping_add(1);
            differs |= start << shift;
        }
        if count <= 1 {
            let region = part.ranges(all).next();
            return Slot::region(region.map_or(part.before, |(_, region)| region));
        }
        let octets = 128u32.wrapping_sub(differs.trailing_zeros()).div_ceil(8) as usize;
        let widths = WIDTHS.iter().enumerate();
        let fits = widths
            .filter(|(_, width)| **width >= octets)
            .map(|(index, width)| (index, *width))
            .next();
        let (index, width) = fits.unwrap_or((3, 16));
        let levels = Levels::new(width, count);
        if let Some(most) = MOST_LEVELS.get(splits) {
            if levels.height > *most {
                let bits = match splits {
                    0 => FIRST_BITS,
                    _ => bits_for(count.div_ceil(leaf_keys(width))),
                };
                return self.split(all, part, splits, shift, bits);
            }
        }
        let first = self.take(levels.total());
        self.tree(all, part, shift, width, &levels, first);
        Slot::new(1, index, count, first)
    }

    /// Splits the addresses by the next bits.
    fn split(
        &mut self,
        all: &Ranges<'_>,
        part: &Part,
        splits: usize,
        shift: u32,
        bits: u32,
    ) -> Slot {
        let first = self.take((SLOT << bits).div_ceil(OCTETS));
        let shift = shift.wrapping_add(bits);
        let place = 128u32.wrapping_sub(shift);
        let mut below = Part {
            to: part.from,
            ..*part
        };
        for number in 0..1usize << bits {
            below.from = below.to;
            below.base = part.base | ((number as u128) << place);
            let inside = |start: u128| (start ^ below.base) >> place == 0;
            while below.to < part.to && all.get(below.to).is_some_and(|(start, _)| inside(start)) {
                below.to = below.to.wrapping_add(1);
            }
            let slot = self.slot(all, &below, splits.wrapping_add(1), shift);
            let at = number.wrapping_mul(SLOT);
            let line = first.wrapping_add(at / OCTETS);
            self.put(line, at % OCTETS, &slot.0.to_le_bytes());
            let last = below.to.checked_sub(1).filter(|last| *last >= below.from);
            if let Some((_, region)) = last.and_then(|last| all.get(last)) {
                below.before = region;
            }
        }
        Slot::new(2, bits as usize, 0, first)
    }

    /// Writes a tree: the root first, the leaves last.
    fn tree(
        &mut self,
        all: &Ranges<'_>,
        part: &Part,
        shift: u32,
        width: usize,
        levels: &Levels,
        first: usize,
    ) {
        // Where each level begins.
        let mut firsts = [first; LEVELS];
        let mut next = first;
        for level in (0..levels.height).rev() {
            if let Some(place) = firsts.get_mut(level) {
                *place = next;
            }
            next = next.wrapping_add(levels.lines(level));
        }
        let line = |level: usize, node: usize| {
            let first = firsts.get(level).copied().unwrap_or(usize::MAX);
            first.wrapping_add(node)
        };
        let leaf = leaf_keys(width);
        for (number, (start, region)) in part.ranges(all).enumerate() {
            self.step();
            let key = key(width, start << shift);
            let (mut node, at) = divide(number, leaf);
            self.put_key(line(0, node), at, width, key);
            let regions = leaf.wrapping_mul(width);
            self.put(line(0, node), regions.wrapping_add(at), &[region]);
            if at != 0 {
                continue;
            }
            // The first key of a leaf separates it from its predecessor, in the first node above
            // that has both below it.
            for level in 1..levels.height {
                let child;
                (node, child) = divide(node, children(width));
                if let Some(index) = child.checked_sub(1) {
                    self.put_key(line(level, node), index, width, key);
                    break;
                }
            }
        }
    }
}

/// The quotient and the remainder.
fn divide(number: usize, by: usize) -> (usize, usize) {
    let quotient = number.checked_div(by).unwrap_or(0);
    (quotient, number.checked_rem(by).unwrap_or(0))
}

/// The bits that distinguish so many things.
fn bits_for(count: usize) -> u32 {
    count
        .next_power_of_two()
        .trailing_zeros()
        .clamp(1, FIRST_BITS)
}

/// Makes the index of these ranges of IPv4 and IPv6 in `lines`, and returns it with the number of
/// its lines. Without `lines` it only counts.
pub(super) fn build(
    v4: &Ranges<'_>,
    v6: &Ranges<'_>,
    lines: Option<&mut [Line]>,
    pause: impl FnMut(),
) -> (Roots, usize) {
    let mut builder = Builder {
        lines,
        used: 0,
        steps: 0,
        pause,
    };
    let mut root = |all: &Ranges<'_>| {
        let part = Part {
            from: 0,
            to: all.len(),
            base: 0,
            before: 0,
        };
        builder.slot(all, &part, 0, 0)
    };
    let roots = Roots {
        v4: root(v4),
        v6: root(v6),
    };
    (roots, builder.used)
}

/// An index.
#[derive(Clone, Copy, Debug)]
pub(super) struct Index<'a> {
    pub(super) lines: &'a [Line],
    pub(super) roots: Roots,
}

/// What a lookup found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found {
    /// The region; 0 for none.
    pub region: u8,
    /// How many lines were read.
    pub lines: usize,
}

impl Index<'_> {
    /// The region of an IPv4 address. Softirq.
    #[inline]
    pub(super) fn v4(&self, address: u32) -> Found {
        self.find(self.roots.v4, u128::from(address) << 96)
    }

    /// The region of an IPv6 address. Softirq.
    #[inline]
    pub(super) fn v6(&self, address: u128) -> Found {
        self.find(self.roots.v6, address)
    }

    #[inline]
    fn octets(&self, line: usize) -> &[u8; OCTETS] {
        self.lines.get(line).map_or(&Line::ZERO.0, |line| &line.0)
    }

    fn find(&self, mut slot: Slot, address: u128) -> Found {
        let mut rest = address;
        let mut read = 0usize;
        // Three splits and what is below them.
        for _ in 0..=MOST_LEVELS.len() {
            match slot.kind() {
                Kind::Region(region) => {
                    return Found {
                        region,
                        lines: read,
                    }
                }
                Kind::Tree { width, count } => {
                    let (region, lines) = match width {
                        0 => self.search::<2>(slot.first(), count, rest),
                        1 => self.search::<4>(slot.first(), count, rest),
                        2 => self.search::<8>(slot.first(), count, rest),
                        _ => self.search::<16>(slot.first(), count, rest),
                    };
                    let lines = read.wrapping_add(lines);
                    return Found { region, lines };
                }
                Kind::Split { bits } => {
                    let number = rest.checked_shr(128u32.wrapping_sub(bits)).unwrap_or(0);
                    let at = (number as usize).wrapping_mul(SLOT);
                    let line = self.octets(slot.first().wrapping_add(at / OCTETS));
                    let octets = line.get(at % OCTETS..).and_then(|line| line.first_chunk());
                    slot = Slot(octets.map_or(0, |octets| u64::from_le_bytes(*octets)));
                    rest <<= bits;
                    read = read.wrapping_add(1);
                }
            }
        }
        Found {
            region: 0,
            lines: read,
        }
    }

    /// Searches a tree whose nodes compare `N` octets. Returns the region and the number of lines.
    fn search<const N: usize>(&self, first: usize, count: usize, rest: u128) -> (u8, usize) {
        let key = key(N, rest);
        let levels = Levels::new(N, count);
        let (mut line, mut node) = (first, 0usize);
        for level in (1..levels.height).rev() {
            let first_child = node.wrapping_mul(children(N));
            let below = levels.lines(level.wrapping_sub(1));
            let keys = below.wrapping_sub(first_child).min(children(N));
            let octets = self.octets(line.wrapping_add(node));
            let child = not_above::<N>(octets, keys.wrapping_sub(1), key);
            line = line.wrapping_add(levels.lines(level));
            node = first_child.wrapping_add(child);
        }
        let leaf = leaf_keys(N);
        let keys = count.wrapping_sub(node.wrapping_mul(leaf)).min(leaf);
        let octets = self.octets(line.wrapping_add(node));
        // The first key of a slot is its first address, so one is always found.
        let index = not_above::<N>(octets, keys, key).wrapping_sub(1);
        let region = octets.get(leaf.wrapping_mul(N).wrapping_add(index));
        (region.copied().unwrap_or(0), levels.height)
    }
}

/// The number of keys, among the first `count` of a node, that are at most `key`.
#[inline]
fn not_above<const N: usize>(octets: &[u8; OCTETS], count: usize, key: u128) -> usize {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low.wrapping_add(high) >> 1;
        let at = middle.wrapping_mul(N);
        let mut wide = [0; 16];
        if let (Some(place), Some(octets)) = (
            wide.last_chunk_mut::<N>(),
            octets
                .get(at..)
                .and_then(|octets| octets.first_chunk::<N>()),
        ) {
            *place = *octets;
        }
        if u128::from_be_bytes(wide) <= key {
            low = middle.wrapping_add(1);
        } else {
            high = middle;
        }
    }
    low
}
