// SPDX-License-Identifier: GPL-2.0-only

//! Distributions of positive numbers: the work of requests, gaps between arrivals, thinking times.

use rand_distr::{Distribution, LogNormal};

use super::stream::Stream;

/// The distribution of a positive number.
#[derive(Clone, Debug, PartialEq)]
pub enum Sizes {
    /// Always the same.
    Constant(f64),
    /// Exponential, of this mean.
    Exponential(f64),
    /// Uniform between two numbers.
    Uniform(f64, f64),
    /// Lognormal, of this mean and squared coefficient of variation.
    LogNormal(LogNormal<f64>, f64),
    /// Bounded Pareto: exponent, least and greatest number.
    Pareto(f64, f64, f64),
    /// The first number, or with the given probability the second.
    Bimodal(f64, f64, f64),
    /// Hyperexponential of two phases with balanced means: probability of the first phase, and
    /// the means.
    Hyper(f64, f64, f64),
}

impl Sizes {
    /// A lognormal distribution of this mean and squared coefficient of variation.
    #[must_use]
    pub fn log_normal(mean: f64, cv2: f64) -> Self {
        let variance = (1.0 + cv2).ln();
        let location = mean.ln() - variance / 2.0;
        match LogNormal::new(location, variance.sqrt()) {
            Ok(distribution) => Self::LogNormal(distribution, mean),
            Err(_) => Self::Constant(mean),
        }
    }

    /// A bounded Pareto distribution of this mean: the greatest number is `ratio` times the least.
    #[must_use]
    pub fn pareto(mean: f64, alpha: f64, ratio: f64) -> Self {
        let unit = Self::Pareto(alpha, 1.0, ratio).mean();
        Self::Pareto(alpha, mean / unit, mean / unit * ratio)
    }

    /// A hyperexponential distribution of this mean and squared coefficient of variation, 1 or
    /// more.
    #[must_use]
    pub fn hyper(mean: f64, cv2: f64) -> Self {
        let p = 0.5 * (1.0 + ((cv2 - 1.0) / (cv2 + 1.0)).max(0.0).sqrt());
        Self::Hyper(p, mean / (2.0 * p), mean / (2.0 * (1.0 - p)))
    }

    /// The mean.
    #[must_use]
    pub fn mean(&self) -> f64 {
        match *self {
            Self::Constant(mean) | Self::Exponential(mean) | Self::LogNormal(_, mean) => mean,
            Self::Uniform(low, high) => f64::midpoint(low, high),
            Self::Pareto(a, low, high) => {
                let share = 1.0 - (low / high).powf(a);
                if (a - 1.0).abs() < 1e-9 {
                    low * (high / low).ln() / share
                } else {
                    low.powf(a) / share * a / (a - 1.0) * (low.powf(1.0 - a) - high.powf(1.0 - a))
                }
            }
            Self::Bimodal(one, other, share) => one + (other - one) * share,
            Self::Hyper(p, one, other) => p * one + (1.0 - p) * other,
        }
    }

    /// A random number of this distribution.
    #[inline(always)]
    pub fn sample(&self, stream: &mut Stream) -> f64 {
        match self {
            // Inlined, since most studies have it.
            Self::Exponential(mean) => mean * stream.exponential(),
            other => other.sample_any(stream),
        }
    }

    #[inline(never)]
    fn sample_any(&self, stream: &mut Stream) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Exponential(mean) => mean * stream.exponential(),
            Self::Uniform(low, high) => low + (high - low) * stream.unit(),
            Self::LogNormal(distribution, _) => distribution.sample(&mut stream.0),
            Self::Pareto(alpha, low, high) => {
                let share = 1.0 - (low / high).powf(*alpha);
                low / (1.0 - stream.unit() * share).powf(1.0 / alpha)
            }
            Self::Bimodal(one, other, share) => {
                if stream.unit() < *share {
                    *other
                } else {
                    *one
                }
            }
            Self::Hyper(p, one, other) => {
                let mean = if stream.unit() < *p { one } else { other };
                mean * stream.exponential()
            }
        }
    }
}
