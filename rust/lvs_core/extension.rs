// SPDX-License-Identifier: GPL-2.0-only

//! The numbers of the generic netlink family `ipvs_rs`. The kernel module and the command share
//! them.
//!
//! This family extends the family "IPVS" without giving a number there another meaning.
//! See `Documentation/netlink.rst`. A number never gets a second meaning.

use core::ffi::CStr;

/// The family's name.
pub const NAME: &CStr = c"ipvs_rs";

/// The version of the family's messages.
pub const FAMILY_VERSION: u8 = 1;

/// The version of the module and the command, from `Cargo.toml` at the top of the tree. Cargo sets
/// the variable for the command, Kbuild for the module.
pub const VERSION: &CStr =
    match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => c"unknown",
    };

/// Commands. An answer has the number of its command.
pub mod command {
    /// Returns the module's version and features.
    pub const GET_MODULE: u8 = 1;
    /// Lists connections (a dump).
    pub const GET_CONNECTIONS: u8 = 2;
    /// Lists all services, each followed by its destinations (a dump).
    pub const GET_TABLE: u8 = 3;
    /// Executes commands of the family "IPVS" that change something, up to the first refused one;
    /// with [`super::message::ATOMIC`] all or none.
    pub const APPLY: u8 = 4;
    /// Returns how many packets were dropped in the namespace, by reason.
    pub const GET_DROPS: u8 = 5;
    /// Reports a change to the listeners of [`super::GROUP`]. Not a request.
    pub const EVENT: u8 = 6;
    /// Removes connections.
    pub const KILL: u8 = 7;
    /// Returns what synchronization daemons have done, and whether the backup is ready.
    pub const GET_SYNC: u8 = 8;
    /// Has the master send the whole table, and the backup ask for it.
    pub const RESYNC: u8 = 9;
    /// Adds a key that signs synchronization datagrams.
    pub const ADD_SYNC_KEY: u8 = 10;
    /// Deletes such a key.
    pub const DEL_SYNC_KEY: u8 = 11;
    /// Adds a director that synchronization daemons send to, instead of a multicast group.
    pub const ADD_SYNC_PEER: u8 = 12;
    /// Deletes such a director.
    pub const DEL_SYNC_PEER: u8 = 13;
    /// Replaces the table of regions; without [`super::message::REGIONS`], removes it.
    pub const LOAD_REGIONS: u8 = 14;
    /// Returns the table of regions (a dump).
    pub const GET_REGIONS: u8 = 15;
}

/// The name of the multicast group that [`command::EVENT`] is sent to.
pub const GROUP: &CStr = c"events";

/// Attributes of a message.
pub mod message {
    /// The module's version, a string.
    pub const VERSION: u16 = 1;
    /// The features of the module: attributes with the kinds 1, 2 and so on, each a string from
    /// [`super::feature`].
    pub const FEATURES: u16 = 2;
    /// A connection, or the selection of a request: attributes of [`super::connection`].
    pub const CONNECTION: u16 = 3;
    /// A service: attributes of `IPVS_SVC_ATTR_*`.
    pub const SERVICE: u16 = 4;
    /// A destination of the service listed last: attributes of `IPVS_DEST_ATTR_*`.
    pub const DEST: u16 = 5;
    /// One change, repeated for each change: attributes of [`super::change`].
    pub const CHANGE: u16 = 6;
    /// The number of changes that were made, or of connections that were removed, 32 bits.
    pub const DONE: u16 = 7;
    /// In a request for the table: leave the statistics out. A flag without a value.
    pub const NO_STATISTICS: u16 = 8;
    /// Dropped packets, beside a service or a destination or by themselves: an attribute for each
    /// reason for which packets were dropped. Its kind is the number of the
    /// [`Reason`](crate::drop::Reason), its value the count, 64 bits.
    pub const DROPS: u16 = 9;
    /// In an event: the number of the command of the family "IPVS" that was executed, 8 bits.
    pub const EXECUTED: u16 = 10;
    /// In a request for changes: make all of them or none. A flag without a value.
    pub const ATOMIC: u16 = 11;
    /// Synchronization: attributes of [`super::sync`].
    pub const SYNC: u16 = 12;
    /// Octets of a table of regions ([`crate::regions`]), repeated: the table is all of them, in
    /// order.
    pub const REGIONS: u16 = 13;
}

