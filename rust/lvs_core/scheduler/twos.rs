// SPDX-License-Identifier: GPL-2.0-only

//! The power of two choices.

use super::{BestOfTwo, FewestForWeight};

/// The power of two choices (M. Mitzenmacher, "The Power of Two Choices in Randomized Load
/// Balancing", 1996): two servers are drawn at random, in proportion to their weights, and the one
/// with fewer connections for its weight is taken, as
/// [`WeightedLeastConnection`](super::WeightedLeastConnection) compares.
pub type PowerOfTwoChoices = BestOfTwo<FewestForWeight>;
