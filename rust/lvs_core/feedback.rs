// SPDX-License-Identifier: GPL-2.0-only

//! Weights that follow the loads which real servers report.
//!
//! This is the `nanny` of Piranha ("Linux Virtual Server for Scalable Network Services", section
//! 5.1): a busy server gets a smaller weight, an idle one a greater one. Reports are late, so
//! they are smoothed, small differences are ignored, and steps are small. A server that no longer
//! reports drifts back to its base weight. Health checks remove servers; feedback does not.
//!
//! `lvsadm feedback` uses it. The kernel module does not.

/// What a server reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Report {
    /// The weight that it wants, in percent of its base weight.
    Percent(u32),
    /// No new connections.
    Drain,
    /// Nothing, or nothing that can be read.
    Silence,
}

/// How fast and how far weights move.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Differences up to this are ignored, in percent of the present weight.
    pub dead_band: u32,
    /// The largest and the smallest step of one period, in thousandths of the present weight.
    pub steps: (u32, u32),
    /// After this many steps in one direction, steps grow again.
    pub run: u32,
    /// The least and the greatest weight, in percent of the base weight.
    pub range: (u32, u32),
    /// After this many periods of silence the weight drifts back to the base weight.
    pub patience: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            dead_band: 5,
            steps: (200, 10),
            run: 12,
            range: (10, 200),
            patience: 3,
        }
    }
}

/// The direction of a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Direction {
    Up,
    Down,
}

/// The weight of one server.
///
/// A step in the other direction than the one before means that the weight went too far, because
/// reports are late: steps become smaller. Many steps in one direction mean that they are too
/// small: they grow. So the weight settles, however late the reports are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Controlled {
    base: u32,
    weight: u32,
    /// The smoothed report, in percent.
    smoothed: u32,
    /// Periods without a report.
    silence: u32,
    drains: bool,
    /// The size of the next step, in thousandths of the weight; 0 before the first one.
    step: u32,
    direction: Option<Direction>,
    /// Steps in that direction.
    run: u32,
}

/// `value` hundredths or thousandths (`of`) of `number`, rounded.
fn share(number: u32, value: u32, of: u64) -> u32 {
    let product = u64::from(number).saturating_mul(u64::from(value));
    let half = of.checked_div(2).unwrap_or(0);
    let rounded = product.saturating_add(half).checked_div(of).unwrap_or(0);
    u32::try_from(rounded).unwrap_or(u32::MAX)
}

impl Controlled {
    /// A server with this base weight.
    #[must_use]
    pub const fn new(base: u32) -> Self {
        Self {
            base,
            weight: base,
            smoothed: 100,
            silence: 0,
            drains: false,
            step: 0,
            direction: None,
            run: 0,
        }
    }

    /// A server with this base weight that has another one already, from before a restart.
    #[must_use]
    pub fn resumed(base: u32, weight: u32) -> Self {
        let mut server = Self::new(base);
        let percent = u64::from(weight)
            .saturating_mul(100)
            .checked_div(base.into());
        if let (Some(percent), 1..) = (percent, weight) {
            server.weight = weight;
            server.smoothed = u32::try_from(percent).unwrap_or(u32::MAX);
        }
        server
    }

    /// Returns the weight that the server has now.
    #[must_use]
    pub const fn weight(&self) -> u32 {
        if self.drains {
            0
        } else {
            self.weight
        }
    }

