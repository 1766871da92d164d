// SPDX-License-Identifier: GPL-2.0-only

//! Helpers for protocols whose connections announce others, and how a module registers one.
//!
//! There is one helper at a time. A module offers it for some ports with
//! [`module_helper!`](crate::module_helper). Each control connection keeps the module loaded.

use core::sync::atomic::{AtomicU32, Ordering};
use kernel::{prelude::*, ThisModule};
use knet::{
    module,
    rcu::{self, Boxed, Cell, Section},
};
use lvs_core::{helper::Helper, packet::TcpFlags, Protocol};

pub use knet::{parameter::MOST as PORTS, ports_parameter};

/// What a module offers.
#[derive(Clone, Copy)]
struct Offer {
    name: &'static CStr,
    module: &'static ThisModule,
    helper: &'static dyn Helper,
    /// 0: none.
    ports: [u16; PORTS],
}

static OFFER: Cell<Offer> = Cell::empty();
/// Control connections.
static USED: AtomicU32 = AtomicU32::new(0);

/// Offers a helper for as long as it lives.
pub struct Registration(());

impl Registration {
    /// Offers `helper` of `module` for control connections to these ports; [`EEXIST`] if there is
    /// one. Process context.
    pub fn new(
        module: &'static ThisModule,
        name: &'static CStr,
        helper: &'static dyn Helper,
        ports: [u16; PORTS],
    ) -> Result<Self> {
        // Only the initialization of modules comes here, one at a time.
        if is_any() {
            return Err(EEXIST);
        }
        let offer = Offer {
            name,
            module,
            helper,
            ports,
        };
        OFFER.replace(Some(Boxed::new(offer, GFP_KERNEL)?));
        Ok(Self(()))
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        OFFER.replace(None);
        // A packet may be about to take a reference, which fails; and RCU frees the offer.
        rcu::synchronize();
    }
}

/// Whether there is a helper. Any context.
#[inline]
pub fn is_any() -> bool {
    !OFFER.is_empty()
}

/// A helper bound to a control connection, whose module it keeps loaded.
pub struct Bound {
    /// The helper.
    pub helper: &'static dyn Helper,
    _module: module::Reference,
}

impl Bound {
    /// The helper for control connections to `port`. Softirq.
    pub fn new(section: &Section<'_>, port: u16) -> Option<Self> {
        let offer = OFFER.get(section)?;
        if port == 0 || !offer.ports.contains(&port) {
            return None;
        }
        let module = module::Reference::new(offer.module)?;
        USED.fetch_add(1, Ordering::Relaxed);
        Some(Self {
            helper: offer.helper,
            _module: module,
        })
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        USED.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A line about a helper.
pub(crate) struct Line {
    pub(crate) name: &'static CStr,
    pub(crate) port: u16,
    pub(crate) used: u32,
}

/// Calls `f` for each port of the helper. Process context.
pub(crate) fn for_each(mut f: impl FnMut(Line)) {
    let offer = rcu::read(|section| OFFER.get(section).copied());
    let used = USED.load(Ordering::Relaxed);
    for (name, port) in offer
        .iter()
        .flat_map(|offer| offer.ports.iter().map(|port| (offer.name, *port)))
        .filter(|(_, port)| *port != 0)
    {
        f(Line { name, port, used });
    }
}

/// The port of control connections of FTP.
pub(crate) const FTP: u16 = 21;
/// The port from which servers of FTP open connections.
const FTP_DATA: u16 = 20;
/// Ports below belong to services.
const FIRST_PORT: u16 = 1024;

/// Whether a client's segment with these flags to `port` may begin a data connection of FTP whose
/// control connection this director need not see through: one to a port at which a server waits; or
/// the client's answer to a server's SYN, which took another way (TUN, DR). Any context.
pub(crate) fn may_be_data(protocol: Protocol, port: u16, flags: TcpFlags) -> bool {
    let answers = flags.contains(TcpFlags::SYN | TcpFlags::ACK) && !flags.contains(TcpFlags::RST);
    protocol == Protocol::Tcp
        && match port {
            FTP_DATA => answers || flags.opens_connection(),
            FIRST_PORT.. => flags.opens_connection(),
            _ => false,
        }
}

/// Loads the module of the helper for control connections to `port`, if it has one and is not
/// loaded. Process context, without locks.
pub(crate) fn request(port: u16) {
    if port == FTP && !is_any() {
        module::request(c"ipvs_rs_", c"ftp");
    }
}

/// Declares a module that offers a helper for control connections to a port. Its parameter `ports`
/// names others:
///
/// ```ignore
/// ipvs::module_helper! {
///     helper: lvs_core::ftp::Ftp,
///     port: 21,
///     ports: "The ports of control connections",
///     shown: c"ftp",
///     name: "ipvs_rs_ftp",
///     description: "The helper for FTP",
/// }
/// ```
#[macro_export]
macro_rules! module_helper {
    (
        helper: $helper:expr,
        port: $port:expr,
        ports: $ports:literal,
        shown: $shown:expr,
        name: $name:literal,
        description: $description:literal $(,)?
    ) => {
        $crate::services::helper::ports_parameter!($port, $ports);

        struct Module {
            _registration: $crate::services::helper::Registration,
        }

        kernel::prelude::module! {
            type: Module,
            name: $name,
            authors: ["The ipvs_rs authors"],
            description: $description,
            license: "GPL",
        }

        impl kernel::Module for Module {
            fn init(module: &'static kernel::ThisModule) -> kernel::error::Result<Self> {
                Ok(Self {
                    _registration: $crate::services::helper::Registration::new(
                        module,
                        $shown,
                        &$helper,
                        PORTS.get(),
                    )?,
                })
            }
        }
    };
}
