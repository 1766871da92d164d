// SPDX-License-Identifier: GPL-2.0-only

//! The typed command that an argument list stands for.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::connections::ConnectionFilter;
use crate::model::{
    Change, DestinationId, Forwarding, Netmask, Protocol, ServiceId, TunnelChecksum, TunnelKind,
};
use crate::realserver;
use crate::tally::GroupBy;

/// A command with its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Make one change.
    Change {
        /// The change.
        change: Box<Change>,
        /// Remarks to print before the change is made.
        notes: Vec<String>,
        /// The options that were given, by their long names.
        given: Vec<String>,
    },
    /// Print a listing.
    List(Listing),
    /// Print the table as rules.
    Save(View),
    /// Apply the rules on standard input.
    Restore,
    /// Print a shell's completions.
    Completions(clap_complete::Shell),
    /// Print the manual page.
    Manual,
    /// Print the versions of the command and of the module.
    Version {
        /// As JSON.
        json: bool,
    },
    /// Show services and servers with their state.
    Show {
        /// Which services; all without.
        target: Option<Target>,
        /// As JSON.
        json: bool,
    },
    /// Show everything about one service.
    Describe {
        /// Which service.
        target: Target,
        /// As JSON.
        json: bool,
    },
    /// Show what [`Command::Apply`] would change.
    Diff {
        /// The file with the wanted table, or `-`.
        file: String,
        /// Whether services that the file does not have are deleted.
        prune: bool,
        /// As JSON.
        json: bool,
    },
    /// Make the table equal a file.
    Apply {
        /// The file with the wanted table, or `-`.
        file: String,
        /// Change nothing.
        dry_run: bool,
        /// Delete services that the file does not have.
        prune: bool,
        /// As JSON.
        json: bool,
    },
    /// Change options of a service or a server and keep the others.
    Set {
        /// The service.
        service: ServiceId,
        /// The options.
        merge: Merge,
        /// As JSON.
        json: bool,
    },
    /// Give a server no new connections.
    Drain {
        /// Which server.
        options: DrainOptions,
        /// How long to wait for the end of its connections.
        wait: Option<Duration>,
        /// Delete it afterwards.
        then_delete: bool,
    },
    /// Give a drained server its weight again.
    Undrain {
        /// Which server.
        options: DrainOptions,
        /// The weight, if not the former one.
        weight: Option<u32>,
    },
    /// Print, check or carry out what a real server needs.
    RealServer {
        /// The forwarding method and the addresses.
        request: realserver::Request,
        /// What to do.
        action: RealServerAction,
        /// As JSON.
        json: bool,
    },
    /// Let weights follow reported loads.
    Feedback(Feedback),
    /// Print the schema of a JSON answer.
    Schema(&'static str),
    /// List the schedulers.
    Schedulers {
        /// As JSON.
        json: bool,
    },
    /// Show whether packets take the fast path.
    FastPath {
        /// As JSON.
        json: bool,
    },
    /// Attach the XDP program to a device.
    AttachXdp(String),
    /// Detach the XDP program from a device.
    DetachXdp(String),
    /// Print or serve statistics in the OpenMetrics format.
    Metrics {
        /// The address to serve them at.
        listen: Option<SocketAddr>,
    },
    /// Watch services and servers.
    Top {
        /// Print one screen.
        once: bool,
        /// As JSON.
        json: bool,
        /// The address of the web page to serve instead.
        serve: Option<SocketAddr>,
        /// Time between two updates.
        interval: Duration,
    },
    /// Print changes as they happen.
    Monitor {
        /// As JSON.
        json: bool,
        /// Time between two looks at the states.
        interval: Duration,
    },
    /// Count connections.
    Tally {
        /// Which connections.
        filter: ConnectionFilter,
        /// What they are grouped by, if they are.
        by: Option<GroupBy>,
        /// How many groups are printed; all without.
        most: Option<usize>,
        /// As JSON.
        json: bool,
    },
    /// Remove connections.
    Kill {
        /// Which connections.
        filter: ConnectionFilter,
        /// As JSON.
        json: bool,
    },
    /// Look for mistakes.
    Doctor {
        /// As JSON.
        json: bool,
    },
    /// Synchronization with other directors.
    Sync(Sync),
    /// The table of regions.
    Geo(Geo),
}

/// What to do about the table of regions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Geo {
    /// Check a file, or `-`.
    Check(String),
    /// Load a file, or `-`.
    Load(String),
    /// Print the table.
    Show,
    /// Remove the table.
    Clear,
    /// Print the regions of addresses.
    Where(Vec<IpAddr>),
}

/// What to do about synchronization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sync {
    /// Show the state.
    Status {
        /// How long to wait until the director is ready.
        wait: Option<Duration>,
        /// As JSON.
        json: bool,
    },
    /// Send the whole table, or ask for it.
    Resync,
    /// Add a key.
    SetKey {
        /// The file with the key, or `-`.
        file: String,
        /// Its identifier.
        id: u8,
    },
    /// Delete the key with this identifier.
    DeleteKey(u8),
    /// Add a peer.
    AddPeer(IpAddr),
    /// Delete a peer.
    DeletePeer(IpAddr),
    /// List the peers.
    Peers,
    /// Write the connections.
    Save,
    /// Read connections, and give them to the director.
    Load,
}

