// SPDX-License-Identifier: GPL-2.0-only

//! `realserver`: what a real server needs for each forwarding method.
//!
//! `plan` turns a request into steps, `step` knows the command of each, `machine` asks this machine
//! and changes it. The steps are plain data, so they are tested without a machine.

mod machine;
mod plan;
mod step;

pub use machine::{apply, check, Machine, ThisMachine};
pub use plan::{plan, Method, Request};
pub use step::Step;

/// The steps as a shell script.
#[must_use]
pub fn script(steps: &[Step]) -> String {
    let mut text = "#!/bin/sh\nset -e\n".to_owned();
    for step in steps {
        text += &format!("# {}\n{}\n", step.purpose(), step.command());
    }
    text
}

/// A systemd unit that carries out the steps whenever the machine starts. `arguments` are those of
/// `lvsadm realserver`.
#[must_use]
pub fn unit(arguments: &str) -> String {
    format!(
        "[Unit]\n\
         Description=Real server of a Linux Virtual Server ({arguments})\n\
         Documentation=man:lvsadm(8)\n\
         Wants=network-online.target\n\
         After=network-online.target\n\
         \n\
         [Service]\n\
         Type=oneshot\n\
         RemainAfterExit=yes\n\
         ExecStart=/usr/sbin/lvsadm realserver {arguments} --apply\n\
         \n\
         [Install]\n\
         WantedBy=multi-user.target\n"
    )
}

#[cfg(test)]
mod tests;
