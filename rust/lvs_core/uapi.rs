// SPDX-License-Identifier: GPL-2.0-only

//! The numbers of the generic netlink family "IPVS", version 1, which the kernel module and its
//! command share: commands, attributes and flags.
//!
//! Source: `include/uapi/linux/ip_vs.h`

/// The version that the family reports: 1.2.1.
pub const VERSION: u32 = 0x01_02_01;

/// The length of an attribute's payload in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// This many bytes.
    Exact(usize),
    /// This many bytes or fewer.
    AtMost(usize),
}

/// Commands (`IPVS_CMD_*`).
pub mod command {
    /// Adds a service; also the answer to `GET_SERVICE`.
    pub const NEW_SERVICE: u8 = 1;
    /// Edits a service.
    pub const SET_SERVICE: u8 = 2;
    /// Deletes a service.
    pub const DEL_SERVICE: u8 = 3;
    /// Asks for one service, or for all (a dump).
    pub const GET_SERVICE: u8 = 4;
    /// Adds a destination; also the answer to `GET_DEST`.
    pub const NEW_DEST: u8 = 5;
    /// Edits a destination.
    pub const SET_DEST: u8 = 6;
    /// Deletes a destination.
    pub const DEL_DEST: u8 = 7;
    /// Asks for the destinations of a service (a dump).
    pub const GET_DEST: u8 = 8;
    /// Starts a synchronization daemon; also the answer to `GET_DAEMON`.
    pub const NEW_DAEMON: u8 = 9;
    /// Stops a synchronization daemon.
    pub const DEL_DAEMON: u8 = 10;
    /// Asks for the synchronization daemons (a dump).
    pub const GET_DAEMON: u8 = 11;
    /// Sets the timeouts; also the answer to `GET_CONFIG`.
    pub const SET_CONFIG: u8 = 12;
    /// Asks for the timeouts.
    pub const GET_CONFIG: u8 = 13;
    /// The answer to `GET_INFO`.
    pub const SET_INFO: u8 = 14;
    /// Asks for the version and the size of the connection table.
    pub const GET_INFO: u8 = 15;
    /// Zeroes the counters of one service, or of all.
    pub const ZERO: u8 = 16;
    /// Deletes all services.
    pub const FLUSH: u8 = 17;
}

/// Attributes of a message (`IPVS_CMD_ATTR_*`).
pub mod message {
    /// A service: a nest of [`super::service`].
    pub const SERVICE: u16 = 1;
    /// A destination: a nest of [`super::destination`].
    pub const DEST: u16 = 2;
    /// A synchronization daemon: a nest of [`super::daemon`].
    pub const DAEMON: u16 = 3;
    /// The timeout of established TCP, seconds, 32 bits.
    pub const TIMEOUT_TCP: u16 = 4;
    /// The timeout of TCP after a FIN, seconds, 32 bits.
    pub const TIMEOUT_TCP_FIN: u16 = 5;
    /// The timeout of UDP, seconds, 32 bits.
    pub const TIMEOUT_UDP: u16 = 6;
}

/// Attributes of a service (`IPVS_SVC_ATTR_*`), and its flags.
pub mod service {
    use super::Length;

