// SPDX-License-Identifier: GPL-2.0-only

//! From the options of a subcommand to the typed command that they stand for.

use std::time::Duration;

use lvs_core::state::State;

use super::command::{
    Command, DrainOptions, Listing, Merge, RealServerAction, ServiceFilter, ServiceMerge, Subject,
    Target, View,
};
use super::convert::{check_redispatch, Options};
use super::feedback;
use super::geo;
use super::rules;
use super::subcommands::SCHEMAS;
use super::sync;
use crate::connections::ConnectionFilter;
use crate::error::Error;
use crate::model::Protocol;
use crate::parse;
use crate::realserver::{Method, Request};
use crate::tally::GroupBy;

/// Reads the options of one subcommand.
type Reader = fn(&Options<'_>) -> Result<Command, Error>;

const READERS: [(&str, Reader); 19] = [
    ("show", show),
    ("describe", describe),
    ("diff", diff),
    ("apply", apply),
    ("set", set),
    ("drain", drain),
    ("undrain", undrain),
    ("schedulers", schedulers),
    ("fast-path", fast_path),
    ("doctor", doctor),
    ("realserver", real_server),
    ("feedback", feedback::read),
    ("geo", geo::read),
    ("top", top),
    ("metrics", metrics),
    ("monitor", monitor),
    ("connections", connections),
    ("sync", sync::read),
    ("schema", schema),
];

/// Reads the options of a subcommand.
pub(super) fn read(name: &str, options: &Options<'_>) -> Result<Command, Error> {
    READERS
        .iter()
        .find(|(known, _)| *known == name)
        .ok_or_else(|| Error::Usage(format!("there is no subcommand {name}")))
        .and_then(|(_, reader)| reader(options))
}

impl Options<'_> {
    /// A service by positional argument or by option; `None` when neither was given.
    fn target(&self) -> Result<Option<Target>, Error> {
        let Some(text) = self.text("service") else {
            return Ok(self.service_id()?.map(Target::Service));
        };
        let (endpoint, protocol) = match text.rsplit_once('/') {
            None => (text, None),
            Some((endpoint, name)) => {
                let known = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
                let protocol = known
                    .into_iter()
                    .find(|protocol| protocol.name() == Some(name))
                    .ok_or_else(|| {
                        Error::Usage(format!("{text}: {name:?} must be tcp, udp or sctp"))
                    })?;
                (endpoint, Some(protocol))
            }
        };
        let endpoint = parse::endpoint(endpoint, protocol, self.names)
            .map_err(|why| Error::Usage(format!("{text}: {why}")))?;
        Ok(Some(Target::Filter(ServiceFilter {
            protocol,
            address: endpoint.address,
            port: endpoint.port,
        })))
    }

    /// A server with the service that was named, if any.
    fn drain_options(&self) -> Result<DrainOptions, Error> {
        let service = self.service_id()?;
        let protocol = service.as_ref().and_then(crate::model::ServiceId::protocol);
        let server = self
            .read("real-server", |text| {
                parse::endpoint(text, protocol, self.names)
            })?
            .ok_or_else(|| Error::Usage("--real-server is missing".to_owned()))?;
        Ok(DrainOptions {
            service,
            address: server.address,
            port: server.port,
            json: self.given("json"),
        })
    }

    fn file(&self) -> String {
        self.text("file").unwrap_or("-").to_owned()
    }
}

fn show(options: &Options<'_>) -> Result<Command, Error> {
    Ok(Command::Show {
        target: options.target()?,
        json: options.given("json"),
    })
}

fn describe(options: &Options<'_>) -> Result<Command, Error> {
    let target = options.target()?.ok_or_else(|| {
        Error::Usage(
            "describe needs a service, such as 192.0.2.1:80 (lvsadm show lists the services)"
                .to_owned(),
        )
    })?;
    Ok(Command::Describe {
        target,
        json: options.given("json"),
    })
}

