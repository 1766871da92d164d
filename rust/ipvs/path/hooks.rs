// SPDX-License-Identifier: GPL-2.0-only

//! Where a director stands on the way of its namespace's packets: see `Documentation/packet-path.rst`.

use crate::path::Path;
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

/// What a director has to see.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stand {
    /// Packets of known connections are caught before routing and leave at once. Else they take the way
    /// that a firewall expects: requests by LOCAL_IN, replies by FORWARD.
    pub(crate) short_cut: bool,
    /// A real server is this host: its replies pass where nobody else's do.
    pub(crate) hosts_server: bool,
    /// Real servers are told of packets that belong to no connection.
    pub(crate) tells_servers: bool,
    /// What comes out of a tunnel that ends here is not the director's.
    pub(crate) ignores_tunneled: bool,
}

impl Stand {
    /// Where that is, with priorities.
    fn points(self) -> Result<KVec<(Point, i32)>> {
        let mut points = KVec::new();
        points.push((Point::LocalIn, LOCAL_IN_PRIORITY), GFP_KERNEL)?;
        if self.short_cut {
            points.push((Point::PreRouting, PRE_ROUTING_PRIORITY), GFP_KERNEL)?;
        }
        if !self.short_cut || self.tells_servers {
            points.push((Point::Forward, FORWARD_PRIORITY), GFP_KERNEL)?;
        }
        if self.hosts_server {
            points.push((Point::LocalOut, LOCAL_OUT_PRIORITY), GFP_KERNEL)?;
        }
        Ok(points)
    }
}

/// Looks away from what comes out of tunnels. Who does not want that has not to pay for it with a look at
/// every packet.
struct Outside(Arc<Path>);

impl Handler for Outside {
    fn handle<'p, V: Version>(
        &self,
        section: &Section<'_>,
        point: Point,
        packet: Packet<'p, V>,
    ) -> Verdict<'p> {
        if matches!(point, Point::PreRouting | Point::LocalIn) && packet.is_from_tunnel() {
            return packet.accept();
        }
        self.0.handle(section, point, packet)
    }
}

/// The hooks of one IP version; they go when it is dropped.
enum Taken {
    All { _hooks: Registration<Path> },
    Outside { _hooks: Registration<Outside> },
}

impl Taken {
    fn new<V: Version>(net: &Net, path: &Arc<Path>, stand: Stand) -> Result<Self> {
        let (net, points) = (net.clone(), stand.points()?);
        Ok(if stand.ignores_tunneled {
            let outside = Arc::new(Outside(path.clone()), GFP_KERNEL)?;
            Self::Outside {
                _hooks: Registration::new::<V>(net, outside, &points)?,
            }
        } else {
            Self::All {
                _hooks: Registration::new::<V>(net, path.clone(), &points)?,
            }
        })
    }
}

/// Those of each IP version that a service or a destination was ever of.
#[derive(Default)]
pub(crate) struct Hooks {
    v4: Option<Taken>,
    v6: Option<Taken>,
}

impl Hooks {
    /// Sees to it that there are hooks for this family.
    pub(crate) fn cover(
        &mut self,
        net: &Net,
        family: Family,
        path: &Arc<Path>,
        stand: Stand,
    ) -> Result {
        match (family, &self.v4, &self.v6) {
            (Family::V4, None, _) => self.v4 = Some(Taken::new::<V4>(net, path, stand)?),
            (Family::V6, _, None) => self.v6 = Some(Taken::new::<V6>(net, path, stand)?),
            _ => {}
        }
        Ok(())
    }

    /// Others for the same families.
    pub(crate) fn moved(&self, net: &Net, path: &Arc<Path>, stand: Stand) -> Result<Self> {
        let mut hooks = Self::default();
        if self.v4.is_some() {
            hooks.cover(net, Family::V4, path, stand)?;
        }
        if self.v6.is_some() {
            hooks.cover(net, Family::V6, path, stand)?;
        }
        Ok(hooks)
    }
}
