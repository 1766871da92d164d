// SPDX-License-Identifier: GPL-2.0-only

//! Values in a scenario file that know which of them are right, and say so.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use crate::engine::{from_seconds, Time};
use crate::metric::METRICS;
use crate::policy;

/// A duration: a number and a unit.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Duration(pub f64);

impl Duration {
    /// A plain number, or the seconds of a time.
    #[must_use]
    pub fn number(text: &str) -> Option<f64> {
        text.trim().parse().ok().or_else(|| parse_duration(text))
    }

    /// The seconds of a number with a unit.
    #[must_use]
    pub fn with_unit(text: &str) -> Option<f64> {
        parse_duration(text)
    }

    /// In the engine's units.
    #[must_use]
    pub fn time(self) -> Time {
        from_seconds(self.0)
    }
}

/// Units and how many seconds they are.
const UNITS: &[(&str, f64)] = &[
    ("ns", 1e-9),
    ("us", 1e-6),
    ("ms", 1e-3),
    ("s", 1.0),
    ("min", 60.0),
    ("h", 3600.0),
    ("d", 86400.0),
];

fn parse_duration(text: &str) -> Option<f64> {
    let text = text.trim();
    let begin = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at_checked(begin)?;
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let number: f64 = number.trim().parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some(number * factor)
}

/// A time, or what is wrong with it.
fn time<E: Error>(text: &str) -> Result<Duration, E> {
    parse_duration(text).map(Duration).ok_or_else(|| {
        E::custom(format!(
            "`{text}` is not a time; write a number and a unit, such as \"10 ms\" (units: ns, us, \
             ms, s, min, h, d)"
        ))
    })
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Duration;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time such as \"10 ms\" (units: ns, us, ms, s, min, h, d)")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
                time(text)
            }
        }
        from.deserialize_str(Text)
    }
}

/// The end of each run, and the rule for the number of replications.
#[derive(Clone, Debug, PartialEq)]
pub struct Until {
    /// The end of each run.
    pub length: Duration,
    /// Replications are added until an interval is narrow enough.
    pub stop: Option<Stop>,
}

/// Replications are added until the 95 % confidence interval of a quantity is narrow enough.
#[derive(Clone, Debug, PartialEq)]
pub struct Stop {
    /// The quantity, see [`METRICS`].
    pub of: String,
    /// Half of the interval's width, as a share of the mean.
    pub ci: f64,
    /// The most replications.
    pub most: u32,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct UntilTable {
    length: Duration,
    ci: Positive,
    of: Quantity,
    #[serde(default = "thousand")]
    most: u32,
}

fn thousand() -> u32 {
    1000
}

impl<'de> Deserialize<'de> for Until {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Until;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a time such as \"60 s\", or { length = \"60 s\", ci = 0.02, of = \"p99\" }",
                )
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Until, E> {
                let length = time(text)?;
                Ok(Until { length, stop: None })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Until, A::Error> {
                let table = UntilTable::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Until {
                    length: table.length,
                    stop: Some(Stop {
                        of: table.of.0,
                        ci: table.ci.0,
                        most: table.most,
                    }),
                })
            }
        }
        from.deserialize_any(Either)
    }
}

/// The warm-up of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Warmup {
    /// So long.
    Time(Duration),
    /// As long as pilot runs need, by MSER-5.
    Mser5,
}

impl<'de> Deserialize<'de> for Warmup {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        match text.as_str() {
            "mser-5" => Ok(Self::Mser5),
            text => match parse_duration(text) {
                Some(seconds) => Ok(Self::Time(Duration(seconds))),
                None => Err(D::Error::custom(format!(
                    "`{text}` is neither a time such as \"10 s\" nor \"mser-5\""
                ))),
            },
        }
    }
}

/// What a new connection costs the director.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cost {
    /// So long.
    Time(Duration),
    /// As long as it takes the module, see [`crate::measured`].
    Measured,
}

impl Cost {
    /// In the engine's units.
    #[must_use]
    pub(super) fn time(self) -> Time {
        match self {
            Self::Time(time) => time.time(),
            Self::Measured => crate::measured::new_connection(),
        }
    }
}

impl<'de> Deserialize<'de> for Cost {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        match text.as_str() {
            "measured" => Ok(Self::Measured),
            text => match parse_duration(text) {
                Some(seconds) => Ok(Self::Time(Duration(seconds))),
                None => Err(D::Error::custom(format!(
                    "`{text}` is neither a time such as \"2 us\" nor \"measured\""
                ))),
            },
        }
    }
}

/// The name of a quantity.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantity(pub String);

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        let names = || METRICS.iter().map(|metric| metric.name);
        if names().any(|known| known == name) {
            return Ok(Self(name));
        }
        let all: Vec<_> = names().collect();
        Err(D::Error::custom(format!(
            "there is no quantity `{name}`; {}The quantities are {}",
            hint(&name, names()),
            all.join(", ")
        )))
    }
}

/// A number above 0.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Positive(pub f64);

/// A number from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Share(pub f64);

fn number<'de, D: Deserializer<'de>>(from: D, expected: &'static str) -> Result<f64, D::Error> {
    struct Number(&'static str);
    impl Visitor<'_> for Number {
        type Value = f64;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
        fn visit_f64<E: Error>(self, value: f64) -> Result<f64, E> {
            Ok(value)
        }
        fn visit_i64<E: Error>(self, value: i64) -> Result<f64, E> {
            Ok(value as f64)
        }
        fn visit_u64<E: Error>(self, value: u64) -> Result<f64, E> {
            Ok(value as f64)
        }
    }
    from.deserialize_any(Number(expected))
}

impl<'de> Deserialize<'de> for Positive {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = number(from, "a number above 0")?;
        match value > 0.0 && value.is_finite() {
            true => Ok(Self(value)),
            false => Err(D::Error::custom(format!(
                "{value} is out of range; it must be above 0"
            ))),
        }
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = number(from, "a number from 0 to 1")?;
        match (0.0..=1.0).contains(&value) {
            true => Ok(Self(value)),
            false => Err(D::Error::custom(format!(
                "{value} is out of range; it must be from 0 to 1"
            ))),
        }
    }
}

/// The name of a scheduler.
#[derive(Clone, Debug, PartialEq)]
pub struct Scheduler(pub String);

impl<'de> Deserialize<'de> for Scheduler {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        if policy::names().any(|known| known == name) {
            return Ok(Self(name));
        }
        let hint = hint(&name, policy::names());
        let all: Vec<_> = policy::names().collect();
        Err(D::Error::custom(format!(
            "there is no scheduler `{name}`; {hint}The schedulers are {}",
            all.join(", ")
        )))
    }
}

/// The known name that is nearest to an unknown one, as a question; empty if none is near.
pub(super) fn hint<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let distance = |known: &&str| strsim::damerau_levenshtein(known, name);
    known
        .min_by_key(distance)
        .filter(|known| distance(known) <= 2)
        .map(|known| format!("did you mean `{known}`? "))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, wanted) in [
            ("10 ms", 0.01),
            ("1.5s", 1.5),
            ("2 min", 120.0),
            ("0 s", 0.0),
        ] {
            assert_eq!(parse_duration(text), Some(wanted), "{text}");
        }
        for text in ["10", "ms", "-1 s", "1 parsec", "", "inf s", "1 s 2"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