fn diff(options: &Options<'_>) -> Result<Command, Error> {
    Ok(Command::Diff {
        file: options.file(),
        prune: options.given("prune"),
        json: options.given("json"),
    })
}

fn apply(options: &Options<'_>) -> Result<Command, Error> {
    Ok(Command::Apply {
        file: options.file(),
        dry_run: options.given("dry-run"),
        prune: options.given("prune"),
        json: options.given("json"),
    })
}

fn set(options: &Options<'_>) -> Result<Command, Error> {
    let service = options
        .service_id()?
        .ok_or_else(|| Error::Usage("set needs a service".to_owned()))?;
    let merge = if options.given("real-server") {
        for option in
            rules::SERVICE_OPTIONS
                .iter()
                .chain(&["no-persistent", "no-ops", "no-redispatch"])
        {
            if options.given(option) {
                return Err(Error::Usage(format!(
                    "--{option} is an option of a service, and --real-server names a server: set \
                     them one after the other"
                )));
            }
        }
        rules::at_most_one(options.matches, rules::FORWARDING)?;
        rules::at_most_one(options.matches, rules::CHECKSUMS)?;
        let server = options.destination_id(&service)?;
        Merge::Server(server, Box::new(options.server_merge()?))
    } else {
        let server_options = rules::FORWARDING
            .iter()
            .chain(rules::SERVER_OPTIONS)
            .chain(rules::CHECKSUMS);
        for option in server_options {
            if options.given(option) {
                return Err(Error::Usage(format!(
                    "--{option} is an option of a server: add -r HOST[:PORT]"
                )));
            }
        }
        Merge::Service(Box::new(ServiceMerge {
            scheduler: options.scheduler()?,
            persistence: if options.given("no-persistent") {
                Some(None)
            } else {
                options.persistence()?.map(Some)
            },
            netmask: options.netmask(service.family())?,
            engine: options.engine()?,
            one_packet: if options.given("no-ops") {
                Some(false)
            } else {
                options.given("ops").then_some(true)
            },
            redispatch: if options.given("no-redispatch") {
                Some(false)
            } else if options.given("redispatch") {
                check_redispatch(&service)?;
                Some(true)
            } else {
                None
            },
            hash_seed: options.hash_seed()?,
            flags: options.text("sched-flags").map(str::to_owned),
        }))
    };
    if merge.is_empty() {
        return Err(Error::Usage(
            "there is nothing to set: give at least one option to change".to_owned(),
        ));
    }
    Ok(Command::Set {
        service,
        merge,
        json: options.given("json"),
    })
}

fn drain(options: &Options<'_>) -> Result<Command, Error> {
    Ok(Command::Drain {
        options: options.drain_options()?,
        wait: options.matches.get_one("wait").copied(),
        then_delete: options.given("then"),
    })
}

fn undrain(options: &Options<'_>) -> Result<Command, Error> {
    Ok(Command::Undrain {
        options: options.drain_options()?,
        weight: options.weight()?,
    })
}

fn schedulers(options: &Options<'_>) -> Result<Command, Error> {
    Ok(Command::Schedulers {
        json: options.given("json"),
    })
}

fn fast_path(options: &Options<'_>) -> Result<Command, Error> {
    let device = |name| options.text(name).map(str::to_owned);
    Ok(match (device("attach"), device("detach")) {
        (Some(device), _) => Command::AttachXdp(device),
        (None, Some(device)) => Command::DetachXdp(device),
        (None, None) => Command::FastPath {
            json: options.given("json"),
        },
    })
}

fn schema(options: &Options<'_>) -> Result<Command, Error> {
    let name = options.text("answer");
    let known = SCHEMAS.into_iter().find(|known| Some(*known) == name);
    known
        .map(Command::Schema)
        .ok_or_else(|| Error::Usage("schema needs the name of an answer".to_owned()))
}

fn doctor(options: &Options<'_>) -> Result<Command, Error> {
    Ok(Command::Doctor {
        json: options.given("json"),
    })
}