    /// The address family, 16 bits.
    pub const AF: u16 = 1;
    /// The IP protocol, 16 bits.
    pub const PROTOCOL: u16 = 2;
    /// The virtual address, 16 octets; IPv4 uses the first four.
    pub const ADDR: u16 = 3;
    /// The virtual port, 16 bits in network order.
    pub const PORT: u16 = 4;
    /// The firewall mark, 32 bits.
    pub const FWMARK: u16 = 5;
    /// The scheduler, a string.
    pub const SCHED_NAME: u16 = 6;
    /// Flags and mask, 32 bits each.
    pub const FLAGS: u16 = 7;
    /// The persistence timeout, seconds, 32 bits.
    pub const TIMEOUT: u16 = 8;
    /// The persistence granularity, 32 bits.
    pub const NETMASK: u16 = 9;
    /// Statistics in 32 bits: a nest of [`super::stats`].
    pub const STATS: u16 = 10;
    /// The persistence engine, a string.
    pub const PE_NAME: u16 = 11;
    /// Statistics in 64 bits: a nest of [`super::stats`].
    pub const STATS64: u16 = 12;
    /// Flag: connections of one client go to one destination.
    pub const F_PERSISTENT: u32 = 0x1;
    /// Flag: the service is in the table.
    pub const F_HASHED: u32 = 0x2;
    /// Flag: every packet is scheduled by itself.
    pub const F_ONE_PACKET: u32 = 0x4;
    /// Flag: the first that the scheduler interprets (`IP_VS_SVC_F_SCHED1`).
    pub const F_SCHED1: u32 = 0x8;
    /// Flag: the second that the scheduler interprets.
    pub const F_SCHED2: u32 = 0x10;
    /// Flag: the third that the scheduler interprets.
    pub const F_SCHED3: u32 = 0x20;
    /// The first flag of `sh` and `mh`: clients of a server that accepts nothing move.
    pub const F_FALLBACK: u32 = F_SCHED1;
    /// The first flag of a scheduler without memory: no connection entries.
    pub const F_STATELESS: u32 = F_SCHED1;
    /// The third flag of a scheduler without memory: of the packets that a router sends to all
    /// hosts of a link, the host takes those of its own clients.
    pub const F_FILTER: u32 = F_SCHED3;
    /// The second flag of `sh` and `mh`: the hash includes the port.
    pub const F_PORT: u32 = F_SCHED2;
    /// Flag, not of the C director: a client whose server does not answer gets another server
    /// ([`crate::redispatch`]).
    pub const F_REDISPATCH: u32 = 0x1_0000;
    /// Flags, not of the C director: the seed of hashes of clients, in the highest octet.
    pub const F_HASH_SEED: u32 = 0xff << HASH_SEED_SHIFT;
    /// The place of the seed among the flags.
    pub const HASH_SEED_SHIFT: u32 = 24;
    /// The longest name of a scheduler, with its terminator.
    pub const SCHED_NAME_MAX: usize = 16;
    /// The longest name of a persistence engine, with its terminator.
    pub const PE_NAME_MAX: usize = 17;

    /// The lengths of attributes in requests.
    pub const LENGTHS: [(u16, Length); 10] = [
        (AF, Length::Exact(2)),
        (PROTOCOL, Length::Exact(2)),
        (ADDR, Length::AtMost(16)),
        (PORT, Length::Exact(2)),
        (FWMARK, Length::Exact(4)),
        (SCHED_NAME, Length::AtMost(SCHED_NAME_MAX)),
        (FLAGS, Length::Exact(8)),
        (TIMEOUT, Length::Exact(4)),
        (NETMASK, Length::Exact(4)),
        (PE_NAME, Length::AtMost(PE_NAME_MAX)),
    ];
}

/// Attributes of a destination (`IPVS_DEST_ATTR_*`), and their values.
pub mod destination {
    use super::Length;

    /// The address, 16 octets; IPv4 uses the first four.
    pub const ADDR: u16 = 1;
    /// The port, 16 bits in network order.
    pub const PORT: u16 = 2;
    /// The forwarding method, 32 bits.
    pub const FWD_METHOD: u16 = 3;
    /// The weight, 32 bits.
    pub const WEIGHT: u16 = 4;
    /// The upper threshold of connections, 32 bits.
    pub const U_THRESH: u16 = 5;
    /// The lower threshold of connections, 32 bits.
    pub const L_THRESH: u16 = 6;
    /// Active connections, 32 bits.
    pub const ACTIVE_CONNS: u16 = 7;
    /// Inactive connections, 32 bits.
    pub const INACT_CONNS: u16 = 8;
    /// Persistence templates, 32 bits.
    pub const PERSIST_CONNS: u16 = 9;
    /// Statistics in 32 bits: a nest of [`super::stats`].
    pub const STATS: u16 = 10;
    /// The address family, 16 bits.
    pub const ADDR_FAMILY: u16 = 11;
    /// Statistics in 64 bits: a nest of [`super::stats`].
    pub const STATS64: u16 = 12;
    /// The tunnel's type, 8 bits.
    pub const TUN_TYPE: u16 = 13;
    /// The UDP port of a GUE tunnel, 16 bits in network order.
    pub const TUN_PORT: u16 = 14;
    /// The tunnel's checksum, 16 bits.
    pub const TUN_FLAGS: u16 = 15;
    /// The part of `FWD_METHOD` that is the forwarding method.
    pub const FWD_MASK: u32 = 0x7;
    /// With NAT: replies bypass the director (`IP_VS_CONN_F_NOOUTPUT`). The C director ignores it.
    pub const F_NO_OUTPUT: u32 = 0x80;

