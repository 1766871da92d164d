// SPDX-License-Identifier: GPL-2.0-only

//! How an exchange ends: collecting the parts of an answer, errors and their extended
//! acknowledgments. No socket here, so that any bytes can be fed to it.

use std::fmt;
use std::io;

use netlink_packet_core::{
    parse_u32, DecodeError, DoneBuffer, DoneMessage, ErrorBuffer, ErrorMessage, NetlinkBuffer,
    NlasIterator, Parseable, NLMSG_DONE, NLMSG_ERROR, NLMSG_NOOP, NLMSG_OVERRUN, NLM_F_ACK_TLVS,
    NLM_F_CAPPED, NLM_F_DUMP_INTR,
};

use super::attribute;

/// Length of the header of every netlink message.
const HEADER: usize = 16;

const EXTACK_MESSAGE: u16 = 1;
const EXTACK_OFFSET: u16 = 2;
const EXTACK_MISSING: u16 = 5;

/// The kernel said no.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelError {
    /// Error number, positive.
    pub errno: i32,
    /// The kernel's own words, when it had any.
    pub message: Option<String>,
    /// Where in the request the trouble is.
    pub offset: Option<u32>,
    /// Which attribute was missed.
    pub missing: Option<u32>,
}

impl fmt::Display for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", io::Error::from_raw_os_error(self.errno))
    }
}

/// Why an exchange gave no answer.
#[derive(Debug)]
pub enum Failure {
    /// The kernel said no.
    Kernel(KernelError),
    /// The tables changed while they were listed, as often as it was tried.
    Interrupted,
    /// Parts of the answer were lost, as often as it was tried.
    Overrun,
    /// The answer cannot be read.
    Malformed(String),
    /// No socket, or it failed.
    Socket(io::Error),
    /// Who got the answer could not take all of it.
    Output(io::Error),
}

/// Takes the parts of an answer, each from its generic netlink header on, as they come.
pub type Sink<'a> = dyn FnMut(&[u8]) -> Result<(), Failure> + 'a;

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Socket(error)
    }
}

/// Is there more to come?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Receive again.
    More,
    /// The answer is complete.
    Complete,
}

/// Finds the parts of one answer.
#[derive(Debug)]
pub struct Collector {
    sequence: u32,
    interrupted: bool,
}

impl Collector {
    /// For the answer to the request of this sequence number.
    #[must_use]
    pub fn new(sequence: u32) -> Self {
        Self {
            sequence,
            interrupted: false,
        }
    }

    /// Takes one datagram in, and gives the parts in it to `sink`.
    ///
    /// # Errors
    ///
    /// When the kernel refused, when the tables changed meanwhile, when the bytes are no netlink;
    /// or `sink`'s.
    pub fn feed(&mut self, datagram: &[u8], sink: &mut Sink<'_>) -> Result<Progress, Failure> {
        let mut rest = datagram;
        while !rest.is_empty() {
            let message = NetlinkBuffer::new_checked(rest)?;
            let length = usize::try_from(message.length()).unwrap_or(usize::MAX);
            let (Some(payload), true) = (rest.get(HEADER..length), length >= HEADER) else {
                return Err(Failure::Malformed(format!(
                    "a message claims {length} bytes of {}",
                    rest.len()
                )));
            };
            if message.sequence_number() == self.sequence
                && self.take(message.message_type(), message.flags(), payload, sink)?
                    == Progress::Complete
            {
                return Ok(Progress::Complete);
            }
            let next = length.checked_next_multiple_of(4).unwrap_or(usize::MAX);
            rest = rest.get(next..).unwrap_or_default();
        }
        Ok(Progress::More)
    }

    fn take(
        &mut self,
        kind: u16,
        flags: u16,
        payload: &[u8],
        sink: &mut Sink<'_>,
    ) -> Result<Progress, Failure> {
        self.interrupted |= flags & NLM_F_DUMP_INTR != 0;
        match kind {
            NLMSG_NOOP => Ok(Progress::More),
            NLMSG_OVERRUN => Err(Failure::Overrun),
            NLMSG_ERROR => {
                let error = ErrorMessage::parse(&ErrorBuffer::new_checked(&payload)?)?;
                let details = if flags & NLM_F_ACK_TLVS == 0 {
                    &[]
                } else {
                    after_request(&error.header, flags & NLM_F_CAPPED != 0)
                };
                self.finish(error.raw_code(), details)
            }
            NLMSG_DONE if payload.is_empty() => self.finish(0, &[]),
            NLMSG_DONE => {
                let done = DoneMessage::parse(&DoneBuffer::new_checked(&payload)?)?;
                let details = if flags & NLM_F_ACK_TLVS == 0 {
                    &[]
                } else {
                    done.extended_ack.as_slice()
                };
                self.finish(done.code, details)
            }
            _ => {
                sink(payload)?;
                Ok(Progress::More)
            }
        }
    }

    fn finish(&self, code: i32, details: &[u8]) -> Result<Progress, Failure> {
        if code < 0 {
            return Err(Failure::Kernel(kernel_error(code, details)));
        }
        if self.interrupted {
            return Err(Failure::Interrupted);
        }
        Ok(Progress::Complete)
    }
}

/// What follows the echoed request in an error message.
fn after_request(echo: &[u8], capped: bool) -> &[u8] {
    let length = if capped {
        HEADER
    } else {
        let length: Option<[u8; 4]> = echo.get(..4).and_then(|octets| octets.try_into().ok());
        length
            .map(u32::from_ne_bytes)
            .and_then(|length| usize::try_from(length).ok())
            .and_then(|length| length.checked_next_multiple_of(4))
            .unwrap_or(usize::MAX)
    };
    echo.get(length..).unwrap_or_default()
}

/// An error with the text of its extended acknowledgment. A broken acknowledgment adds nothing: the
/// error itself is what counts.
fn kernel_error(code: i32, details: &[u8]) -> KernelError {
    let mut error = KernelError {
        errno: code.saturating_neg(),
        ..KernelError::default()
    };
    for attribute in NlasIterator::new(details).map_while(Result::ok) {
        match attribute.kind() {
            EXTACK_MESSAGE => error.message = Some(attribute::text(attribute.value())),
            EXTACK_OFFSET => error.offset = parse_u32(attribute.value()).ok(),
            EXTACK_MISSING => error.missing = parse_u32(attribute.value()).ok(),
            _ => (),
        }
    }
    error
}
