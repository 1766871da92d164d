// SPDX-License-Identifier: GPL-2.0-only

//! The director's netfilter hooks: see `Documentation/packet-path.rst`.

use crate::{path::arrive, state::tables::Tables};
use kernel::{alloc::KVec, prelude::*, sync::Arc};
use knet::{
    hook::{Handler, Point, Registration},
    net::Net,
    packet::{Packet, Verdict, Version, V4, V6},
    rcu::Section,
};
use lvs_core::Family;

/// Just before destination NAT, hence after conntrack (-200) and mangle (-150).
const PRE_ROUTING_PRIORITY: i32 = -102;
/// After filter (0), before source NAT (100).
const LOCAL_IN_PRIORITY: i32 = 98;
/// After filter (0), before source NAT (100).
const FORWARD_PRIORITY: i32 = 98;
/// Just after destination NAT (-100), hence after conntrack and mangle.
const LOCAL_OUT_PRIORITY: i32 = -98;

/// Which packets a director has to see.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Coverage {
    /// Packets of known connections leave before routing. Without it they take the way that a
    /// firewall expects: requests by LOCAL_IN, replies by FORWARD.
    pub(crate) short_cut: bool,
    /// A real server is this host; its replies pass LOCAL_OUT.
    pub(crate) local_server: bool,
    /// Real servers' packets of no connection, which are rejected.
    pub(crate) unexpected_replies: bool,
    /// Packets that came out of a tunnel are left alone.
    pub(crate) ignore_tunneled: bool,
}

impl Default for Coverage {
    fn default() -> Self {
        Self {
            short_cut: true,
            local_server: false,
            unexpected_replies: false,
            ignore_tunneled: false,
        }
    }
}

impl Coverage {
    /// The hooks that see these packets, with their priorities.
    fn points(self) -> Result<KVec<(Point, i32)>> {
        let mut points = KVec::new();
        points.push((Point::LocalIn, LOCAL_IN_PRIORITY), GFP_KERNEL)?;
        if self.short_cut {
            points.push((Point::PreRouting, PRE_ROUTING_PRIORITY), GFP_KERNEL)?;
        }
        if !self.short_cut || self.unexpected_replies {
            points.push((Point::Forward, FORWARD_PRIORITY), GFP_KERNEL)?;
        }
        if self.local_server {
            points.push((Point::LocalOut, LOCAL_OUT_PRIORITY), GFP_KERNEL)?;
        }
        Ok(points)
    }
}

impl Handler for Tables {
    #[inline]
    fn handle<'p, V: Version>(
        &self,
        section: &Section<'_>,
        point: Point,
        packet: Packet<'p, V>,
    ) -> Verdict<'p> {
        arrive::handle(self, section, point, packet)
    }
}

/// Leaves packets alone that came out of a tunnel. A separate handler, so the default path pays no
/// per-packet check.
struct IgnoreTunneled(Arc<Tables>);

impl Handler for IgnoreTunneled {
    fn handle<'p, V: Version>(
        &self,
        section: &Section<'_>,
        point: Point,
        packet: Packet<'p, V>,
    ) -> Verdict<'p> {
        if matches!(point, Point::PreRouting | Point::LocalIn) && packet.is_from_tunnel() {
            return packet.accept();
        }
        arrive::handle(&self.0, section, point, packet)
    }
}

/// The hooks of one IP version, registered for as long as the value lives.
enum Registered {
    All {
        _hooks: Registration<Tables>,
    },
    IgnoreTunneled {
        _hooks: Registration<IgnoreTunneled>,
    },
}

impl Registered {
    fn new<V: Version>(net: &Net, tables: &Arc<Tables>, coverage: Coverage) -> Result<Self> {
        let (net, points) = (net.clone(), coverage.points()?);
        Ok(if coverage.ignore_tunneled {
            let handler = Arc::new(IgnoreTunneled(tables.clone()), GFP_KERNEL)?;
            Self::IgnoreTunneled {
                _hooks: Registration::new::<V>(net, handler, &points)?,
            }
        } else {
            Self::All {
                _hooks: Registration::new::<V>(net, tables.clone(), &points)?,
            }
        })
    }
}

/// The hooks of each IP version that a service or destination has ever had.
#[derive(Default)]
pub(crate) struct Hooks {
    v4: Option<Registered>,
    v6: Option<Registered>,
}

impl Hooks {
    /// Registers hooks for `family`, if there are none. Process context.
    pub(crate) fn cover(
        &mut self,
        net: &Net,
        family: Family,
        tables: &Arc<Tables>,
        coverage: Coverage,
    ) -> Result {
        match (family, &self.v4, &self.v6) {
            (Family::V4, None, _) => self.v4 = Some(Registered::new::<V4>(net, tables, coverage)?),
            (Family::V6, _, None) => self.v6 = Some(Registered::new::<V6>(net, tables, coverage)?),
            _ => {}
        }
        Ok(())
    }

    /// Registers other hooks for the same families. Process context.
    pub(crate) fn again(
        &self,
        net: &Net,
        tables: &Arc<Tables>,
        coverage: Coverage,
    ) -> Result<Self> {
        let mut hooks = Self::default();
        if self.v4.is_some() {
            hooks.cover(net, Family::V4, tables, coverage)?;
        }
        if self.v6.is_some() {
            hooks.cover(net, Family::V6, tables, coverage)?;
        }
        Ok(hooks)
    }
}
