// SPDX-License-Identifier: GPL-2.0-only

//! Traces: requests from a file, such as a server's access log.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::values::Duration;
use crate::policy;
use crate::random::Visit;

/// What a line of a trace looks like, for messages.
const FORM: &str = "a line is TIME,CLIENT or TIME,CLIENT,SIZE, such as 0.25,192.0.2.7,12 ms";

/// The traces that a scenario names, each read once.
pub(super) struct Traces {
    folder: PathBuf,
    read: HashMap<String, Arc<[Visit]>>,
}

impl Traces {
    /// Traces whose names are relative to the folder of this scenario file.
    pub(super) fn beside(scenario: &str) -> Self {
        let folder = Path::new(scenario).parent().unwrap_or(Path::new(""));
        Self {
            folder: folder.to_owned(),
            read: HashMap::new(),
        }
    }

    /// The requests of a trace, or what is wrong with it.
    pub(super) fn read(&mut self, name: &str) -> Result<Arc<[Visit]>, String> {
        if let Some(visits) = self.read.get(name) {
            return Ok(visits.clone());
        }
        let path = self.folder.join(name);
        let shown = path.display();
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{shown}: {error}"))?;
        let visits =
            parse(&text).map_err(|(line, message)| format!("{shown}:{line}: {message}"))?;
        let visits: Arc<[Visit]> = visits.into();
        self.read.insert(name.to_owned(), visits.clone());
        Ok(visits)
    }
}

/// Seconds, client and size of each line; empty lines and lines that begin with # are comments.
fn parse(text: &str) -> Result<Vec<Visit>, (usize, String)> {
    let mut visits: Vec<Visit> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let visit = visit(line).map_err(|message| (number, message))?;
        if visits.last().is_some_and(|before| before.at > visit.at) {
            let message = "the time is before that of the line above; sort the trace by time";
            return Err((number, message.to_owned()));
        }
        visits.push(visit);
    }
    match visits.is_empty() {
        true => Err((1, format!("the trace has no requests; {FORM}"))),
        false => Ok(visits),
    }
}

fn visit(line: &str) -> Result<Visit, String> {
    let mut fields = line.split(',').map(str::trim);
    let (Some(time), Some(client), size, None) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(format!("`{line}` is not a request; {FORM}"));
    };
    let at = time
        .parse()
        .ok()
        .filter(|at: &f64| *at >= 0.0 && at.is_finite());
    let at = at.ok_or_else(|| format!("`{time}` is not a number of seconds; {FORM}"))?;
    let address = client.parse::<Ipv4Addr>().ok();
    let number = || client.parse().ok();
    let client = address
        .map(|address| policy::client_number(address.octets()))
        .or_else(number)
        .ok_or_else(|| format!("`{client}` is neither an IPv4 address nor a number; {FORM}"))?;
    let size = match size {
        None => None,
        Some(text) => Some(
            Duration::with_unit(text)
                .ok_or_else(|| format!("`{text}` is not a time such as 12 ms; {FORM}"))?,
        ),
    };
    Ok(Visit { at, client, size })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_has_times_clients_and_sizes() {
        let text = "# a log\n0.5,192.0.2.7\n\n 0.5 , 7 , 12 ms \n";
        let visits = parse(text).unwrap();
        let seen: Vec<_> = visits.iter().map(|visit| (visit.at, visit.size)).collect();
        assert_eq!(seen, [(0.5, None), (0.5, Some(0.012))]);
        assert_eq!(visits[1].client, 7);
        let flow = policy::flow(visits[0].client, 1, 0, 0, Default::default());
        assert_eq!(flow.client.address.v4(), Some([192, 0, 2, 7]));
    }

    #[test]
    fn a_wrong_line_is_told_with_its_number() {
        for (text, line, wanted) in [
            ("0,1\nx,1", 2, "`x` is not a number of seconds"),
            ("-1,1", 1, "`-1` is not a number of seconds"),
            (
                "0,1\n0,host",
                2,
                "`host` is neither an IPv4 address nor a number",
            ),
            ("0,1,12", 1, "`12` is not a time such as 12 ms"),
            ("0", 1, "`0` is not a request"),
            ("0,1,1 ms,2", 1, "is not a request"),
            ("2,1\n1,1", 2, "before that of the line above"),
            ("# nothing", 1, "the trace has no requests"),
        ] {
            let (number, message) = parse(text).unwrap_err();
            assert_eq!(number, line, "{text}");
            assert!(message.contains(wanted), "{message}");
        }
    }
}
