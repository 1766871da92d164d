// SPDX-License-Identifier: GPL-2.0-only

//! Who sends requests.

use rand_distr::{Distribution, Zipf};

use super::stream::Stream;

/// Who sends requests.
#[derive(Clone, Debug, PartialEq)]
pub enum Clients {
    /// Each request comes from another client.
    Fresh,
    /// One of so many, all equally often.
    Equal(u32),
    /// One of so many, by Zipf's law with an exponent.
    Zipf(u32, f64),
}

impl Clients {
    /// The client of the request with this number.
    #[inline]
    pub fn sample(&self, number: u32, stream: &mut Stream) -> u32 {
        match self {
            Self::Fresh => number,
            Self::Equal(count) => stream.below(u64::from(*count)) as u32,
            Self::Zipf(count, exponent) => match Zipf::new(f64::from(*count), *exponent) {
                Ok(zipf) => zipf.sample(&mut stream.0) as u32,
                Err(_) => 0,
            },
        }
    }
}
