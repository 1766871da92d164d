// SPDX-License-Identifier: GPL-2.0-only

//! Messages of the family: a command and its first level of attributes.

use lvs_core::uapi::{command, info, message};
use netlink_packet_core::{
    parse_u32, DecodeError, DefaultNla, Emitable, ErrorContext, Nla, Parseable,
    ParseableParametrized, NLA_F_NESTED,
};
use netlink_packet_generic::{GenlFamily, GenlHeader};

use super::attribute::{self, Raw};
use super::daemon::DaemonAttribute;
use super::destination::DestinationAttribute;
use super::service::ServiceAttribute;

/// What a message asks for or answers (`IPVS_CMD_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Add a service; also the answer to [`Command::GetService`].
    NewService,
    /// Edit a service.
    SetService,
    /// Delete a service.
    DelService,
    /// Ask for one service, or for all.
    GetService,
    /// Add a destination; also the answer to [`Command::GetDest`].
    NewDest,
    /// Edit a destination.
    SetDest,
    /// Delete a destination.
    DelDest,
    /// Ask for the destinations of a service.
    GetDest,
    /// Start a daemon; also the answer to [`Command::GetDaemon`].
    NewDaemon,
    /// Stop a daemon.
    DelDaemon,
    /// Ask for the daemons.
    GetDaemon,
    /// Set the timeouts; also the answer to [`Command::GetConfig`].
    SetConfig,
    /// Ask for the timeouts.
    GetConfig,
    /// The answer to [`Command::GetInfo`].
    SetInfo,
    /// Ask for version and table size.
    GetInfo,
    /// Zero the counters.
    Zero,
    /// Delete all services.
    Flush,
    /// Something newer than this command.
    Other(u8),
}

/// Every command that has a name, with its number.
const COMMANDS: [(u8, Command); 17] = [
    (command::NEW_SERVICE, Command::NewService),
    (command::SET_SERVICE, Command::SetService),
    (command::DEL_SERVICE, Command::DelService),
    (command::GET_SERVICE, Command::GetService),
    (command::NEW_DEST, Command::NewDest),
    (command::SET_DEST, Command::SetDest),
    (command::DEL_DEST, Command::DelDest),
    (command::GET_DEST, Command::GetDest),
    (command::NEW_DAEMON, Command::NewDaemon),
    (command::DEL_DAEMON, Command::DelDaemon),
    (command::GET_DAEMON, Command::GetDaemon),
    (command::SET_CONFIG, Command::SetConfig),
    (command::GET_CONFIG, Command::GetConfig),
    (command::SET_INFO, Command::SetInfo),
    (command::GET_INFO, Command::GetInfo),
    (command::ZERO, Command::Zero),
    (command::FLUSH, Command::Flush),
];

impl From<u8> for Command {
    fn from(number: u8) -> Self {
        COMMANDS
            .into_iter()
            .find(|(known, _)| *known == number)
            .map_or(Self::Other(number), |(_, command)| command)
    }
}

impl From<Command> for u8 {
    fn from(command: Command) -> Self {
        if let Command::Other(number) = command {
            return number;
        }
        COMMANDS
            .into_iter()
            .find(|(_, known)| *known == command)
            .map_or(0, |(number, _)| number)
    }
}

/// An attribute of the first level. [`Command::SetInfo`] numbers its attributes apart from all
/// other commands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Attribute {
    /// A service.
    Service(Vec<ServiceAttribute>),
    /// A destination.
    Destination(Vec<DestinationAttribute>),
    /// A synchronization daemon.
    Daemon(Vec<DaemonAttribute>),
    /// Timeout of established TCP, seconds.
    TimeoutTcp(u32),
    /// Timeout of TCP after a FIN, seconds.
    TimeoutTcpFin(u32),
    /// Timeout of UDP, seconds.
    TimeoutUdp(u32),
    /// Version, in [`Command::SetInfo`].
    InfoVersion(u32),
    /// Connection table size, in [`Command::SetInfo`].
    InfoTableSize(u32),
    /// Something newer than this command.
    Other(DefaultNla),
}

