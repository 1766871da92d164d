// SPDX-License-Identifier: GPL-2.0-only

//! The socket: finding the family, sending a request, receiving its whole answer.

use std::io;

use netlink_packet_core::{
    parse_u16, parse_u32, Emitable, NetlinkHeader, NetlinkMessage, NetlinkPayload, NlasIterator,
    ParseableParametrized, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST,
};
use netlink_packet_generic::ctrl::{GenlCtrl, GenlCtrlCmd};
use netlink_packet_generic::{GenlFamily, GenlHeader, GenlMessage};
use netlink_sys::{protocols::NETLINK_GENERIC, Socket, SocketAddr};

use rustix::net::sockopt::set_socket_send_buffer_size_force;
use zeroize::Zeroizing;

use super::message::Message;
use super::reply::{Collector, Failure, Progress, Sink};

/// How often a listing that was cut short is asked for again.
const ATTEMPTS: usize = 5;
/// A socket sends messages of this size anyway.
const ROOM: usize = 64 * 1024;
/// No answer comes in larger datagrams: the kernel stops at 32 KiB.
const DATAGRAM: usize = 128 * 1024;
/// Length of the generic netlink header.
pub(super) const GENERIC_HEADER: usize = 4;
/// Attribute of the family's number in the controller's answer.
const CONTROL_FAMILY_ID: u16 = 1;
/// Attribute of the family's name in the controller's answer.
const CONTROL_FAMILY_NAME: u16 = 2;

/// Does a request ask for one thing or for a listing?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One thing, acknowledged.
    One,
    /// A listing of any length.
    Dump,
}

/// Attribute of the family's multicast groups.
const CONTROL_GROUPS: u16 = 7;
/// Attributes of a multicast group.
const GROUP_NAME: u16 = 1;
const GROUP_ID: u16 = 2;

/// A socket that knows the family's number.
pub struct Connection {
    socket: Socket,
    sequence: u32,
    family: u16,
}

impl Connection {
    /// Opens a socket and looks up the family of this name. `Ok(None)` when the kernel has no such
    /// family. The kernel is not asked by name: it would load any module that provides the family,
    /// for every user.
    ///
    /// # Errors
    ///
    /// When there is no generic netlink, or its controller cannot be understood.
    pub fn open(name: &str) -> Result<Option<Self>, Failure> {
        let mut socket = Socket::new(NETLINK_GENERIC)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        // Old kernels know neither; errors are then merely less eloquent.
        socket.set_ext_ack(true).ok();
        socket.set_cap_ack(true).ok();
        let mut connection = Self {
            socket,
            sequence: 0,
            family: 0,
        };
        let found = connection.among_all(name)?;
        Ok(found.and_then(|family| {
            connection.family = family.number?;
            Some(connection)
        }))
    }

    /// Looks through all families, which loads nothing.
    fn among_all(&mut self, wanted: &str) -> Result<Option<KnownFamily>, Failure> {
        let families = persist(|| {
            let request = GenlMessage::from_payload(GenlCtrl {
                cmd: GenlCtrlCmd::GetFamily,
                nlas: Vec::new(),
            });
            self.parts(request, Mode::Dump)
        })?;
        for part in families {
            let family = family(&part)?;
            if family.name.as_deref() == Some(wanted) {
                return Ok(Some(family));
            }
        }
        Ok(None)
    }

    /// Sends a request and receives its whole answer. A listing that was cut short is asked for
    /// again a few times.
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    pub fn request(&mut self, message: &Message, mode: Mode) -> Result<Vec<Message>, Failure> {
        let parts = persist(|| {
            let mut request = GenlMessage::from_payload(message.clone());
            request.set_resolved_family_id(self.family);
            self.parts(request, mode)
        })?;
        parts.iter().map(|part| decode(part)).collect()
    }

