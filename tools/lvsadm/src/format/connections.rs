// SPDX-License-Identifier: GPL-2.0-only

//! Connections, written one by one as they come: as ipvsadm 1.31 prints them, or as JSON.

use std::io::{self, Write};

use super::json;
use super::labels::Labels;
use schemars::JsonSchema;
use serde::Serialize;

use crate::connections::Connection;
use crate::tally::Group;

/// What a listing looks like.
pub enum Form<'a> {
    /// Columns.
    Text {
        /// With persistence engine data.
        engine_data: bool,
        /// How addresses and ports are shown.
        labels: Labels<'a>,
    },
    /// An object whose connections stand one a line.
    Json,
}

/// A listing that is being written. Nothing is before the first connection or the end, so that an
/// error stands alone.
pub struct Listing<'a, W> {
    form: Form<'a>,
    out: W,
    begun: bool,
}

impl<'a, W: Write> Listing<'a, W> {
    /// Will be written to `out`.
    pub fn new(form: Form<'a>, out: W) -> Self {
        Self {
            form,
            out,
            begun: false,
        }
    }

    /// Writes a connection.
    ///
    /// # Errors
    ///
    /// Those of writing, here and below.
    pub fn add(&mut self, connection: &Connection) -> io::Result<()> {
        if self.begun && matches!(self.form, Form::Json) {
            self.out.write_all(b",")?;
        }
        self.begin()?;
        match &self.form {
            Form::Text {
                engine_data,
                labels,
            } => row(&mut self.out, connection, *engine_data, labels),
            Form::Json => write!(self.out, "\n    {}", json::connection(connection)),
        }
    }

    /// Writes what comes after the last connection.
    ///
    /// # Errors
    ///
    /// See [`Listing::add`].
    pub fn end(mut self) -> io::Result<()> {
        let any = self.begun;
        self.begin()?;
        if matches!(self.form, Form::Json) {
            let end = if any { "\n  ]\n}\n" } else { "]\n}\n" };
            self.out.write_all(end.as_bytes())?;
        }
        self.out.flush()
    }

    fn begin(&mut self) -> io::Result<()> {
        if self.begun {
            return Ok(());
        }
        self.begun = true;
        match self.form {
            Form::Json => self.out.write_all(b"{\n  \"connections\": ["),
            Form::Text { engine_data, .. } => heading(&mut self.out, engine_data),
        }
    }
}

fn heading(out: &mut impl Write, engine_data: bool) -> io::Result<()> {
    writeln!(out, "IPVS connection entries")?;
    if engine_data {
        writeln!(
            out,
            "pro expire {:<11} {:<18} {:<18} {:<18} {:<16} pe_data",
            "state", "source", "virtual", "destination", "pe name"
        )
    } else {
        writeln!(
            out,
            "pro expire {:<11} {:<18} {:<18} destination",
            "state", "source", "virtual"
        )
    }
}

fn row(
    out: &mut impl Write,
    connection: &Connection,
    engine_data: bool,
    labels: &Labels<'_>,
) -> io::Result<()> {
    let protocol = connection.known_protocol();
    let endpoint = |(address, port): &_| labels.endpoint(address, *port, protocol);
    let expires = format!(
        "{:02}:{:02}",
        connection.expires / 60,
        connection.expires % 60
    );
    write!(
        out,
        "{:<3} {expires:<6} {:<11} {:<18} {:<18}",
        connection.protocol,
        connection.state,
        endpoint(&connection.source),
        endpoint(&connection.service),
    )?;
    let destination = endpoint(&connection.destination);
    match &connection.engine {
        Some((name, data)) if engine_data => {
            writeln!(out, " {destination:<16} {name:<18} {data}")
        }
        _ => writeln!(out, " {destination}"),
    }
}

/// What `connections --count --json` and `--group-by WHAT --json` print.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "counts")]
pub(crate) struct Groups {
    /// The number of connections.
    total: u64,
    /// The groups, the largest first; with `--group-by`.
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<Vec<GroupCount>>,
}

/// A group of connections.
#[derive(Serialize, JsonSchema)]
struct GroupCount {
    /// What the connections have in common.
    group: String,
    /// Their number.
    connections: u64,
}

/// What `connections --kill --json` prints.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "kill")]
pub(crate) struct Removed {
    /// The number of removed connections.
    removed: u32,
}

/// What `connections --json` prints, a connection in each line.
#[derive(JsonSchema)]
#[schemars(title = "connections")]
#[expect(
    dead_code,
    reason = "a listing is written in pieces; this has its schema"
)]
pub(crate) struct AllConnections {
    /// The connections.
    connections: Vec<json::Connection<'static>>,
}

