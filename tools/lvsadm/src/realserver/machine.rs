// SPDX-License-Identifier: GPL-2.0-only

//! Asks this machine about steps, and carries them out with `ip`, `nft` and `modprobe`.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::step::Step;
use crate::doctor::{Check, Status};
use crate::error::Error;

/// What steps are checked and carried out by.
pub trait Machine {
    /// The number in a file below /proc/sys.
    fn setting(&self, path: &str) -> Option<u32>;
    /// Runs a program with words and an input. The output if it succeeds, otherwise its complaint.
    ///
    /// # Errors
    ///
    /// What the program says, or why it cannot be run.
    fn run(&mut self, words: &[&str], input: &str) -> Result<String, String>;
}

/// The machine that this runs on.
pub struct ThisMachine;

impl Machine for ThisMachine {
    fn setting(&self, path: &str) -> Option<u32> {
        let text = std::fs::read_to_string(Path::new("/proc/sys").join(path)).ok()?;
        text.trim().parse().ok()
    }

    fn run(&mut self, words: &[&str], input: &str) -> Result<String, String> {
        let (program, arguments) = words.split_first().ok_or("there is no program")?;
        let cannot = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => format!("{program} is not installed"),
            _ => format!("cannot run {program}: {error}"),
        };
        let mut child = Command::new(program)
            .args(arguments)
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(cannot)?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that does not read it complains about something else.
            stdin.write_all(input.as_bytes()).ok();
        }
        let output = child.wait_with_output().map_err(cannot)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(match complaint.lines().next() {
            Some(line) => format!("{program}: {line}"),
            None => format!("{program} fails"),
        })
    }
}

/// True if a step is carried out already.
fn is_done(step: &Step, machine: &mut dyn Machine) -> bool {
    let answers = |machine: &mut dyn Machine, words: &[&str]| machine.run(words, "").ok();
    let contains = |answer: Option<String>, part: &str| answer.is_some_and(|a| a.contains(part));
    match step {
        Step::Setting {
            path,
            value,
            accepted,
            ..
        } => machine
            .setting(path)
            .is_some_and(|now| now == *value || accepted.contains(&now)),
        // Its device shows that it is there.
        Step::Module(_) => true,
        Step::Address(address) => {
            let address = address.to_string();
            let words = ["ip", "-o", "address", "show", "dev", "lo", "to", &address];
            contains(answers(machine, &words), &address)
        }
        Step::Own(address) => {
            let address = address.to_string();
            let words = ["ip", "-o", "address", "show", "to", &address];
            contains(answers(machine, &words), &address)
        }
        Step::Device { name, .. } => {
            let answer = answers(machine, &["ip", "-o", "link", "show", "dev", name]);
            answer.is_some_and(|line| {
                let flags = line.split(['<', '>']).nth(1).unwrap_or_default();
                flags.split(',').any(|flag| flag == "UP")
            })
        }
        Step::GuePort { port, ipv6 } => {
            let family: &[&str] = if *ipv6 { &["ip", "-6"] } else { &["ip"] };
            let words = [family, &["fou", "show"]].concat();
            let lines = answers(machine, &words).unwrap_or_default();
            lines
                .lines()
                .any(|line| line.split_whitespace().any(|word| word == port.to_string()))
        }
        Step::Rules { family, table, .. } => {
            let words = ["nft", "list", "table", family, table];
            contains(answers(machine, &words), &step.mark().unwrap_or_default())
        }
    }
}

/// Judges each step: what this machine has, and the command that mends the rest.
pub fn check(steps: &[Step], machine: &mut dyn Machine) -> Vec<Check> {
    steps
        .iter()
        // Its device shows that it is there.
        .filter(|step| !matches!(step, Step::Module(_)))
        .map(|step| {
            let done = is_done(step, machine);
            Check {
                check: step.check(),
                status: if done { Status::Pass } else { Status::Fail },
                message: match done {
                    true => step.purpose(),
                    false => format!("this does not hold: {}", step.purpose()),
                },
                fix: (!done).then(|| step.command()),
            }
        })
        .collect()
}

/// What this machine lacks for a step, if anything. Nothing is changed.
fn lacks(step: &Step, machine: &mut dyn Machine) -> Option<String> {
    let fails =
        |machine: &mut dyn Machine, words: &[&str], input: &str| machine.run(words, input).err();
    match step {
        // A device's settings appear with the device.
        Step::Setting { path, .. } if path.contains("/conf/all/") => match machine.setting(path) {
            Some(_) => None,
            None => Some(format!("there is no setting {path}")),
        },
        Step::Setting { .. } | Step::GuePort { .. } | Step::Device { .. } => None,
        Step::Module(name) => fails(machine, &["modprobe", "--dry-run", "--quiet", name], "")
            .map(|why| format!("the kernel has no module {name} ({why})")),
        Step::Address(_) => fails(machine, &["ip", "-V"], ""),
        Step::Own(address) if !is_done(step, machine) => Some(format!(
            "{address} is no address of this machine: ip address add {address}/PREFIX dev DEVICE"
        )),
        Step::Own(_) => None,
        Step::Rules { .. } => {
            let rules = step.ruleset().unwrap_or_default();
            fails(machine, &["nft", "--check", "-f", "-"], &rules)
                .map(|why| format!("nftables does not accept the rules ({why})"))
        }
    }
}

/// Carries out the steps that this machine does not have yet, and returns their commands. If the
/// machine lacks something, nothing is changed.
///
/// # Errors
///
/// What is missing, or the step that failed.
pub fn apply(steps: &[Step], machine: &mut dyn Machine) -> Result<Vec<String>, Error> {
    let missing: Vec<String> = steps
        .iter()
        .filter_map(|step| lacks(step, machine))
        .collect();
    if !missing.is_empty() {
        return Err(Error::Failed(format!(
            "nothing was changed; this machine lacks: {}",
            missing.join("; ")
        )));
    }
    let mut done = Vec::new();
    for step in steps {
        if let Step::Module(name) = step {
            // A kernel may have it built in.
            machine.run(&["modprobe", name], "").ok();
            continue;
        }
        if is_done(step, machine) {
            continue;
        }
        let command = step.command();
        let result = match step.ruleset() {
            Some(rules) => machine.run(&["nft", "-f", "-"], &rules),
            None => {
                let words: Vec<&str> = command.split_whitespace().collect();
                machine.run(&words, "")
            }
        };
        result.map_err(|why| Error::Failed(format!("{}: {why}", step.purpose())))?;
        done.push(command);
    }
    Ok(done)
}
