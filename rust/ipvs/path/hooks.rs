// SPDX-License-Identifier: GPL-2.0-only

//! The director's netfilter hooks: see `Documentation/packet-path.rst`.

use crate::{path::arrive, state::tables::Tables};
use kernel::{
    alloc::KVec,
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex},
};
use knet::{
    hook::{Handler, Point, Registration},
    ingress::{Devices, Rtnl},
    net::Net,
    packet::{Packet, Verdict, Version, V4, V6},
    rcu::Section,
    xdp::{batch::Queue, registration::Registration as Frames},
};
use lvs_core::{batch, Family};

/// Just before destination NAT (-100), hence after conntrack (-200) and mangle (-150).
const PRE_ROUTING_PRIORITY: i32 = -102;
/// Just after destination NAT, with `conntrack`: it gives replies to packets whose source was
/// translated their client's address back.
const PRE_ROUTING_TRACKED_PRIORITY: i32 = -99;
/// After filter (0), before source NAT (100).
const LOCAL_IN_PRIORITY: i32 = 98;
/// After filter (0), before source NAT (100).
const FORWARD_PRIORITY: i32 = 98;
/// After filter (0), before source NAT (100).
const LOCAL_OUT_PRIORITY: i32 = 98;
/// After conntrack and filter, before source NAT (100).
const POST_ROUTING_PRIORITY: i32 = 98;

/// Which packets a director has to see.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Coverage {
    /// Packets of known connections leave before routing. Without it they take the way that a
    /// firewall expects: requests by LOCAL_IN, replies by FORWARD.
    pub(crate) short_cut: bool,
    /// With the short cut, they leave where they come in, if nobody else would see them before
    /// PRE_ROUTING.
    pub(crate) fast_path: bool,
    /// With the fast path, XDP programs hand over frames before they are packets.
    pub(crate) xdp: bool,
    /// Conntrack tracks balanced connections.
    pub(crate) conntrack: bool,
    /// A real server is this host.
    pub(crate) local_server: bool,
    /// A real server is reached by NAT. This host's own errors about packets to it, for example
    /// because the server does not answer on its link, quote the server's address.
    pub(crate) nat: bool,
    /// A service has a virtual address that is not this host's, or a firewall mark, whose virtual
    /// addresses nobody knows. Its clients may be programs on this host, and errors about its
    /// replies are forwarded.
    pub(crate) foreign: bool,
    /// Real servers' packets of no connection, which are rejected.
    pub(crate) unexpected_replies: bool,
    /// Packets that came out of a tunnel are left alone.
    pub(crate) ignore_tunneled: bool,
    /// No packets at all while a backup daemon runs.
    pub(crate) backup_only: bool,
    /// A backup daemon runs.
    pub(crate) backup_runs: bool,
}

impl Default for Coverage {
    fn default() -> Self {
        Self {
            short_cut: true,
            fast_path: true,
            xdp: false,
            conntrack: false,
            local_server: false,
            nat: false,
            foreign: false,
            unexpected_replies: false,
            ignore_tunneled: false,
            backup_only: false,
            backup_runs: false,
        }
    }
}

impl Coverage {
    /// Whether packets may leave where they come in.
    fn takes_early(self) -> bool {
        self.fast_path && self.short_cut && !self.conntrack
    }

    /// Whether frames may leave before they are packets.
    fn takes_frames(self) -> bool {
        self.xdp && self.takes_early()
    }

    /// The hooks that see these packets, with their priorities.
    fn points(self) -> Result<KVec<(Point, i32)>> {
        let mut points = KVec::new();
        if self.backup_only && self.backup_runs {
            return Ok(points);
        }
        points.push((Point::LocalIn, LOCAL_IN_PRIORITY), GFP_KERNEL)?;
        if self.short_cut {
            let priority = match self.conntrack {
                true => PRE_ROUTING_TRACKED_PRIORITY,
                false => PRE_ROUTING_PRIORITY,
            };
            points.push((Point::PreRouting, priority), GFP_KERNEL)?;
        }
        if !self.short_cut || self.unexpected_replies || self.foreign {
            points.push((Point::Forward, FORWARD_PRIORITY), GFP_KERNEL)?;
        }
        // Without the short cut, POST_ROUTING has the errors of this host.
        if self.local_server || self.foreign || (self.nat && self.short_cut) {
            points.push((Point::LocalOut, LOCAL_OUT_PRIORITY), GFP_KERNEL)?;
        }
        if !self.short_cut || self.local_server {
            points.push((Point::PostRouting, POST_ROUTING_PRIORITY), GFP_KERNEL)?;
        }
        Ok(points)
    }
}