    /// Returns the weight for the next period, after the report of this one.
    pub fn next(&mut self, report: Report, limits: &Limits) -> u32 {
        let (least, greatest) = limits.range;
        let wanted = match report {
            Report::Percent(value) => {
                let value = value.clamp(least, greatest);
                // An average over about three reports, rounded toward the last one.
                let sum = self.smoothed.saturating_add(value);
                self.smoothed = match value < self.smoothed {
                    true => sum >> 1,
                    false => sum.div_ceil(2),
                };
                self.silence = 0;
                self.drains = false;
                share(self.base, self.smoothed, 100)
            }
            Report::Drain => {
                self.silence = 0;
                self.drains = true;
                return 0;
            }
            Report::Silence => {
                self.silence = self.silence.saturating_add(1);
                if self.silence < limits.patience {
                    return self.weight();
                }
                // Old reports are no longer trusted.
                self.smoothed = 100;
                self.drains = false;
                self.base
            }
        };
        // A server without a base weight never gets one, and no other one loses its own.
        let wanted = wanted.max(u32::from(self.base > 0));
        let difference = wanted.abs_diff(self.weight);
        let is_small = difference <= share(self.weight, limits.dead_band, 100);
        // A return to the base weight is complete.
        if difference == 0 || is_small && report != Report::Silence {
            return self.weight;
        }
        let step = share(self.weight, self.step(wanted > self.weight, limits), 1000);
        let step = step.max(1).min(difference);
        self.weight = match wanted > self.weight {
            true => self.weight.saturating_add(step),
            false => self.weight.saturating_sub(step),
        };
        self.weight
    }

    /// The size of a step in this direction, in thousandths of the weight.
    fn step(&mut self, up: bool, limits: &Limits) -> u32 {
        let (largest, smallest) = limits.steps;
        let direction = match up {
            true => Direction::Up,
            false => Direction::Down,
        };
        let turned = self.direction.is_some_and(|former| former != direction);
        self.direction = Some(direction);
        self.run = match turned {
            true => 0,
            false => self.run.saturating_add(1),
        };
        self.step = match self.step {
            0 => largest,
            step if turned => share(step, 400, 1000).max(smallest),
            step if self.run > limits.run => step.saturating_mul(2).min(largest),
            step => step,
        };
        self.step
    }
}

/// Returns the weight, in percent of its base weight, that a server with this load should have.
/// `load` and `reference` are percents of what the server can do: at the reference load it has its
/// base weight, at 100 the least. Between them the relation is a straight line.
#[must_use]
pub fn wanted(load: u32, reference: u32) -> u32 {
    let idle = 100_u32.saturating_sub(load);
    let at_base = 100_u32.saturating_sub(reference.min(99));
    let percent = idle.saturating_mul(100).checked_div(at_base).unwrap_or(100);
    percent.clamp(1, MOST)
}

/// The greatest weight that an agent may ask for, in percent of the base weight. As in HAProxy.
pub const MOST: u32 = 256;

/// The longest answer of an agent that is looked at, in octets.
pub const LONGEST: usize = 256;

/// Reads the answer of an agent in HAProxy's agent-check protocol: words up to the end of the line,
/// separated by spaces, tabs or commas. A number with `%` is the weight in percent of the base
/// weight. `drain`, `maint`, `down`, `stopped` and `fail` stop new connections; `up` and `ready`
/// allow them. Anything else is ignored, and an answer without a known word, without an end of line
/// or with an absurd number is [`Report::Silence`].
#[must_use]
pub fn read(answer: &[u8]) -> Report {
    let answer = answer.get(..LONGEST).unwrap_or(answer);
    let Some(end) = answer
        .iter()
        .position(|octet| matches!(octet, b'\n' | b'\r'))
    else {
        return Report::Silence;
    };
    let Ok(line) = core::str::from_utf8(answer.get(..end).unwrap_or_default()) else {
        return Report::Silence;
    };
    let mut report = Report::Silence;
    for word in line.split([' ', '\t', ',']).filter(|word| !word.is_empty()) {
        if let Some(number) = word.strip_suffix('%') {
            match number.parse::<u32>() {
                Ok(0) => return Report::Drain,
                Ok(number) if number <= MOST => report = Report::Percent(number),
                _ => return Report::Silence,
            }
            continue;
        }
        match word.split('#').next() {
            Some("drain" | "maint" | "down" | "stopped" | "fail") => return Report::Drain,
            Some("up" | "ready") if report == Report::Silence => report = Report::Percent(100),
            _ => {}
        }
    }
    report
}
