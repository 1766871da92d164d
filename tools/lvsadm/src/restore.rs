// SPDX-License-Identifier: GPL-2.0-only

//! Rules from standard input → changes.
//!
//! All lines are parsed before the first change is made, so that a wrong line changes nothing.

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
    /// The line.
    pub text: String,
    /// The change that it asks for.
    pub change: Change,
    /// Remarks about it.
    pub notes: Vec<String>,
}

/// Reads rules: one command line each, with or without the program's name. `#` starts a comment.
///
/// # Errors
///
/// The first wrong line.
pub fn parse(text: &str, names: &dyn Names) -> Result<Vec<Rule>, Error> {
    parse_with(text, &mut Parser::of_lines(names))
}

/// Reads rules with an existing parser: see [`parse`].
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
            return Err(said("the command is missing"));
        }
        let arguments = std::iter::once("lvsadm").chain(arguments.iter().copied());
        match parser
            .parse_rule(arguments)
            .map_err(|error| said(&error.to_string()))?
        {
            Command::Change { change, notes, .. } => rules.push(Rule {
                line: number,
                text: line.trim().to_owned(),
                change: *change,
                notes,
            }),
            _ => return Err(said("rules can only change the table")),
        }
    }
    Ok(rules)
}

/// Carries rules out in order, up to the first that is refused.
///
/// # Errors
///
/// The line that was refused, and how many lines were carried out.
pub fn apply(rules: &[Rule], director: &mut dyn Director) -> Result<(), Error> {
    let changes: Vec<&Change> = rules.iter().map(|rule| &rule.change).collect();
    director.change_all(&changes).map_err(|(done, error)| {
        let Some(rule) = rules.get(done) else {
            return error;
        };
        let left = rules.len().saturating_sub(done).saturating_sub(1);
        error.reworded(format!(
            "line {}: {}: {error}; {} carried out before it, and {} after it not",
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
    fn rules_may_begin_with_the_programs_name() {
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
    fn a_wrong_line_leaves_the_table_alone() {
        let error = parse("-A -t 10.0.0.1:80\nbogus\n-A -t 10.0.0.1:81\n", &Fixed).unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 2: bogus: unexpected \"bogus\": it is neither an option nor a subcommand; \
             nothing was changed"
        );
        assert_eq!(error.exit_code(), std::process::ExitCode::from(2));
        for line in ["-L", "-S", "-R", "--manual"] {
            let error = parse(line, &Fixed).unwrap_err().to_string();
            assert!(error.contains("rules can only change the table"), "{error}");
        }
    }

    #[test]
    fn a_refused_line_ends_the_restore() {
        let rules = parse(
            "-A -t 10.0.0.1:80\n-A -t 10.0.0.1:80\n-A -t 10.0.0.1:81\n-A -t 10.0.0.1:82\n",
            &Fixed,
        )
        .unwrap();
        let mut director = Memory::default();
        let error = apply(&rules, &mut director).unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 2: -A -t 10.0.0.1:80: cannot add service TCP 10.0.0.1:80: the service exists \
             already (-E edits it); 1 command was carried out before it, and 2 commands were after \
             it not"
        );
        assert_eq!(director.services().unwrap().len(), 1);
    }
}