    /// Sends a request and gives the parts of its answer to `sink` as they come, which takes no
    /// memory for all of them; nor can a listing begin again.
    ///
    /// # Errors
    ///
    /// See [`Failure`]; and those of `sink`.
    pub fn stream<F>(&mut self, message: &F, mode: Mode, sink: &mut Sink<'_>) -> Result<(), Failure>
    where
        F: GenlFamily + Emitable + std::fmt::Debug + Clone,
    {
        let mut request = GenlMessage::from_payload(message.clone());
        request.set_resolved_family_id(self.family);
        self.attempt(request, mode, sink)
    }

    fn parts<F>(&mut self, request: GenlMessage<F>, mode: Mode) -> Result<Vec<Vec<u8>>, Failure>
    where
        F: GenlFamily + Emitable + std::fmt::Debug,
    {
        let mut parts = Vec::new();
        self.attempt(request, mode, &mut |part| {
            parts.push(part.to_vec());
            Ok(())
        })?;
        Ok(parts)
    }

    fn attempt<F>(
        &mut self,
        request: GenlMessage<F>,
        mode: Mode,
        sink: &mut Sink<'_>,
    ) -> Result<(), Failure>
    where
        F: GenlFamily + Emitable + std::fmt::Debug,
    {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.sequence_number = self.sequence;
        header.flags = match mode {
            Mode::One => NLM_F_REQUEST | NLM_F_ACK,
            Mode::Dump => NLM_F_REQUEST | NLM_F_DUMP,
        };
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(request));
        message.finalize();
        // It may have a key.
        let mut bytes = Zeroizing::new(vec![0; message.buffer_len()]);
        message.serialize(&mut bytes);
        if bytes.len() > ROOM {
            // A transaction is one message. Without the privilege, which changes need as well, the
            // kernel refuses the message as too long.
            set_socket_send_buffer_size_force(&self.socket, bytes.len()).ok();
        }
        self.socket.send(&bytes, 0)?;

        let mut collector = Collector::new(self.sequence);
        let mut buffer = Vec::with_capacity(DATAGRAM);
        loop {
            receive(&self.socket, &mut buffer)?;
            if collector.feed(&buffer, sink)? == Progress::Complete {
                return Ok(());
            }
        }
    }
}

