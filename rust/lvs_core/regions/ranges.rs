// SPDX-License-Identifier: GPL-2.0-only

//! The ranges of a table of regions, in its octets.

/// The ranges of one family. None without a table.
#[derive(Default)]
pub(super) struct Ranges<'a> {
    starts: &'a [u8],
    regions: &'a [u8],
}

impl<'a> Ranges<'a> {
    /// Takes `count` ranges whose first addresses have `N` octets.
    #[inline]
    pub(super) fn split<const N: usize>(
        octets: &'a [u8],
        count: usize,
    ) -> Option<(Self, &'a [u8])> {
        let (starts, rest) = octets.split_at_checked(count.checked_mul(N)?)?;
        let (regions, rest) = rest.split_at_checked(count)?;
        Some((Self { starts, regions }, rest))
    }

    pub(super) fn len(&self) -> usize {
        self.regions.len()
    }

    /// The first address of a range, in the upper bits, and its region.
    pub(super) fn get(&self, number: usize) -> Option<(u128, u8)> {
        let region = *self.regions.get(number)?;
        let octets = self.starts.len().checked_div(self.regions.len())?;
        let at = number.checked_mul(octets)?;
        let start = self.starts.get(at..at.checked_add(octets)?)?;
        let mut wide = [0; 16];
        wide.get_mut(..octets)?.copy_from_slice(start);
        Some((u128::from_be_bytes(wide), region))
    }

    /// The region of the last range that begins at `address` or before it.
    #[inline]
    pub(super) fn find<const N: usize, T: Ord>(
        &self,
        address: T,
        read: impl Fn([u8; N]) -> T,
    ) -> u8 {
        let (mut low, mut high) = (0, self.regions.len());
        while low < high {
            let middle = low.wrapping_add(high.wrapping_sub(low) >> 1);
            let at = middle.wrapping_mul(N);
            let start = self.starts.get(at..at.wrapping_add(N));
            match start.and_then(|start| start.try_into().ok()).map(&read) {
                Some(start) if start <= address => low = middle.wrapping_add(1),
                _ => high = middle,
            }
        }
        let index = low.checked_sub(1);
        let region = index.and_then(|index| self.regions.get(index));
        region.copied().unwrap_or(0)
    }

    pub(super) fn iter<const N: usize, T>(
        self,
        read: impl Fn([u8; N]) -> T + 'a,
    ) -> impl Iterator<Item = (T, u8)> + 'a {
        let starts = self.starts.chunks_exact(N);
        let starts = starts.filter_map(move |start| Some(read(start.try_into().ok()?)));
        starts.zip(self.regions.iter().copied())
    }
}
