// SPDX-License-Identifier: GPL-2.0-only

//! Reports changes of the configuration to those who listen to the multicast group of the family
//! "ipvs_rs".

use super::show::{self, Form, Statistics};
use crate::{
    director::Director,
    services::{
        destination::Destination,
        service::{Key, Service},
    },
    uapi,
};
use kernel::{prelude::*, sync::Arc};
use knet::netlink::{self, Full, Source, Writer};
use lvs_core::{
    extension::{command, message},
    netlink::Attributes,
    request::{NamedDestination, NamedService},
    Endpoint,
};

/// As the family "ipvs_rs" lists services and destinations.
const FORM: Form = Form {
    service: message::SERVICE,
    destination: message::DEST,
    statistics: Statistics::None,
};

/// Reports a command that was executed. The event has the service and the destination that the
/// command was about, as they are now; only what identifies them if they are gone. Process
/// context, without locks.
pub(super) fn report(
    request: &impl Source,
    director: &Director,
    executed: u8,
    attributes: &Attributes<'_>,
) {
    if !netlink::is_listened_to(request) {
        return;
    }
    let event = Event::new(director, executed, attributes);
    netlink::notify(request, command::EVENT, |writer| event.write(writer));
}

struct Event {
    executed: u8,
    key: Option<Key>,
    endpoint: Option<Endpoint>,
    service: Option<Arc<Service>>,
    destination: Option<Arc<Destination>>,
}

impl Event {
    /// The attributes are those of a command that succeeded, so they are in order.
    fn new(director: &Director, executed: u8, attributes: &Attributes<'_>) -> Self {
        let named = NamedService::new(attributes).ok();
        let key = named.and_then(|service| service.existing_key().ok());
        let endpoint = match (&key, attributes.find(uapi::message::DEST)) {
            (Some(key), Some(_)) => NamedDestination::new(attributes, key)
                .and_then(|destination| destination.existing_endpoint())
                .ok(),
            _ => None,
        };
        let service = key.and_then(|key| director.find_service(&key).ok());
        let destination = match (&service, endpoint) {
            (Some(service), Some(endpoint)) => service.find(endpoint),
            _ => None,
        };
        Self {
            executed,
            key,
            endpoint,
            service,
            destination,
        }
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Full> {
        writer.u8(message::EXECUTED, self.executed)?;
        match (&self.service, &self.key) {
            (Some(service), _) => show::service(writer, &FORM, service)?,
            (None, Some(key)) => writer.nest(FORM.service, |writer| show::key(writer, key))?,
            (None, None) => {}
        }
        match (&self.destination, self.endpoint) {
            (Some(destination), _) => show::destination(writer, &FORM, destination),
            (None, Some(endpoint)) => {
                writer.nest(FORM.destination, |writer| show::endpoint(writer, endpoint))
            }
            (None, None) => Ok(()),
        }
    }
}
