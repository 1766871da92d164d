// SPDX-License-Identifier: GPL-2.0-only

//! Rules from standard input → changes.
//!
//! All lines are read before the first change is made, so that a line that makes no sense leaves the
//! table as it was.

use crate::cli::{Command, Parser};
use crate::client::Director;
use crate::error::Error;
use crate::model::Change;
use crate::names::Names;

/// A change and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Line number, from 1.
    pub line: usize,
    /// The line as it stands.
    pub text: String,
    /// What it asks for.
    pub change: Change,
    /// What the user should know about it.
    pub notes: Vec<String>,
}

/// Reads rules: a command line each, with or without the program's name; `#` starts a comment.
///
/// # Errors
///
/// The first line that makes no sense.
pub fn parse(text: &str, names: &dyn Names) -> Result<Vec<Rule>, Error> {
    parse_with(text, &mut Parser::of_lines(names))
}

/// Reads rules with a parser that there is already: see [`parse`].
///
/// # Errors
///
/// As [`parse`].
pub fn parse_with(text: &str, parser: &mut Parser<'_>) -> Result<Vec<Rule>, Error> {
    let mut rules = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let words: Vec<&str> = line
            .split('#')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        let arguments = match words.as_slice() {
            [] => continue,
            [program, arguments @ ..] if ["lvsadm", "ipvsadm"].contains(program) => arguments,
            arguments => arguments,
        };
        let said = |why: &str| {
            Error::Usage(format!(
                "line {number}: {}: {why}; nothing was changed",
                line.trim()
            ))
        };
        if arguments.is_empty() {
            return Err(said("it holds no command"));
        }
        let arguments = std::iter::once("lvsadm").chain(arguments.iter().copied());
        match parser
            .parse(arguments)
            .map_err(|error| said(&error.to_string()))?
        {
            Command::Change { change, notes } => rules.push(Rule {
                line: number,
                text: line.trim().to_owned(),
                change: *change,
                notes,
            }),
            Command::List(_)
            | Command::Save(_)
            | Command::Restore
            | Command::Completions(_)
            | Command::Manual
            | Command::Version { .. } => {
                return Err(said("only commands that change something can be restored"));
            }
        }
    }
    Ok(rules)
}

/// Carries rules out in order, up to the first that is refused.
///
/// # Errors
///
/// The line that was refused, and what that leaves behind.
pub fn apply(rules: &[Rule], director: &mut dyn Director) -> Result<(), Error> {
    let changes: Vec<&Change> = rules.iter().map(|rule| &rule.change).collect();
    director.change_all(&changes).map_err(|(done, error)| {
        let Some(rule) = rules.get(done) else {
            return error;
        };
        let left = rules.len().saturating_sub(done).saturating_sub(1);
        error.reworded(format!(
            "line {}: {}: {error}; {} carried out before it, {} after it not",
            rule.line,
            rule.text,
            counted(done),
            counted(left)
        ))
    })
}

fn counted(number: usize) -> String {
    match number {
        0 => "no command was".to_owned(),
        1 => "1 command was".to_owned(),
        more => format!("{more} commands were"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::memory::Memory;
    use crate::names::Fixed;

    #[test]
    fn lines_with_and_without_the_programs_name() {
        let rules = parse(
            "# a comment\n\
             \n\
             -A -t 10.0.0.1:80 -s rr\n\
             ipvsadm -a -t 10.0.0.1:80 -r 10.0.0.2 -m   # another\n\
             \tlvsadm -D -t 10.0.0.1:80\n",
            &Fixed,
        )
        .unwrap();
        let lines: Vec<usize> = rules.iter().map(|rule| rule.line).collect();
        assert_eq!(lines, [3, 4, 5]);
        assert!(matches!(rules[1].change, Change::AddDestination(..)));
    }

    #[test]
    fn a_line_that_makes_no_sense_stops_everything() {
        let error = parse("-A -t 10.0.0.1:80\nbogus\n-A -t 10.0.0.1:81\n", &Fixed).unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 2: bogus: unexpected argument 'bogus' found; nothing was changed"
        );
        assert_eq!(error.exit_code(), std::process::ExitCode::from(2));
        for line in ["-L", "-S", "-R", "--manual"] {
            let error = parse(line, &Fixed).unwrap_err().to_string();
            assert!(error.contains("only commands that change"), "{error}");
        }
    }

    #[test]
    fn a_refused_line_leaves_the_rest_alone() {
        let rules = parse(
            "-A -t 10.0.0.1:80\n-A -t 10.0.0.1:80\n-A -t 10.0.0.1:81\n-A -t 10.0.0.1:82\n",
            &Fixed,
        )
        .unwrap();
        let mut director = Memory::default();
        let error = apply(&rules, &mut director).unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 2: -A -t 10.0.0.1:80: cannot add service TCP 10.0.0.1:80: there is such a \
             service already (-E edits it); 1 command was carried out before it, 2 commands were \
             after it not"
        );
        assert_eq!(director.services().unwrap().len(), 1);
    }
}