/// Attributes of synchronization.
pub mod sync {
    /// How far the backup has joined, 8 bits: [`JOINING`], [`COMPLETE`] or [`ALONE`]. Absent if no
    /// backup runs.
    pub const BACKUP: u16 = 1;
    /// The roles that run, 32 bits: the sum of `IPVS_STATE_*`.
    pub const ROLES: u16 = 2;
    /// Events: an attribute for each that occurred. Its kind is the number of the
    /// [`Event`](crate::sync::Event), its value the count, 64 bits.
    pub const EVENTS: u16 = 3;
    /// The identifiers of the keys, an octet each. The first one signs.
    pub const KEYS: u16 = 4;
    /// In a request: the identifier of a key, 8 bits.
    pub const KEY_ID: u16 = 5;
    /// In a request: a key, 32 octets. No answer has it.
    pub const KEY: u16 = 6;
    /// The address of a peer, 4 octets (IPv4) or 16 (IPv6); repeated for each in an answer.
    pub const PEER: u16 = 7;

    /// The backup waits for the whole table.
    pub const JOINING: u8 = 0;
    /// The backup has the whole table of a master.
    pub const COMPLETE: u8 = 1;
    /// No master has answered the backup.
    pub const ALONE: u8 = 2;
}

/// Attributes of a change.
pub mod change {
    /// The command's number in the family "IPVS", 8 bits.
    pub const COMMAND: u16 = 1;
    /// The command's attributes in the family "IPVS".
    pub const ATTRIBUTES: u16 = 2;
}

/// Attributes of a connection. An address has 4 octets (IPv4) or 16 (IPv6), a port 16 bits, both in
/// network order.
pub mod connection {
    /// The protocol's number, 8 bits; 0 for the template of a firewall mark.
    pub const PROTOCOL: u16 = 1;
    /// The state's name, a string.
    pub const STATE: u16 = 2;
    /// Seconds until the entry expires if no packet comes, 32 bits.
    pub const EXPIRES: u16 = 3;
    /// The client's address.
    pub const CLIENT_ADDR: u16 = 4;
    /// The client's port.
    pub const CLIENT_PORT: u16 = 5;
    /// The virtual address.
    pub const VIRTUAL_ADDR: u16 = 6;
    /// The virtual port.
    pub const VIRTUAL_PORT: u16 = 7;
    /// The real server's address.
    pub const SERVER_ADDR: u16 = 8;
    /// The real server's port.
    pub const SERVER_PORT: u16 = 9;
    /// In a request: the number of significant bits in the client's address, 8 bits.
    pub const CLIENT_PREFIX: u16 = 10;
    /// The same for the virtual address.
    pub const VIRTUAL_PREFIX: u16 = 11;
    /// The same for the real server's address.
    pub const SERVER_PREFIX: u16 = 12;
    /// The name of the persistence engine of a template, a string.
    pub const ENGINE: u16 = 13;
    /// The octets by which the engine recognizes the template's client.
    pub const ENGINE_DATA: u16 = 14;
}

/// Names of the features that a module has beyond the first version of this family.
pub mod feature {
    use core::ffi::CStr;

    /// [`super::command::GET_CONNECTIONS`] with all selections above.
    pub const CONNECTIONS: &CStr = c"connections";

    /// [`super::command::GET_TABLE`].
    pub const TABLE: &CStr = c"table";
    /// [`super::command::APPLY`].
    pub const APPLY: &CStr = c"apply";

    /// [`super::command::GET_DROPS`], and [`super::message::DROPS`] in the table.
    pub const DROPS: &CStr = c"drops";

    /// [`super::command::EVENT`].
    pub const EVENTS: &CStr = c"events";

    /// The selection by [`super::connection::STATE`].
    pub const STATES: &CStr = c"states";
    /// [`super::command::KILL`].
    pub const KILL: &CStr = c"kill";

    /// [`super::message::ATOMIC`].
    pub const ATOMIC: &CStr = c"atomic";

    /// [`super::command::GET_SYNC`] and the commands after it.
    pub const SYNC: &CStr = c"sync";

    /// [`super::command::LOAD_REGIONS`], [`super::command::GET_REGIONS`], and the scheduler `geo`.
    pub const REGIONS: &CStr = c"regions";

    /// All features of this version.
    pub const ALL: &[&CStr] = &[
        CONNECTIONS,
        TABLE,
        APPLY,
        DROPS,
        EVENTS,
        STATES,
        KILL,
        ATOMIC,
        SYNC,
        REGIONS,
    ];
}
