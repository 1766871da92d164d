// SPDX-License-Identifier: GPL-2.0-only

//! One stream of random numbers for each purpose.

use rand_distr::{Distribution, Exp1};
use rand_pcg::rand_core::{Rng, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// What a stream of random numbers is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// When requests arrive.
    Arrivals = 1,
    /// How much work they are.
    Sizes,
    /// Who sends them.
    Clients,
    /// What the scheduler draws.
    Scheduler,
    /// Which reports of load are lost, and which director a client uses.
    Reports,
    /// Back-off of the shared LAN.
    Backoff,
    /// Phases and patterns of the shared LAN's clients.
    Traffic,
}

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Stream(pub(super) Pcg64Mcg);

impl Stream {
    /// The stream of a run's replication for a purpose.
    #[must_use]
    pub fn new(seed: u64, replication: u32, purpose: Purpose) -> Self {
        let mix = (u64::from(replication) << 8) | purpose as u64;
        Self(Pcg64Mcg::seed_from_u64(
            seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ mix.wrapping_mul(0xd1b5_4a32_d192_ed03),
        ))
    }

    /// 64 random bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number from 0 to 1, without 1.
    #[inline]
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// A number below `bound`.
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// An exponentially distributed number of mean 1.
    #[inline]
    pub fn exponential(&mut self) -> f64 {
        Exp1.sample(&mut self.0)
    }
}
