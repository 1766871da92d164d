// SPDX-License-Identifier: GPL-2.0-only

//! Options, files, exit codes: 0 for success, 1 if the gate does not pass, 2 for an error.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::error::Error;
use crate::gate::Recorded;
use crate::number::signed;
use crate::results::Results;
use crate::{json, plot, profile, record, table};

/// The benchmark's measurements as a table, a JSON file and plots, and the gate on instruction
/// counts.
#[derive(Parser)]
#[command(version)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print tables: medians, and a comparison of the modes.
    Table(Raw),
    /// Write a JSON file.
    Json {
        #[command(flatten)]
        raw: Raw,
        /// The file to write.
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Write SVG plots.
    Plot {
        #[command(flatten)]
        raw: Raw,
        /// The folder to write them to.
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
    },
    /// Compare the instructions added per packet with the recorded ones.
    Gate {
        #[command(flatten)]
        raw: Raw,
        /// The file of recorded figures.
        #[arg(long, value_name = "FILE")]
        recorded: PathBuf,
        /// Write the file again from the measurements.
        #[arg(long)]
        record: bool,
    },
    /// Print the instructions of a packet by function.
    Profile {
        /// What the guest printed.
        #[arg(value_name = "RAW")]
        console: PathBuf,
        /// The folder with the counts of the sections.
        #[arg(value_name = "DIR")]
        sections: PathBuf,
    },
}

#[derive(Args)]
struct Raw {
    /// Files of JSON lines as the guest prints them; other lines are ignored.
    #[arg(required = true, value_name = "RAW")]
    files: Vec<PathBuf>,
}

impl Raw {
    fn read(&self) -> Result<Results, Error> {
        let mut records = Vec::new();
        for file in &self.files {
            records.extend(record::parse(file, &read(file)?)?);
        }
        let results = Results::new(records)?;
        if results.costs.is_empty() && results.memory.is_empty() {
            let files: Vec<String> = self
                .files
                .iter()
                .map(|file| file.display().to_string())
                .collect();
            return Err(Error::new(format!(
                "no measurement in {}",
                files.join(", ")
            )));
        }
        Ok(results)
    }
}

/// The command, with the process's arguments.
pub fn main() -> ExitCode {
    let mut text = String::new();
    let done = run(Options::parse().command, &mut text);
    let printed = io::stdout().write_all(text.as_bytes());
    match done.and_then(|code| {
        printed
            .map(|()| code)
            .map_err(|error| Error::new(format!("standard output: {error}")))
    }) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("bench-report: {error}");
            ExitCode::from(2)
        }
    }
}

/// Executes a command and appends its output to `text`.
fn run(command: Command, text: &mut String) -> Result<ExitCode, Error> {
    match command {
        Command::Table(raw) => *text += &table::render(&raw.read()?),
        Command::Json { raw, output } => {
            let document =
                json::render(&raw.read()?).map_err(|error| Error::file(&output, error))?;
            write(&output, &document)?;
        }
        Command::Plot { raw, output } => {
            let plots = plot::render(&raw.read()?)?;
            if plots.is_empty() {
                // A run of a few rows needs their table, and no plot of other rows.
                eprintln!("no plots: they show the rows flows-*, new-SCHEDULER-* and *-100");
                return Ok(ExitCode::SUCCESS);
            }
            fs::create_dir_all(&output).map_err(|error| Error::file(&output, error))?;
            for (name, svg) in plots {
                let path = output.join(name);
                write(&path, &svg)?;
                *text += &format!("{}\n", path.display());
            }
        }
        Command::Gate {
            raw,
            recorded,
            record,
        } if record => write_recorded(&raw.read()?, &recorded, text)?,
        Command::Gate { raw, recorded, .. } => return gate(&raw.read()?, &recorded, text),
        Command::Profile { console, sections } => {
            *text += &profile::render(&profile::read(&read(&console)?, &sections)?);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads what a console printed, which may be anything beside the records.
fn read(path: &Path) -> Result<String, Error> {
    let bytes = fs::read(path).map_err(|error| Error::file(path, error))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(|error| Error::file(path, error))
}

fn read_recorded(path: &Path) -> Result<Recorded, Error> {
    let text = fs::read_to_string(path).map_err(|error| Error::file(path, error))?;
    // The message has the line.
    serde_json::from_str(&text).map_err(|error| Error::file(path, error))
}

fn gate(results: &Results, path: &Path, text: &mut String) -> Result<ExitCode, Error> {
    let recorded = read_recorded(path)?;
    if recorded.added.is_empty() {
        return Err(Error::file(
            path,
            "no rows are recorded, so nothing would be compared",
        ));
    }
    let verdicts = recorded.judge(results);
    for (row, verdict) in &verdicts {
        *text += &format!("{row}: {verdict}\n");
    }
    if verdicts.iter().all(|(_, verdict)| verdict.passes()) {
        return Ok(ExitCode::SUCCESS);
    }
    *text += &format!(
        "The gate does not pass. FAILED: the packet path takes more instructions than recorded; see what the change\n\
         added to it. If the cost is meant, record it with the same command and --record, and say why in the commit.\n\
         MISSING: measure the row, or take it out of {}.\n",
        path.display()
    );
    Ok(ExitCode::from(1))
}

fn write_recorded(results: &Results, path: &Path, text: &mut String) -> Result<(), Error> {
    let before = if path.exists() {
        read_recorded(path)?
    } else {
        Recorded::default()
    };
    let after = before.renewed(results).map_err(Error::new)?;
    if after.added.is_empty() {
        return Err(Error::new(
            "none of the gate's rows was measured with both bare and ipvs_rs under icount",
        ));
    }
    for (row, now) in &after.added {
        let was = before
            .added
            .get(row)
            .map_or("nothing".to_owned(), |was| signed(*was as f64, 0));
        *text += &format!("{row}: recorded {}, before {was}\n", signed(*now as f64, 0));
    }
    let document =
        serde_json::to_string_pretty(&after).map_err(|error| Error::file(path, error))?;
    write(path, &(document + "\n"))
}
