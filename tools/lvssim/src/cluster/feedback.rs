// SPDX-License-Identifier: GPL-2.0-only

//! Weights that follow reported loads, by the control law of `lvsadm feedback`.

use lvs_core::feedback::Limits;

use super::{Event, Sim};

impl Sim<'_> {
    /// Takes the reports of a period, and sets the weights that follow from those that arrive.
    pub(super) fn follow(&mut self) {
        let Some(feedback) = self.setup.feedback else {
            return;
        };
        for server in &mut self.servers {
            server.account(self.now);
        }
        let reports = self.controller.reports(feedback, self.setup, &self.servers);
        self.controller.late.push_back(reports);
        if self.controller.late.len() > feedback.age as usize {
            let reports = self.controller.late.pop_front().unwrap_or_default();
            for (index, report) in reports.into_iter().enumerate() {
                let server = &mut self.controller.servers[index];
                let former = server.weight();
                let weight = server.next(report, &Limits::default());
                if weight != former {
                    self.set_weight(index, weight);
                }
                if self.measuring {
                    let (least, greatest) = &mut self.outcome.servers[index].weights;
                    *least = (*least).min(weight);
                    *greatest = (*greatest).max(weight);
                }
            }
        }
        self.queue.at(self.now + feedback.period, Event::Feedback);
    }
}