/// A count, and those of groups if there are any, as JSON.
#[must_use]
pub fn counts_json(total: u64, groups: Option<&[(Group, u64)]>) -> String {
    let groups = groups.map(|groups| {
        let counts = groups.iter().map(|(group, connections)| GroupCount {
            group: group.to_string(),
            connections: *connections,
        });
        counts.collect()
    });
    json::text(&Groups { total, groups })
}

/// A count, or those of groups, for people.
#[must_use]
pub fn counts(total: u64, groups: Option<&[(Group, u64)]>) -> String {
    let Some(groups) = groups else {
        return format!("{total}\n");
    };
    let lines = groups
        .iter()
        .map(|(group, count)| format!("{count:>11}  {group}\n"));
    let mut text: String = lines.collect();
    text += &format!("{total:>11}  total\n");
    text
}

/// The number of removed connections.
#[must_use]
pub fn removed(number: u32, as_json: bool) -> String {
    if as_json {
        json::text(&Removed { removed: number })
    } else {
        format!("removed: {number}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connections::tests::parse;

    fn listed(form: Form<'_>, list: &[Connection]) -> String {
        let mut text = Vec::new();
        let mut listing = Listing::new(form, &mut text);
        for connection in list {
            listing.add(connection).unwrap();
        }
        listing.end().unwrap();
        String::from_utf8(text).unwrap()
    }

    fn text(engine_data: bool) -> Form<'static> {
        Form::Text {
            engine_data,
            labels: Labels::numeric(),
        }
    }

    #[test]
    fn columns_are_ipvsadms() {
        let list = parse(
            "heading\n\
             TCP 0A010001 ACB0 0A010001 0050 2001:0db8:0000:0000:0000:0000:0000:0099 0050 \
             SYN_RECV         56\n\
             UDP C0000201 13C4 0A010002 13C4 0A000009 13C4 UDP             118 sip call-1\n",
        )
        .unwrap();
        assert_eq!(
            listed(text(false), &list),
            "IPVS connection entries\n\
             pro expire state       source             virtual            destination\n\
             TCP 00:56  SYN_RECV    10.1.0.1:44208     10.1.0.1:80        [2001:db8::99]:80\n\
             UDP 01:58  UDP         192.0.2.1:5060     10.1.0.2:5060      10.0.0.9:5060\n"
        );
        assert_eq!(
            listed(text(true), &list),
            "IPVS connection entries\n\
             pro expire state       source             virtual            destination        \
             pe name          pe_data\n\
             TCP 00:56  SYN_RECV    10.1.0.1:44208     10.1.0.1:80        [2001:db8::99]:80\n\
             UDP 01:58  UDP         192.0.2.1:5060     10.1.0.2:5060      10.0.0.9:5060    \
             sip                call-1\n"
        );
    }

    #[test]
    fn counts_of_groups_are_aligned() {
        let groups = [
            (Group::State("UDP".into()), 12_345),
            (Group::State("CLOSE".into()), 1),
        ];
        assert_eq!(
            counts(12_346, Some(&groups)),
            "      12345  UDP\n          1  CLOSE\n      12346  total\n"
        );
        assert_eq!(counts(7, None), "7\n");
        let value: serde_json::Value =
            serde_json::from_str(&counts_json(12_346, Some(&groups))).unwrap();
        assert_eq!(
            value,
            serde_json::json!({"total": 12_346, "groups": [
                {"group": "UDP", "connections": 12_345},
                {"group": "CLOSE", "connections": 1},
            ]})
        );
        assert_eq!(removed(2, false), "removed: 2\n");
        assert!(removed(2, true).contains("\"removed\": 2"));
    }

    #[test]
    fn json_is_one_object_whatever_there_is() {
        let all = parse(crate::connections::tests::LISTING).unwrap();
        for number in 0..=2 {
            let text = listed(Form::Json, &all[..number]);
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            let list = value["connections"].as_array().unwrap();
            assert_eq!(list.len(), number, "{text}");
            assert!(text.ends_with("]\n}\n"), "{text}");
        }
        let text = listed(Form::Json, &all);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            value["connections"][1],
            serde_json::json!({
                "protocol": "UDP",
                "state": "UDP",
                "expires": 118,
                "source": {"address": "192.0.2.1", "port": 5060},
                "virtual": {"address": "10.1.0.2", "port": 5060},
                "destination": {"address": "10.0.0.9", "port": 5060},
                "engine": "sip",
                "engine_data": "call-1@example.net",
            })
        );
        // A line each.
        assert_eq!(text.lines().count(), 2 + 2 + 2);
    }
}
