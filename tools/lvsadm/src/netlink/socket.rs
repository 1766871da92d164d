// SPDX-License-Identifier: GPL-2.0-only

//! The socket: finding the family, sending a request, receiving its whole answer.

use std::io;

use netlink_packet_core::{
    parse_u16, Emitable, NetlinkHeader, NetlinkMessage, NetlinkPayload, NlasIterator,
    ParseableParametrized, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST,
};
use netlink_packet_generic::ctrl::{GenlCtrl, GenlCtrlCmd};
use netlink_packet_generic::{GenlFamily, GenlHeader, GenlMessage};
use netlink_sys::{protocols::NETLINK_GENERIC, Socket, SocketAddr};

use super::message::Message;
use super::reply::{Collector, Failure, Progress, Sink};

/// How often a listing that was cut short is asked for again.
const ATTEMPTS: usize = 5;
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
        Ok(found.map(|family| {
            connection.family = family;
            connection
        }))
    }

    /// Looks through all families, which loads nothing.
    fn among_all(&mut self, wanted: &str) -> Result<Option<u16>, Failure> {
        let families = persist(|| {
            let request = GenlMessage::from_payload(GenlCtrl {
                cmd: GenlCtrlCmd::GetFamily,
                nlas: Vec::new(),
            });
            self.parts(request, Mode::Dump)
        })?;
        for part in families {
            let (name, number) = family(&part)?;
            if name.as_deref() == Some(wanted) {
                return Ok(number);
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
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;

        let mut collector = Collector::new(self.sequence);
        let mut buffer = Vec::with_capacity(DATAGRAM);
        loop {
            buffer.clear();
            match self.socket.recv(&mut buffer, 0) {
                Ok(0) => return Err(Failure::Malformed("the answer ends early".to_owned())),
                Ok(_) => (),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    return Err(Failure::Overrun);
                }
                Err(error) => return Err(error.into()),
            }
            if collector.feed(&buffer, sink)? == Progress::Complete {
                return Ok(());
            }
        }
    }
}

/// Name and number of the family that an answer of the controller is about. The other attributes do
/// not matter here, and grow with every kernel.
fn family(part: &[u8]) -> Result<(Option<String>, Option<u16>), Failure> {
    let (mut name, mut number) = (None, None);
    for attribute in NlasIterator::new(part.get(GENERIC_HEADER..).unwrap_or_default()) {
        let attribute = attribute?;
        match attribute.kind() {
            CONTROL_FAMILY_ID => number = Some(parse_u16(attribute.value())?),
            CONTROL_FAMILY_NAME => name = Some(super::attribute::text(attribute.value())),
            _ => (),
        }
    }
    Ok((name, number))
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
        assert_eq!(
            family(&part).unwrap(),
            (Some("IPVS".to_owned()), Some(0x24))
        );
        assert!(family(&[1, 2, 0, 0, 9, 0, 1, 0]).is_err());
    }

    #[test]
    fn a_refusal_is_final() {
        let refusal = || Failure::Kernel(crate::netlink::KernelError::default());
        assert!(matches!(tried(1, refusal), (Err(Failure::Kernel(_)), 1)));
    }
}