impl Handler for Tables {
    #[inline(always)]
    fn concerns<V: Version>(&self, point: Point, packet: &Packet<'_, V>) -> bool {
        arrive::concerns(self, point, packet)
    }

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
    fn concerns<V: Version>(&self, point: Point, packet: &Packet<'_, V>) -> bool {
        let arrives = matches!(point, Point::PreRouting | Point::LocalIn);
        arrive::concerns(&self.0, point, packet) && !(arrives && packet.is_from_tunnel())
    }

    fn handle<'p, V: Version>(
        &self,
        section: &Section<'_>,
        point: Point,
        packet: Packet<'p, V>,
    ) -> Verdict<'p> {
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
        net.recognize_hooks();
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

/// The hooks of a namespace, shared by its configuration and its slow timer.
#[pin_data]
pub(crate) struct Hooks {
    net: Net,
    tables: Arc<Tables>,
    #[pin]
    state: Mutex<State>,
    #[pin]
    early: Mutex<Early>,
}

/// The devices where packets leave as they come in.
struct Early {
    /// Devices are learned.
    learns: bool,
    devices: Devices<Tables>,
    /// Frames are taken.
    frames: Option<Frames<Tables>>,
    /// Where no frames wait any more. To delete it takes the RTNL, which is not taken under this
    /// lock, nor under that of the configuration.
    unused: Option<Queue<Tables>>,
    /// The number of frames that have waited in queues that are gone.
    waited: u64,
}

impl Early {
    /// Begins to learn devices, or forgets them all. Process context.
    fn learn(&mut self, tables: &Tables, begin: bool) {
        if self.learns == begin {
            return;
        }
        self.learns = begin;
        tables.arrivals.learn(begin);
        if !begin {
            self.devices.clear();
        }
    }

    /// Begins to take frames, if `begin`. Process context.
    fn take_frames(&mut self, net: &Net, tables: &Arc<Tables>, begin: bool) -> Result {
        if begin && self.frames.is_none() {
            self.frames = Some(Frames::new(net.clone(), tables.clone())?);
        }
        Ok(())
    }

    /// Has frames wait for others in this queue, if they are taken. Process context.
    fn wait(&mut self, queue: Queue<Tables>) {
        match &mut self.frames {
            Some(frames) => frames.wait(queue),
            None => self.unused = Some(queue),
        }
    }

    /// Has no frames wait any more. Process context.
    fn stop_waiting(&mut self) {
        let queue = self
            .frames
            .as_mut()
            .and_then(|frames| frames.stop_waiting());
        if queue.is_some() {
            self.unused = queue;
        }
    }

    /// Takes no frames any more. Process context.
    fn leave_frames(&mut self) {
        self.stop_waiting();
        self.frames = None;
    }

    /// The number of packets and frames that have waited for others. Any context.
    fn waited(&self) -> u64 {
        let frames = self.frames.as_ref().map_or(0, |frames| frames.waited());
        let unused = self.unused.as_ref().map_or(0, |queue| queue.handled());
        [self.waited, frames, unused]
            .into_iter()
            .fold(self.devices.waited(), u64::wrapping_add)
    }
}

struct State {
    coverage: Coverage,
    families: Families,
}

/// The hooks of each IP version that a service or destination has ever had.
#[derive(Default)]
struct Families {
    v4: Option<Registered>,
    v6: Option<Registered>,
}

impl Families {
    fn cover(
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
}

impl Hooks {
    /// No hooks yet. Process context.
    pub(crate) fn new(net: Net, tables: Arc<Tables>, coverage: Coverage) -> Result<Arc<Self>> {
        let state = State {
            coverage,
            families: Families::default(),
        };
        let mut early = Early {
            learns: false,
            devices: Devices::new(net.clone(), tables.clone())?,
            frames: None,
            unused: None,
            waited: 0,
        };
        early.learn(&tables, coverage.takes_early());
        early.take_frames(&net, &tables, coverage.takes_frames())?;
        Arc::pin_init(
            pin_init!(Self {
                net,
                tables,
                state <- new_mutex!(state, "ipvs_rs_hooks"),
                early <- new_mutex!(early, "ipvs_rs_devices"),
            }),
            GFP_KERNEL,
        )
    }

    /// Adds the hook to the device that a packet of a known connection came in by. Process context.
    pub(crate) fn learn_device(&self) {
        let Some(device) = self.tables.arrivals.take() else {
            return;
        };
        // Its holder may keep it for long. The next packet reports its device again.
        let Some(rtnl) = Rtnl::try_lock() else {
            return;
        };
        let mut early = self.early.lock();
        if early.learns {
            self.net.recognize_hooks();
            // Devices that are no network cards are not learned; their packets come to
            // PRE_ROUTING. Without memory it tries again.
            let _ = early.devices.add(&rtnl, device);
        }
    }

