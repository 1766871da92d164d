// SPDX-License-Identifier: GPL-2.0-only

//! `feedback`.

use std::io;
use std::time::Instant;

use super::terminal::{text_of, write};
use crate::cli::Feedback;
use crate::client::Kernel;
use crate::error::Error;
use crate::feedback;
use crate::names::Names;

/// Carries it out. Returns the exit status.
pub(super) fn feedback(names: &dyn Names, action: Feedback) -> Result<u8, Error> {
    match action {
        Feedback::Serve { address, reference } => {
            let mut ready = |address| eprintln!("lvsadm: the agent listens on {address}");
            feedback::serve(address, reference, &mut ready).map(|()| 0)
        }
        Feedback::Check {
            agent,
            patience,
            weight,
        } => {
            let report = feedback::ask(agent, Instant::now() + patience);
            Ok(feedback::exit_status(report, weight))
        }
        Feedback::Follow { file, period, once } => {
            let mut watched = feedback::read(&text_of(&file)?, names)?;
            let mut director = Kernel::open()?;
            loop {
                let began = Instant::now();
                let reports = feedback::ask_all(&watched, period);
                let mut text = feedback::follow(&mut director, &mut watched, &reports)?.join("\n");
                if !text.is_empty() {
                    text.push('\n');
                    write(&mut io::stdout().lock(), text.as_bytes())?;
                }
                if once {
                    return Ok(0);
                }
                std::thread::sleep(period.saturating_sub(began.elapsed()));
            }
        }
    }
}
