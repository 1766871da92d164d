// SPDX-License-Identifier: GPL-2.0-only

//! Events: what happens in the model.

use crate::policy::one;

/// What happens.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Event {
    /// The director has scheduled an attempt, which arrives at its server.
    Forward { attempt: u32, generation: u32 },
    /// A core of a first-come server has finished an attempt.
    Done {
        attempt: u32,
        server: u32,
        epoch: u32,
    },
    /// A sharing server has finished its next attempt.
    Shared { server: u32, epoch: u32 },
    /// A SYN is sent again.
    Repeat { attempt: u32, generation: u32 },
    /// A client has waited long enough.
    Timeout { attempt: u32, generation: u32 },
    /// The user of a session sends the next request.
    Next { client: u32 },
    /// A closed connection is forgotten.
    Forget { director: u32, server: u32 },
    /// All servers report their loads.
    #[default]
    Report,
    /// The loads of all servers get to the controller of their weights.
    Feedback,
    /// A change of a server's connections gets to the directors.
    See { server: u32, step: Step },
    /// The stage of a fault.
    Fault { number: u32, stage: Stage },
}

/// How the count of a server's connections changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// One more that is active.
    Open,
    /// One active less.
    Close,
    /// An active one is inactive now.
    Settle,
    /// One inactive less.
    Forget,
}

impl Step {
    /// What is added to the counts, see [`one`].
    #[inline]
    pub(super) const fn difference(self) -> u64 {
        match self {
            Self::Open => one(true),
            Self::Close => one(true).wrapping_neg(),
            Self::Settle => one(false).wrapping_sub(one(true)),
            Self::Forget => one(false).wrapping_neg(),
        }
    }
}

/// What of a fault happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Begin,
    Detected,
    Repaired,
    Found,
    Ramp(u8),
}