fn real_server(options: &Options<'_>) -> Result<Command, Error> {
    let end = |text: &str| {
        let end = parse::endpoint(text, Some(Protocol::Tcp), options.names);
        end.map(|end| (end.address, end.port))
            .map_err(|why| Error::Usage(format!("{text}: {why}")))
    };
    let name = options.text("method").unwrap_or_default();
    let method = Method::from_name(name)
        .ok_or_else(|| Error::Usage(format!("there is no method {name:?}")))?;
    let texts: Vec<&String> = options
        .matches
        .get_many("virtual-address")
        .into_iter()
        .flatten()
        .collect();
    let number = |name| options.matches.get_one::<u16>(name).copied();
    let request = Request {
        method,
        services: texts
            .iter()
            .map(|text| end(text))
            .collect::<Result<_, _>>()?,
        server: options.text("server").map(end).transpose()?,
        gue_port: number("gue-port").unwrap_or(6080),
        mtu: number("mtu").unwrap_or(1500),
    };
    let action = if options.given("apply") {
        RealServerAction::Apply
    } else if options.given("check") {
        RealServerAction::Check
    } else if options.given("unit") {
        let mut arguments = name.to_owned();
        for text in texts {
            arguments += &format!(" {text}");
        }
        for name in ["server", "gue-port", "mtu"] {
            if options.given(name) {
                let value = match number_or_text(options, name) {
                    Some(value) => value,
                    None => continue,
                };
                arguments += &format!(" --{name} {value}");
            }
        }
        RealServerAction::Unit(arguments)
    } else {
        RealServerAction::Print
    };
    Ok(Command::RealServer {
        request,
        action,
        json: options.given("json"),
    })
}

/// The value of an option as it was given.
fn number_or_text(options: &Options<'_>, name: &str) -> Option<String> {
    let mut raw = options.matches.get_raw(name)?;
    Some(raw.next()?.to_string_lossy().into_owned())
}

fn metrics(options: &Options<'_>) -> Result<Command, Error> {
    Ok(Command::Metrics {
        listen: options.matches.get_one("listen").copied(),
    })
}

fn top(options: &Options<'_>) -> Result<Command, Error> {
    let seconds: u32 = options.matches.get_one("interval").copied().unwrap_or(1);
    Ok(Command::Top {
        once: options.given("once"),
        json: options.given("json"),
        serve: options.matches.get_one("serve").copied(),
        interval: Duration::from_secs(seconds.into()),
    })
}

fn monitor(options: &Options<'_>) -> Result<Command, Error> {
    let seconds: u32 = options.matches.get_one("interval").copied().unwrap_or(1);
    Ok(Command::Monitor {
        json: options.given("json"),
        interval: Duration::from_secs(seconds.into()),
    })
}

fn connections(options: &Options<'_>) -> Result<Command, Error> {
    rules::at_most_one(options.matches, rules::SERVICES)?;
    let filter = ConnectionFilter {
        state: options
            .text("state")
            .and_then(|name| State::from_name(name.to_ascii_uppercase().as_bytes())),
        ..options.filter()?
    };
    let json = options.given("json");
    if options.given("kill") {
        if filter == ConnectionFilter::default() {
            return Err(Error::Usage(
                "--kill needs a selection: a service, -r SERVER, --client CLIENT or --state STATE"
                    .to_owned(),
            ));
        }
        return Ok(Command::Kill { filter, json });
    }
    let by = options.text("group-by").and_then(GroupBy::from_name);
    if by.is_some() || options.given("count") {
        let most: Option<u32> = options.matches.get_one("top").copied();
        return Ok(Command::Tally {
            filter,
            by,
            most: most.and_then(|most| usize::try_from(most).ok()),
            json,
        });
    }
    Ok(Command::List(Listing {
        subject: Subject::Connections(filter),
        view: View {
            numeric: options.given("numeric"),
            engine_data: options.given("persistent-conn"),
            ..View::default()
        },
        json,
    }))
}
