// SPDX-License-Identifier: GPL-2.0-only

//! What a controller of weights knows: the loads of servers, and reports on their way.

use std::collections::VecDeque;

use lvs_core::feedback::{wanted, Controlled, Report};

use super::server::Server;
use super::setup::{Feedback, Setup};

/// The controller of a run.
pub(super) struct Controller {
    pub(super) servers: Vec<Controlled>,
    /// Reports on their way, the oldest first.
    pub(super) late: VecDeque<Vec<Report>>,
    /// Nanoseconds of work of each server up to its last report. Negative after the counters were
    /// set to 0.
    worked: Vec<i128>,
}

impl Controller {
    pub(super) fn new(setup: &Setup) -> Self {
        let bases = setup.servers.iter().map(|server| server.weight);
        Self {
            servers: bases.map(Controlled::new).collect(),
            late: VecDeque::new(),
            worked: vec![0; setup.servers.len()],
        }
    }

    /// The counters of the servers are about to be set to 0.
    pub(super) fn begin_measuring(&mut self, servers: &[Server]) {
        for (worked, server) in self.worked.iter_mut().zip(servers) {
            *worked -= i128::from(server.busy);
        }
    }

    /// The reports of all servers about the last period.
    pub(super) fn reports(
        &mut self,
        feedback: Feedback,
        setup: &Setup,
        servers: &[Server],
    ) -> Vec<Report> {
        let reports = self.worked.iter_mut().zip(servers).zip(&setup.servers);
        reports
            .map(|((worked, server), of)| {
                let done = i128::from(server.busy) - std::mem::replace(worked, server.busy.into());
                let most = i128::from(feedback.period) * i128::from(of.cores);
                let load = (done * 100 / most.max(1)).clamp(0, 100);
                Report::Percent(wanted(load as u32, feedback.reference))
            })
            .collect()
    }
}