    /// Has packets and frames wait for others where they come in, if that pays. Process context.
    pub(crate) fn adapt(&self) {
        let connections = self.tables.connections.count();
        let mut early = self.early.lock();
        let waits = early.devices.waits();
        let pays = early.learns && batch::pays(waits, connections);
        if pays != waits {
            // Without memory it tries again.
            let _ = early.devices.set_waits(pays);
        }
        drop(early);
        self.adapt_frames(connections);
    }

    /// The same for frames. If somebody has the RTNL, it tries again.
    fn adapt_frames(&self, connections: usize) {
        let mut early = self.early.lock();
        let waits = early.frames.as_ref().is_some_and(|frames| frames.waits());
        let pays = early.frames.is_some() && batch::pays(waits, connections);
        if pays == waits && early.unused.is_none() {
            return;
        }
        if waits && !pays {
            early.stop_waiting();
        }
        match (pays && !waits, early.unused.take()) {
            (true, Some(queue)) => early.wait(queue),
            (true, None) => {
                drop(early);
                // Only the slow timer adds queues, so there is no other one now.
                if let Ok(queue) = Queue::new(self.net.clone(), self.tables.clone()) {
                    self.early.lock().wait(queue);
                }
            }
            (false, Some(queue)) => {
                let handled = queue.handled();
                early.waited = early.waited.wrapping_add(handled);
                drop(early);
                if let Err(queue) = queue.try_end() {
                    let mut early = self.early.lock();
                    early.waited = early.waited.wrapping_sub(handled);
                    early.unused = Some(queue);
                }
            }
            (false, None) => {}
        }
    }

    /// The number of packets and frames that have waited for others. Process context.
    pub(crate) fn waited(&self) -> u64 {
        self.early.lock().waited()
    }

    /// The number of devices where packets leave as they come in. Process context.
    pub(crate) fn devices(&self) -> usize {
        self.early.lock().devices.indices().count()
    }

    /// The device with this index is removed, or moves to another namespace. Process context, under
    /// the RTNL.
    pub(crate) fn forget_device(&self, device: i32) {
        self.early.lock().devices.remove(device);
    }

    /// Registers hooks for `family`, if there are none. Process context.
    pub(crate) fn cover(&self, family: Family) -> Result {
        let mut state = self.state.lock();
        let State { coverage, families } = &mut *state;
        families.cover(&self.net, family, &self.tables, *coverage)
    }

    /// Changes which packets the hooks see. The new hooks come before the old ones go, so that they
    /// miss no packet; one that meets both is handled by the first. Process context.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Coverage)) -> Result {
        let mut state = self.state.lock();
        let State { coverage, families } = &mut *state;
        let mut changed = *coverage;
        change(&mut changed);
        if changed == *coverage {
            return Ok(());
        }
        // A packet that must not leave early any more does not.
        let mut early = self.early.lock();
        if !changed.takes_early() {
            early.learn(&self.tables, false);
        }
        if !changed.takes_frames() {
            early.leave_frames();
        }
        drop(early);
        let result = self.cover_again(families, changed);
        if result.is_ok() {
            *coverage = changed;
        }
        let mut early = self.early.lock();
        early.learn(&self.tables, coverage.takes_early());
        let frames = early.take_frames(&self.net, &self.tables, coverage.takes_frames());
        result.and(frames)
    }

    /// Replaces the hooks of each family by those that see these packets.
    fn cover_again(&self, families: &mut Families, coverage: Coverage) -> Result {
        let mut again = Families::default();
        if families.v4.is_some() {
            again.cover(&self.net, Family::V4, &self.tables, coverage)?;
        }
        if families.v6.is_some() {
            again.cover(&self.net, Family::V6, &self.tables, coverage)?;
        }
        *families = again;
        Ok(())
    }

    /// Unregisters all hooks; no packet is inside a handler afterwards. Process context.
    pub(crate) fn stop(&self) {
        let mut state = self.state.lock();
        // The slow timer may still change the coverage.
        state.coverage.fast_path = false;
        let mut early = self.early.lock();
        early.learn(&self.tables, false);
        early.leave_frames();
        drop(early);
        state.families = Families::default();
    }

    /// Deletes the device where frames have waited. Process context, after [`Self::stop`] and the
    /// end of the slow timer; takes the RTNL.
    pub(crate) fn clear(&self) {
        let unused = self.early.lock().unused.take();
        drop(unused);
    }
}