impl Attribute {
    fn read(command: Command, raw: &Raw<'_>) -> Result<Self, DecodeError> {
        let value = raw.value();
        let long = |what: &'static str| parse_u32(value).context(what);
        Ok(match (command, raw.kind()) {
            (Command::SetInfo, info::VERSION) => Self::InfoVersion(long("IPVS_INFO_ATTR_VERSION")?),
            (Command::SetInfo, info::CONN_TAB_SIZE) => {
                Self::InfoTableSize(long("IPVS_INFO_ATTR_CONN_TAB_SIZE")?)
            }
            (Command::SetInfo, _) => Self::Other(DefaultNla::parse(raw)?),
            (_, message::SERVICE) => Self::Service(ServiceAttribute::read_all(value)?),
            (_, message::DEST) => Self::Destination(DestinationAttribute::read_all(value)?),
            (_, message::DAEMON) => Self::Daemon(DaemonAttribute::read_all(value)?),
            (_, message::TIMEOUT_TCP) => Self::TimeoutTcp(long("IPVS_CMD_ATTR_TIMEOUT_TCP")?),
            (_, message::TIMEOUT_TCP_FIN) => {
                Self::TimeoutTcpFin(long("IPVS_CMD_ATTR_TIMEOUT_TCP_FIN")?)
            }
            (_, message::TIMEOUT_UDP) => Self::TimeoutUdp(long("IPVS_CMD_ATTR_TIMEOUT_UDP")?),
            _ => Self::Other(DefaultNla::parse(raw)?),
        })
    }
}

impl Nla for Attribute {
    fn value_len(&self) -> usize {
        match self {
            Self::Service(attributes) => attributes.as_slice().buffer_len(),
            Self::Destination(attributes) => attributes.as_slice().buffer_len(),
            Self::Daemon(attributes) => attributes.as_slice().buffer_len(),
            Self::TimeoutTcp(_)
            | Self::TimeoutTcpFin(_)
            | Self::TimeoutUdp(_)
            | Self::InfoVersion(_)
            | Self::InfoTableSize(_) => size_of::<u32>(),
            Self::Other(other) => other.value_len(),
        }
    }

    fn kind(&self) -> u16 {
        match self {
            Self::Service(_) => message::SERVICE | NLA_F_NESTED,
            Self::Destination(_) => message::DEST | NLA_F_NESTED,
            Self::Daemon(_) => message::DAEMON | NLA_F_NESTED,
            Self::TimeoutTcp(_) => message::TIMEOUT_TCP,
            Self::TimeoutTcpFin(_) => message::TIMEOUT_TCP_FIN,
            Self::TimeoutUdp(_) => message::TIMEOUT_UDP,
            Self::InfoVersion(_) => info::VERSION,
            Self::InfoTableSize(_) => info::CONN_TAB_SIZE,
            Self::Other(other) => other.kind(),
        }
    }

    fn emit_value(&self, buffer: &mut [u8]) {
        match self {
            Self::Service(attributes) => attributes.as_slice().emit(buffer),
            Self::Destination(attributes) => attributes.as_slice().emit(buffer),
            Self::Daemon(attributes) => attributes.as_slice().emit(buffer),
            Self::TimeoutTcp(value)
            | Self::TimeoutTcpFin(value)
            | Self::TimeoutUdp(value)
            | Self::InfoVersion(value)
            | Self::InfoTableSize(value) => attribute::put(buffer, &value.to_ne_bytes()),
            Self::Other(other) => other.emit_value(buffer),
        }
    }
}

/// A message of the family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it asks for or answers.
    pub command: Command,
    /// Its attributes in the order they stand.
    pub attributes: Vec<Attribute>,
}

impl GenlFamily for Message {
    fn family_name() -> &'static str {
        "IPVS"
    }

    fn command(&self) -> u8 {
        self.command.into()
    }

    fn version(&self) -> u8 {
        1
    }
}

impl Emitable for Message {
    fn buffer_len(&self) -> usize {
        self.attributes.as_slice().buffer_len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        self.attributes.as_slice().emit(buffer);
    }
}

impl ParseableParametrized<[u8], GenlHeader> for Message {
    fn parse_with_param(bytes: &[u8], header: GenlHeader) -> Result<Self, DecodeError> {
        let command = Command::from(header.cmd);
        Ok(Self {
            command,
            attributes: attribute::chain(bytes, "message", |raw| Attribute::read(command, raw))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_keep_their_numbers() {
        for number in 0..=u8::MAX {
            assert_eq!(u8::from(Command::from(number)), number);
        }
        assert_eq!(u8::from(Command::NewService), 1);
        assert_eq!(u8::from(Command::GetDest), 8);
        assert_eq!(u8::from(Command::SetConfig), 12);
        assert_eq!(u8::from(Command::Flush), 17);
        assert_eq!(Command::from(18), Command::Other(18));
    }
}
