// SPDX-License-Identifier: GPL-2.0-only

//! When a director defends itself against floods of new connections, and how hard.
//!
//! Each strategy has a mode, which administrators set and see under the numbers of the C director
//! (`Documentation/networking/ipvs-sysctl.rst` of the kernel). The automatic one acts while memory is
//! scarce.

/// The mode of a strategy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Mode {
    /// Never acts.
    Off = 0,
    /// Automatic, and memory is not scarce.
    Ready,
    /// Automatic, and memory is scarce.
    Acting,
    /// Always acts.
    Always,
}

impl Mode {
    /// The mode of this number; none for a number that is none.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Off),
            1 => Some(Self::Ready),
            2 => Some(Self::Acting),
            3 => Some(Self::Always),
            _ => None,
        }
    }

    /// The mode after memory was found to be scarce, or not.
    #[must_use]
    pub const fn after(self, scarce: bool) -> Self {
        match self {
            Self::Off | Self::Always => self,
            Self::Ready | Self::Acting if scarce => Self::Acting,
            Self::Ready | Self::Acting => Self::Ready,
        }
    }

    /// Whether the strategy acts.
    #[must_use]
    pub const fn acts(self) -> bool {
        matches!(self, Self::Acting | Self::Always)
    }
}

/// Of how many new connections one is to be dropped; 0 for none. `always` is what
/// [`Mode::Always`] does; the automatic mode drops the more, the less memory is `available` below
/// the `threshold` (both in the same unit).
#[must_use]
pub const fn one_in(mode: Mode, always: u32, available: u64, threshold: u64) -> u32 {
    match mode {
        Mode::Off | Mode::Ready => 0,
        Mode::Always => always,
        Mode::Acting => match threshold.checked_div(threshold.saturating_sub(available)) {
            // Not below the threshold any more.
            None => 0,
            Some(share) if share > u32::MAX as u64 => u32::MAX,
            Some(share) => share as u32,
        },
    }
}
