// SPDX-License-Identifier: GPL-2.0-only

//! The schemas of the JSON answers (JSON Schema, draft 2020-12), made from the structures that are
//! written.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};

use crate::commands::{apply, drain, monitor, set};
use crate::format::{connections, doctor, fast_path, json, schedulers, show, sync};

/// The schema of an answer, one of [`crate::cli::SCHEMAS`], as JSON.
#[must_use]
pub fn of(name: &str) -> String {
    schema(name).as_ref().map(json::text).unwrap_or_default()
}

fn schema(name: &str) -> Option<Schema> {
    Some(match name {
        "list" => made::<json::Listing<'_>>(),
        "timeouts" => made::<json::TimeoutListing>(),
        "daemons" => made::<json::DaemonListing>(),
        "connections" => made::<connections::AllConnections>(),
        "counts" => made::<connections::Groups>(),
        "kill" => made::<connections::Removed>(),
        "monitor" => made::<monitor::Line>(),
        "show" | "describe" | "top" => made::<show::Listing<'_>>(),
        "diff" | "apply" => made::<apply::Listing<'_>>(),
        "set" => made::<set::Edit>(),
        "drain" | "undrain" => made::<drain::Listing>(),
        "doctor" | "realserver" => made::<doctor::Listing<'_>>(),
        "schedulers" => made::<schedulers::Listing>(),
        "fast-path" => made::<fast_path::FastPath>(),
        "sync" => made::<sync::Listing<'_>>(),
        "version" => made::<json::Versions<'_>>(),
        _ => return None,
    })
}

