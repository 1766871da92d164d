// SPDX-License-Identifier: GPL-2.0-only

//! Errors as sentences, and exit codes.
//!
//! Belongs here: kinds of errors, and what an error number of the kernel means for an operation.
//! Never: the wording about single options, which is in `parse` and `cli`.

mod kernel;

use std::fmt;
use std::io;
use std::process::ExitCode;

pub use kernel::{change, plain, query, service_query, subject};

/// The reason why a command was not carried out.
#[derive(Debug)]
pub enum Error {
    /// The command line is wrong. Exit code 2.
    Usage(String),
    /// The command line is wrong, or asked for help, in clap's own words. Exit code 2 or 0.
    Clap(Box<clap::Error>),
    /// The kernel refused, or something else failed. Exit code 1.
    Failed(String),
    /// The output could not be written. Exit code 1.
    Output(io::Error),
}

impl Error {
    /// The exit code of this error.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Failed(_) | Self::Output(_) => ExitCode::from(1),
            Self::Usage(_) => ExitCode::from(2),
            Self::Clap(error) if error.exit_code() == 0 => ExitCode::SUCCESS,
            Self::Clap(_) => ExitCode::from(2),
        }
    }

    /// The same kind of error with another text.
    #[must_use]
    pub fn reworded(&self, words: String) -> Self {
        match self {
            Self::Failed(_) | Self::Output(_) => Self::Failed(words),
            Self::Usage(_) | Self::Clap(_) => Self::Usage(words),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(words) | Self::Failed(words) => f.write_str(words),
            Self::Output(error) => write!(f, "cannot write to standard output: {error}"),
            Self::Clap(error) => {
                // What is wrong and clap's advice on it, without usage and pointers to help.
                let text = error.to_string();
                let text = text.strip_prefix("error: ").unwrap_or(&text);
                let end = text.find("\nUsage:").or_else(|| text.find("\nFor more"));
                let words: Vec<&str> = end
                    .map_or(text, |end| text.get(..end).unwrap_or(text))
                    .lines()
                    .map(str::trim)
                    .filter(|line| !line.is_empty())
                    .collect();
                f.write_str(&words.join("; "))
            }
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests;
