// SPDX-License-Identifier: GPL-2.0-only

//! The command line.

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::metric::METRICS;

const ABOUT: &str = "Simulates a Linux Virtual Server with the director's own schedulers";

const DETAILS: &str = "\
lvssim answers questions that no test bench can: which scheduler when, what stale load data does, \
what a failure costs. It links the code that schedules connections in the kernel module, so it \
makes the module's choices.";

/// The whole command.
#[derive(Debug, Parser)]
#[command(name = "lvssim", version, about = ABOUT, long_about = DETAILS)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a scenario, or every point of its sweep
    Run(RunArgs),
    /// Compare points of a scenario's sweep with each other
    ///
    /// Prints the differences from one value of a key, such as one scheduler. All points have the
    /// same arrivals and sizes, so a difference is seen with fewer runs than in two values.
    Compare(CompareArgs),
    /// Compare the model with queueing theory; fails if one of them does not hold
    Validate {
        /// Compare the model of the 2003 report's LAN with ns-2 and the report instead (minutes)
        #[arg(long)]
        ns2: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Use N threads (default: one for each core)
        #[arg(long, value_name = "N")]
        jobs: Option<usize>,
    },
    /// Measure the speed of the models; fails if one is slower than it must be
    Bench {
        /// Take the fastest of N rounds
        #[arg(long, value_name = "N", default_value_t = 5,
              value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Draw figures of the 2003 report
    ///
    /// Lists their names when none is given.
    Figure(FigureArgs),
    /// Write the report: a page with all figures and what follows from them (minutes)
    Report {
        /// The page
        #[arg(long, value_name = "FILE", default_value = "lvssim.html")]
        out: PathBuf,
        /// Run each point of the 2003 report with N seeds
        #[arg(long, value_name = "N", default_value_t = 5,
              value_parser = clap::value_parser!(u64).range(1..))]
        seeds: u64,
        /// Use N threads (default: one for each core)
        #[arg(long, value_name = "N")]
        jobs: Option<usize>,
    },
    /// Print the server of each connection of a sequence of events
    ///
    /// The format is that of tests/kselftest/simulator.sequence, which can be played to the
    /// kernel module, too.
    Replay {
        /// The sequence
        file: PathBuf,
    },
    /// Print how many servers one director carries, from the module's measured costs
    ///
    /// The sum is that of the LinuxDirector paper (section 3.4).
    Capacity,
    /// Print how evenly hashes spread the clients of an access log over 2 to 64 servers
    ///
    /// Each line of the log begins with the client's address. A number is the requests of the
    /// busiest server by those of the mean one; "address" is the address modulo the number of
    /// servers, the ONE-IP paper's example, and "least" what no hash can undercut.
    Hash {
        /// The access log; - is standard input
        log: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List the schedulers
    Schedulers,
    /// Print a shell's completions
    #[command(hide = true)]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page
    #[command(hide = true)]
    Manual,
}

/// What `figure` takes.
#[derive(Args, Debug)]
pub struct FigureArgs {
    /// Names such as ns2-8, or `all`
    pub names: Vec<String>,
    /// Write NAME.svg into this folder
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub out: PathBuf,
    /// Run each point with N seeds
    #[arg(long, value_name = "N", default_value_t = 5,
              value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: u64,
    /// Use N threads (default: one for each core)
    #[arg(long, value_name = "N")]
    pub jobs: Option<usize>,
}

/// How the points of a scenario are run.
#[derive(Args, Debug)]
pub struct PointArgs {
    /// Use the seed N instead of the scenario's
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Run each point N times
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub replications: Option<u32>,
    /// Use N threads (default: one for each core)
    #[arg(long, value_name = "N")]
    pub jobs: Option<usize>,
}

/// What `run` takes.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// The scenario, a TOML file
    pub file: PathBuf,
    // clap would show a documentation comment as help; the options have their own.
    #[allow(missing_docs)]
    #[command(flatten)]
    pub points: PointArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Draw the scenario's figure (its table `figure`) into this file
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Show only these quantities, separated by commas: see QUANTITIES in the manual page
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub metrics: Vec<String>,
}

/// What `compare` takes.
#[derive(Args, Debug)]
pub struct CompareArgs {
    /// The scenario, a TOML file with a sweep
    pub file: PathBuf,
    /// Compare the values of this key of the sweep
    #[arg(long, value_name = "KEY", default_value = "service.scheduler")]
    pub key: String,
    /// Compare with this value (default: the first one)
    #[arg(long, value_name = "VALUE")]
    pub base: Option<String>,
    /// Compare these quantities, separated by commas: see QUANTITIES in the manual page
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "mean,p99"
    )]
    pub metrics: Vec<String>,
    // clap would show a documentation comment as help; the options have their own.
    #[allow(missing_docs)]
    #[command(flatten)]
    pub points: PointArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// The definition of all options.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// A shell's completions.
#[must_use]
pub fn completions(shell: Shell) -> Vec<u8> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command(), "lvssim", &mut text);
    text
}

/// The manual page, in roff.
///
/// # Errors
///
/// None that a memory buffer could raise.
pub fn manual() -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let page = clap_mangen::Man::new(command()).section("1");
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    page.render_synopsis_section(&mut text)?;
    page.render_description_section(&mut text)?;
    for sub in command().get_subcommands().filter(|sub| !sub.is_hide_set()) {
        let title = format!(".SH \"COMMAND {}\"\n", sub.get_name().to_uppercase());
        text.extend_from_slice(title.as_bytes());
        if let Some(about) = sub.get_about() {
            text.extend_from_slice(format!("{about}.\n").as_bytes());
        }
        let page = clap_mangen::Man::new(sub.clone());
        let mut options = Vec::new();
        page.render_options_section(&mut options)?;
        let options = String::from_utf8_lossy(&options).replace(".SH OPTIONS\n", "");
        text.extend_from_slice(options.as_bytes());
    }
    text.extend_from_slice(b".SH QUANTITIES\n");
    for metric in METRICS {
        let unit = match metric.unit {
            "" => String::new(),
            unit => format!(" ({unit})"),
        };
        let entry = format!(".TP\n\\fB{}\\fR{unit}\n{}\n", metric.name, metric.about);
        text.extend_from_slice(entry.as_bytes());
    }
    text.extend_from_slice(EXIT_STATUS.as_bytes());
    Ok(text)
}

const EXIT_STATUS: &str = "\
.SH \"EXIT STATUS\"
0 if all went well, 1 if a comparison does not hold, 2 for a wrong command line, scenario or file.
.SH EXAMPLES
.nf
lvssim validate
lvssim run web.toml
lvssim run web.toml --replications 40 --metrics mean,p99,lost
lvssim compare web.toml --base wlc --metrics p99
lvssim run web.toml --json | jq '.points[].values'
.fi
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn the_manual_names_every_command() {
        let manual = String::from_utf8(manual().unwrap()).unwrap();
        for sub in command().get_subcommands().filter(|sub| !sub.is_hide_set()) {
            let title = format!("COMMAND {}", sub.get_name().to_uppercase());
            assert!(manual.contains(&title), "{title}");
        }
    }
}
