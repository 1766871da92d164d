// SPDX-License-Identifier: GPL-2.0-only

//! The power of two choices.

use super::{BestOfTwo, FewestForWeight};

/// The power of two choices (M. Mitzenmacher, "The Power of Two Choices in Randomized Load
/// Balancing", 1996): draws two servers at random, by weight, and takes the one with fewer
/// connections for its weight, compared as in
/// [`WeightedLeastConnection`](super::WeightedLeastConnection).
pub type PowerOfTwoChoices = BestOfTwo<FewestForWeight>;