fn made<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<T>()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use lvs_core::drop::Reason;
    use serde_json::Value;

    use super::*;
    use crate::cli::{self, DrainOptions, SCHEMAS};
    use crate::client::memory::Memory;
    use crate::client::Director;
    use crate::commands::drain::{Waiting, Weights};
    use crate::doctor::{Check, Status};
    use crate::format::connections::{Form, Listing};
    use crate::host::FixedHost;
    use crate::model::{self, DaemonRole, Drops, Table};
    use crate::names::Fixed;
    use crate::{connections as conns, report, restore, tally};

    const RULES: &str = "\
-A -t 10.0.0.1:80 -s wlc -p 300 -M 255.255.255.0
-a -t 10.0.0.1:80 -r 10.0.0.2:80 -m -w 1 -x 5 -y 2
-a -t 10.0.0.1:80 -r 10.0.0.3:80 -i --tun-type gue --tun-port 6080 -w 0
-A -u [2001:db8::1]:53 -s rr -o
-A -f 7 -s rr
";

    fn director() -> Memory {
        let mut director = Memory::default();
        for rule in restore::parse(RULES, &Fixed).unwrap() {
            director.change(&rule.change).unwrap();
        }
        let mut drops = Drops::default();
        drops.add(Reason::NoRoute, 3);
        director.groups[0].service.drops = drops;
        director
    }

    /// The answers of all commands, with the names of their schemas.
    fn answers() -> Vec<(&'static str, String)> {
        let mut director = director();
        let table = Table {
            info: Some(director.info().unwrap()),
            groups: director.groups.clone(),
        };
        let mut list = Vec::new();
        json::table(&table, &mut list).unwrap();
        let all = conns::tests::parse(conns::tests::LISTING).unwrap();
        let mut connections = Vec::new();
        let mut listing = Listing::new(Form::Json, &mut connections);
        for connection in &all {
            listing.add(connection).unwrap();
        }
        listing.end().unwrap();
        let reports: Vec<report::ServiceReport> = director
            .groups
            .iter()
            .map(|group| report::service(group, &FixedHost::default()))
            .collect();
        let groups = [(tally::Group::State("UDP".into()), 2)];
        let lines = monitor::States::default().update("2026-01-02T03:04:05Z", &reports);
        let check = |fix: Option<&str>| Check {
            check: "routes",
            status: Status::Fail,
            message: "there is none".to_owned(),
            fix: fix.map(str::to_owned),
        };
        let daemon = model::Daemon {
            role: DaemonRole::Master,
            interface: "eth0".to_owned(),
            sync_id: 1,
            max_length: 1400,
            group: Some([224, 0, 0, 81].into()),
            port: 8848,
            ttl: 1,
        };
        let module = model::Module {
            name: "ipvs_rs",
            version: None,
            features: vec!["apply".to_owned()],
        };
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let difference = apply::Request {
            text: "-A -t 10.0.0.1:80 -s rr\n-A -t 10.0.0.9:80 -s rr\n",
            prune: true,
            apply: false,
            json: true,
        };
        let diff = apply::run(&mut director, &Fixed, &difference).unwrap().0;
        let options = DrainOptions {
            service: None,
            address: [10, 0, 0, 2].into(),
            port: None,
            json: true,
        };
        let folder = std::env::temp_dir().join(format!("lvsadm-schema-{}", std::process::id()));
        let weights = Weights::at(folder.join("weights.json"));
        let mut waiting = Waiting {
            time: None,
            then_delete: false,
            pause: std::time::Duration::ZERO,
            progress: &mut |_| (),
        };
        let drained = drain::drain(&mut director, &weights, &options, &mut waiting).unwrap();
        let undrained = drain::undrain(&mut director, &weights, &options, None).unwrap();
        std::fs::remove_dir_all(folder).unwrap();
        let words = ["lvsadm", "set", "-f", "7", "-s", "wlc"];
        let cli::Command::Set { service, merge, .. } = cli::parse(words, &Fixed).unwrap() else {
            panic!("set");
        };
        let edit = set::run(&mut director, &service, &merge).unwrap();
        let path = fast_path::FastPath {
            setting: 1,
            rests: Some(fast_path::Rest::Conntrack),
            devices: 2,
            packets: 3,
            xdp: vec!["eth0".to_owned()],
            frames: 4,
        };
        let mut answers = vec![
            ("list", text(list)),
            ("timeouts", json::timeouts(&director.timeouts().unwrap())),
            ("daemons", json::daemons(&[daemon])),
            ("connections", text(connections)),
            ("counts", connections::counts_json(2, None)),
            ("counts", connections::counts_json(2, Some(&groups))),
            ("kill", connections::removed(2, true)),
            ("show", show::json(&reports)),
            ("describe", show::json(&reports[..1])),
            ("top", show::json(&reports)),
            ("set", edit.json()),
            ("diff", diff.clone()),
            ("apply", diff),
            ("drain", drained.text),
            ("undrain", undrained),
            (
                "doctor",
                doctor::json(&[check(None), check(Some("ip route"))]),
            ),
            ("realserver", doctor::json(&[check(None)])),
            ("schedulers", schedulers::json(&|name| name == "rr")),
            ("fast-path", path.json()),
            ("sync", sync::json(&model::Synchronization::default())),
            ("version", json::versions(None)),
            ("version", json::versions(Some(&module))),
            ("monitor", monitor::change("now".to_owned(), None).json()),
        ];
        assert!(!lines.is_empty());
        answers.extend(lines.iter().map(|line| ("monitor", line.json())));
        answers
    }

    #[test]
    fn each_answer_is_valid_by_its_schema() {
        let answers = answers();
        for name in SCHEMAS {
            let schema = serde_json::to_value(schema(name)).unwrap();
            jsonschema::meta::validate(&schema).unwrap();
            let validator = jsonschema::validator_for(&schema).unwrap();
            let mut seen = 0;
            for (_, text) in answers.iter().filter(|(of, _)| *of == name) {
                let answer: Value = serde_json::from_str(text).unwrap();
                let errors: Vec<String> = validator
                    .iter_errors(&answer)
                    .map(|error| format!("{}: {error}", error.instance_path()))
                    .collect();
                assert!(errors.is_empty(), "{name}: {errors:?}\n{text}");
                // A promised member must be there, and have its type.
                let mut broken = answer.clone();
                let (member, _) = broken.as_object_mut().unwrap().iter_mut().next().unwrap();
                let member = member.clone();
                broken[&member] = serde_json::json!({"unexpected": 1});
                assert!(!validator.is_valid(&broken), "{name}: {member}");
                seen += 1;
            }
            assert!(seen > 0, "{name}");
        }
    }

    /// The names of all members in a schema.
    fn members(schema: &Value, names: &mut BTreeSet<String>) {
        if let Some(properties) = schema["properties"].as_object() {
            for (name, property) in properties {
                let explained = property["description"].is_string();
                assert!(explained, "{name} has no description");
                names.insert(name.clone());
            }
        }
        match schema {
            Value::Object(object) => object.values().for_each(|value| members(value, names)),
            Value::Array(values) => values.iter().for_each(|value| members(value, names)),
            _ => (),
        }
    }

    #[test]
    fn each_member_has_a_description_and_is_in_the_help() {
        let mut names = BTreeSet::new();
        for name in SCHEMAS {
            members(&serde_json::to_value(schema(name)).unwrap(), &mut names);
        }
        assert!(names.len() > 50, "{names:?}");
        let help = cli::definition::JSON;
        let words: BTreeSet<&str> = help
            .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
            .collect();
        for name in names {
            assert!(words.contains(name.as_str()), "{name} is not in the help");
        }
    }

    #[test]
    fn each_answer_of_the_command_line_has_a_schema() {
        for name in SCHEMAS {
            assert!(of(name).contains("\"$schema\""), "{name}");
        }
        assert_eq!(of("none"), "");
    }
}