/// One service, or those of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// This service.
    Service(ServiceId),
    /// The services that match.
    Filter(ServiceFilter),
}

/// Selects services by address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceFilter {
    /// The protocol; any without.
    pub protocol: Option<Protocol>,
    /// The virtual address.
    pub address: IpAddr,
    /// The virtual port; any without.
    pub port: Option<u16>,
}

impl Target {
    /// Whether this is one of the services.
    #[must_use]
    pub fn matches(&self, id: &ServiceId) -> bool {
        let filter = match self {
            Self::Service(wanted) => return wanted == id,
            Self::Filter(filter) => filter,
        };
        match id {
            ServiceId::Mark { .. } => false,
            ServiceId::Address {
                protocol,
                address,
                port,
            } => {
                filter.address == *address
                    && filter.protocol.is_none_or(|wanted| wanted == *protocol)
                    && filter.port.is_none_or(|wanted| wanted == *port)
            }
        }
    }
}

/// Selects a server in one service or in all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrainOptions {
    /// The service; every service without.
    pub service: Option<ServiceId>,
    /// The server's address.
    pub address: IpAddr,
    /// The server's port; every port without.
    pub port: Option<u16>,
    /// As JSON.
    pub json: bool,
}

/// Options to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merge {
    /// Of the service.
    Service(Box<ServiceMerge>),
    /// Of one of its servers.
    Server(DestinationId, Box<ServerMerge>),
}

impl Merge {
    /// Whether to change nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Service(merge) => **merge == ServiceMerge::default(),
            Self::Server(_, merge) => **merge == ServerMerge::default(),
        }
    }
}

/// What `realserver` does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RealServerAction {
    /// Prints the commands.
    Print,
    /// Prints a systemd unit that runs this command with these arguments.
    Unit(String),
    /// Changes nothing, and says what is missing.
    Check,
    /// Carries out what is missing.
    Apply,
}

/// What to do about loads that real servers report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Feedback {
    /// Asks agents and writes weights.
    Follow {
        /// The file with the rules, or `-`.
        file: String,
        /// Time between two questions.
        period: Duration,
        /// Only once.
        once: bool,
    },
    /// Serves as an agent.
    Serve {
        /// The address to listen on.
        address: SocketAddr,
        /// The load, in percent, at which the server has its base weight.
        reference: u32,
    },
    /// Asks one agent, and tells keepalived by the exit status.
    Check {
        /// The agent.
        agent: SocketAddr,
        /// How long it may take.
        patience: Duration,
        /// The weight of a server that reports 100 %.
        weight: u32,
    },
}

/// Options of a service to change; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceMerge {
    /// The scheduler.
    pub scheduler: Option<String>,
    /// The persistence timeout, or no persistence.
    pub persistence: Option<Option<u32>>,
    /// The persistence granularity.
    pub netmask: Option<Netmask>,
    /// The persistence engine.
    pub engine: Option<String>,
    /// One-packet scheduling.
    pub one_packet: Option<bool>,
    /// Another server when one does not answer.
    pub redispatch: Option<bool>,
    /// The seed of hashes of clients.
    pub hash_seed: Option<u8>,
    /// The scheduler's flags, as they were given: their meaning is the scheduler's.
    pub flags: Option<String>,
}

/// Options of a server to change; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerMerge {
    /// The forwarding method.
    pub forwarding: Option<Forwarding>,
    /// The weight.
    pub weight: Option<u32>,
    /// The upper threshold.
    pub upper_threshold: Option<u32>,
    /// The lower threshold.
    pub lower_threshold: Option<u32>,
    /// The tunnel's type.
    pub tunnel_kind: Option<TunnelKind>,
    /// The tunnel's UDP port.
    pub tunnel_port: Option<u16>,
    /// The tunnel's checksum.
    pub tunnel_checksum: Option<TunnelChecksum>,
}

/// A listing and its form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The subject of a listing.
    pub subject: Subject,
    /// The form.
    pub view: View,
    /// As JSON.
    pub json: bool,
}

/// The subject of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The table, or one service of it.
    Table(Option<ServiceId>),
    /// Connections.
    Connections(ConnectionFilter),
    /// The timeouts.
    Timeouts,
    /// The synchronization daemons.
    Daemons,
}

/// Columns of the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Columns {
    /// Forwarding, weight, connections.
    #[default]
    Plain,
    /// Counters.
    Stats,
    /// Rates.
    Rate,
    /// Thresholds.
    Thresholds,
    /// Persistent connections.
    Persistent,
    /// The plain columns and the tunnel.
    Tunnel,
}

impl Columns {
    /// Whether the columns are statistics.
    #[must_use]
    pub fn has_statistics(self) -> bool {
        matches!(self, Self::Stats | Self::Rate)
    }
}

/// The form of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Which columns.
    pub columns: Columns,
    /// Addresses and ports as numbers.
    pub numeric: bool,
    /// Large figures in full.
    pub exact: bool,
    /// Sorted, not in the kernel's order.
    pub sorted: bool,
    /// Persistence engine data beside connections.
    pub engine_data: bool,
}

impl Default for View {
    fn default() -> Self {
        Self {
            columns: Columns::Plain,
            numeric: false,
            exact: false,
            sorted: true,
            engine_data: false,
        }
    }
}