/// Receives one datagram.
fn receive(socket: &Socket, buffer: &mut Vec<u8>) -> Result<(), Failure> {
    loop {
        buffer.clear();
        match socket.recv(buffer, 0) {
            Ok(0) => return Err(Failure::Malformed("the answer ends early".to_owned())),
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                return Err(Failure::Overrun);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// A socket that listens to a multicast group.
pub struct Listener {
    socket: Socket,
    buffer: Vec<u8>,
}

impl Listener {
    /// Joins the multicast group of a family. `Ok(None)` when the kernel does not have it.
    ///
    /// # Errors
    ///
    /// As [`Connection::open`]; and [`Failure::Socket`] without the privilege.
    pub fn open(family: &str, group: &str) -> Result<Option<Self>, Failure> {
        let Some(mut connection) = Connection::open(family)? else {
            return Ok(None);
        };
        let found = connection.among_all(family)?;
        let groups = found.map(|family| family.groups).unwrap_or_default();
        let Some((_, id)) = groups.into_iter().find(|(name, _)| name == group) else {
            return Ok(None);
        };
        let mut socket = Socket::new(NETLINK_GENERIC)?;
        socket.bind_auto()?;
        socket.add_membership(id)?;
        Ok(Some(Self {
            socket,
            buffer: Vec::with_capacity(DATAGRAM),
        }))
    }

    /// Waits for messages and gives each to `sink`, from its generic netlink header on.
    ///
    /// # Errors
    ///
    /// [`Failure::Overrun`] when messages were lost; a later call goes on.
    pub fn wait(&mut self, sink: &mut Sink<'_>) -> Result<(), Failure> {
        receive(&self.socket, &mut self.buffer)?;
        // Events have no sequence number.
        Collector::new(0).feed(&self.buffer, sink).map(|_| ())
    }
}

/// A family, as the controller describes it.
#[derive(Debug, Default, PartialEq, Eq)]
struct KnownFamily {
    name: Option<String>,
    number: Option<u16>,
    /// Names and numbers of its multicast groups.
    groups: Vec<(String, u32)>,
}

/// The family that an answer of the controller is about. The other attributes do not matter here,
/// and grow with every kernel.
fn family(part: &[u8]) -> Result<KnownFamily, Failure> {
    let mut family = KnownFamily::default();
    for attribute in NlasIterator::new(part.get(GENERIC_HEADER..).unwrap_or_default()) {
        let attribute = attribute?;
        match attribute.kind() {
            CONTROL_FAMILY_ID => family.number = Some(parse_u16(attribute.value())?),
            CONTROL_FAMILY_NAME => {
                family.name = Some(super::attribute::text(attribute.value()));
            }
            CONTROL_GROUPS => {
                for group in NlasIterator::new(attribute.value()) {
                    family.groups.extend(self::group(group?.value())?);
                }
            }
            _ => (),
        }
    }
    Ok(family)
}

/// Name and number of a multicast group.
fn group(nest: &[u8]) -> Result<Option<(String, u32)>, Failure> {
    let (mut name, mut id) = (None, None);
    for attribute in NlasIterator::new(nest) {
        let attribute = attribute?;
        match attribute.kind() {
            GROUP_NAME => name = Some(super::attribute::text(attribute.value())),
            GROUP_ID => id = Some(parse_u32(attribute.value())?),
            _ => (),
        }
    }
    Ok(name.zip(id))
}

/// Tries again what was cut short, a few times.
fn persist<T>(mut attempt: impl FnMut() -> Result<T, Failure>) -> Result<T, Failure> {
    for _ in 1..ATTEMPTS {
        match attempt() {
            Err(Failure::Interrupted | Failure::Overrun) => (),
            outcome => return outcome,
        }
    }
    attempt()
}

/// Reads one part of an answer, from its generic netlink header on.
///
/// # Errors
///
/// [`Failure::Malformed`].
pub fn decode(part: &[u8]) -> Result<Message, Failure> {
    let header = GenlHeader::parse(part)?;
    let attributes = part.get(GENERIC_HEADER..).unwrap_or_default();
    Ok(Message::parse_with_param(attributes, header)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails `failures` times before it succeeds; gives the outcome and the number of attempts.
    fn tried(failures: usize, failure: fn() -> Failure) -> (Result<(), Failure>, usize) {
        let mut attempts = 0;
        let outcome = persist(|| {
            attempts += 1;
            if attempts > failures {
                Ok(())
            } else {
                Err(failure())
            }
        });
        (outcome, attempts)
    }

    #[test]
    fn what_was_cut_short_is_tried_again_but_not_forever() {
        assert!(matches!(tried(0, || Failure::Interrupted), (Ok(()), 1)));
        assert!(matches!(tried(4, || Failure::Interrupted), (Ok(()), 5)));
        assert!(matches!(tried(1, || Failure::Overrun), (Ok(()), 2)));
        assert!(matches!(
            tried(9, || Failure::Interrupted),
            (Err(Failure::Interrupted), ATTEMPTS)
        ));
    }

    #[test]
    fn the_controllers_answer() {
        // Captured from the kernel, up to the attributes that do not matter here.
        let line = include_str!("../../tests/fixtures/answers.hex")
            .lines()
            .next()
            .unwrap();
        let hex = line.split(' ').nth(2).unwrap();
        let part: Vec<u8> = (32..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect();
        let known = family(&part).unwrap();
        assert_eq!(known.name.as_deref(), Some("IPVS"));
        assert_eq!(known.number, Some(0x24));
        assert_eq!(known.groups, []);
        assert!(family(&[1, 2, 0, 0, 9, 0, 1, 0]).is_err());
    }

    #[test]
    fn a_family_with_a_multicast_group() {
        let part = [
            1, 2, 0, 0, // header
            6, 0, 1, 0, 9, 0, 0, 0, // the family's number
            32, 0, 7, 0x80, 28, 0, 1, 0x80, // groups, the first
            8, 0, 2, 0, 5, 0, 0, 0, // its number
            11, 0, 1, 0, b'e', b'v', b'e', b'n', b't', b's', 0, 0, // its name
            4, 0, 99, 0, // newer
        ];
        assert_eq!(family(&part).unwrap().groups, [("events".to_owned(), 5)]);
    }

    #[test]
    fn a_refusal_is_final() {
        let refusal = || Failure::Kernel(crate::netlink::KernelError::default());
        assert!(matches!(tried(1, refusal), (Err(Failure::Kernel(_)), 1)));
    }
}