    /// The lengths of attributes in requests.
    pub const LENGTHS: [(u16, Length); 10] = [
        (ADDR, Length::AtMost(16)),
        (PORT, Length::Exact(2)),
        (FWD_METHOD, Length::Exact(4)),
        (WEIGHT, Length::Exact(4)),
        (U_THRESH, Length::Exact(4)),
        (L_THRESH, Length::Exact(4)),
        (ADDR_FAMILY, Length::Exact(2)),
        (TUN_TYPE, Length::Exact(1)),
        (TUN_PORT, Length::Exact(2)),
        (TUN_FLAGS, Length::Exact(2)),
    ];
}

/// Attributes of a synchronization daemon (`IPVS_DAEMON_ATTR_*`).
pub mod daemon {
    use super::Length;

    /// Its role, 32 bits: 1 sends, 2 receives.
    pub const STATE: u16 = 1;
    /// The network interface, a string.
    pub const MCAST_IFN: u16 = 2;
    /// The group of directors, 32 bits.
    pub const SYNC_ID: u16 = 3;
    /// The longest message, 16 bits.
    pub const SYNC_MAXLEN: u16 = 4;
    /// The IPv4 multicast group, 4 octets.
    pub const MCAST_GROUP: u16 = 5;
    /// The IPv6 multicast group, 16 octets.
    pub const MCAST_GROUP6: u16 = 6;
    /// The UDP port, 16 bits in host order.
    pub const MCAST_PORT: u16 = 7;
    /// The time to live, 8 bits.
    pub const MCAST_TTL: u16 = 8;
    /// The longest name of an interface, with its terminator.
    pub const IFNAME_MAX: usize = 16;

    /// The lengths of attributes in requests.
    pub const LENGTHS: [(u16, Length); 8] = [
        (STATE, Length::Exact(4)),
        (MCAST_IFN, Length::AtMost(IFNAME_MAX)),
        (SYNC_ID, Length::Exact(4)),
        (SYNC_MAXLEN, Length::Exact(2)),
        (MCAST_GROUP, Length::Exact(4)),
        (MCAST_GROUP6, Length::Exact(16)),
        (MCAST_PORT, Length::Exact(2)),
        (MCAST_TTL, Length::Exact(1)),
    ];
}

/// Attributes of statistics (`IPVS_STATS_ATTR_*`). Rates are per second.
pub mod stats {
    /// Connections scheduled.
    pub const CONNS: u16 = 1;
    /// Packets from clients.
    pub const INPKTS: u16 = 2;
    /// Packets to clients.
    pub const OUTPKTS: u16 = 3;
    /// Bytes from clients, always 64 bits.
    pub const INBYTES: u16 = 4;
    /// Bytes to clients, always 64 bits.
    pub const OUTBYTES: u16 = 5;
    /// Rate of connections.
    pub const CPS: u16 = 6;
    /// Rate of packets from clients.
    pub const INPPS: u16 = 7;
    /// Rate of packets to clients.
    pub const OUTPPS: u16 = 8;
    /// Rate of bytes from clients.
    pub const INBPS: u16 = 9;
    /// Rate of bytes to clients.
    pub const OUTBPS: u16 = 10;
    /// Padding.
    pub const PAD: u16 = 11;
}

/// Attributes of the answer to `GET_INFO` (`IPVS_INFO_ATTR_*`).
pub mod info {
    /// The version, 32 bits: one octet for each part.
    pub const VERSION: u16 = 1;
    /// Buckets of the connection table, 32 bits.
    pub const CONN_TAB_SIZE: u16 = 2;
}
