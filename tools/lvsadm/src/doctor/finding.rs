// SPDX-License-Identifier: GPL-2.0-only

//! What checks find.

use schemars::JsonSchema;
use serde::Serialize;

use super::facts::Facts;
use crate::model::{DestinationEntry, Forwarding, ServiceId};

/// The outcome of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// Nothing is wrong.
    Pass,
    /// Something may be wrong.
    Warn,
    /// Connections fail because of it.
    Fail,
}

impl Status {
    /// As people read it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Warn => "WARN",
            Self::Fail => "FAIL",
        }
    }
}

/// What one check found wrong.
pub(super) struct Finding {
    pub(super) status: Status,
    pub(super) message: String,
    pub(super) fix: String,
}

pub(super) fn fail(message: String, fix: String) -> Finding {
    Finding {
        status: Status::Fail,
        message,
        fix,
    }
}

pub(super) fn warn(message: String, fix: String) -> Finding {
    Finding {
        status: Status::Warn,
        message,
        fix,
    }
}

/// Checks about services apply when there are any.
pub(super) fn with_services(facts: &Facts, findings: Vec<Finding>) -> Option<Vec<Finding>> {
    (!facts.services.is_empty()).then_some(findings)
}

/// All servers of one forwarding method, with their services.
pub(super) fn servers_by(
    facts: &Facts,
    method: Forwarding,
) -> impl Iterator<Item = (&ServiceId, &DestinationEntry)> + '_ {
    facts.table.iter().flat_map(move |group| {
        group
            .destinations
            .iter()
            .filter(move |entry| entry.destination.forwarding == method)
            .map(|entry| (&group.service.service.id, entry))
    })
}
