// SPDX-License-Identifier: GPL-2.0-only

//! When and how hard a director defends itself against floods of new connections.
//!
//! Each strategy has a mode. Administrators set and read it as the C director's number
//! (`Documentation/networking/ipvs-sysctl.rst` in the kernel). The automatic mode acts while memory
//! is scarce.

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
    /// Returns the mode for this number, or `None` for an unknown number.
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

    /// Returns the mode after a check found memory `scarce` or not.
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

/// Returns the rate of dropping: one of this many new connections; 0 drops none. [`Mode::Always`]
/// returns `always`. The automatic mode drops more the further `available` memory is below the
/// `threshold` (both in the same unit).
#[must_use]
pub const fn one_in(mode: Mode, always: u32, available: u64, threshold: u64) -> u32 {
    match mode {
        Mode::Off | Mode::Ready => 0,
        Mode::Always => always,
        Mode::Acting => match threshold.checked_div(threshold.saturating_sub(available)) {
            // No longer below the threshold.
            None => 0,
            Some(share) if share > u32::MAX as u64 => u32::MAX,
            Some(share) => share as u32,
        },
    }
}
