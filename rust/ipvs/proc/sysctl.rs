// SPDX-License-Identifier: GPL-2.0-only

//! Settings of a namespace's director, in `/proc/sys/net/ipv4/vs`.

use crate::{director::Director, path::hooks::Stand, state::settings::Settings};
use core::{
    marker::PhantomData,
    ops::RangeInclusive,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};
use kernel::prelude::*;
use knet::sysctl::{Entry, Setting};

/// Where they are.
pub(crate) const PATH: &CStr = c"net/ipv4/vs";

/// All of them.
pub(crate) static SETTINGS: [Entry<Director>; 17] = [
    Entry::of::<Number<AmDroprate>>(),
    Entry::of::<Number<Amemthresh>>(),
    Entry::of::<ConnMax>(),
    Entry::of::<Number<ConnReuseMode>>(),
    Entry::of::<OnOff<Conntrack>>(),
    Entry::of::<Number<DropEntry>>(),
    Entry::of::<Number<DropPacket>>(),
    Entry::of::<OnOff<ExpireNodestConn>>(),
    Entry::of::<OnOff<ExpireQuiescentTemplate>>(),
    Entry::of::<Seen<IgnoreTunneled>>(),
    Entry::of::<Seen<NatIcmpSend>>(),
    Entry::of::<OnOff<PmtuDisc>>(),
    Entry::of::<OnOff<RunEstimation>>(),
    Entry::of::<OnOff<ScheduleIcmp>>(),
    Entry::of::<Number<SecureTcp>>(),
    Entry::of::<Seen<ShortCut>>(),
    Entry::of::<OnOff<SloppyTcp>>(),
];

/// How many connections there may be.
struct ConnMax;

impl Setting for ConnMax {
    type Of = Director;
    const NAME: &'static CStr = c"conn_max";
    const RANGE: RangeInclusive<u32> = 1..=Director::MOST_CONNECTIONS;

    fn get(director: &Director) -> u32 {
        director.most_connections()
    }

    fn set(director: &Director, value: u32) -> Result {
        director.set_most_connections(value);
        Ok(())
    }
}

/// A setting that changes what a director gets to see.
trait Sight: Send + Sync + 'static {
    const NAME: &'static CStr;

    fn of(stand: &mut Stand) -> &mut bool;
}

/// A [`Sight`] as a setting.
struct Seen<S>(PhantomData<S>);

impl<S: Sight> Setting for Seen<S> {
    type Of = Director;
    const NAME: &'static CStr = S::NAME;
    const RANGE: RangeInclusive<u32> = 0..=1;

    fn get(director: &Director) -> u32 {
        (*S::of(&mut director.stand())).into()
    }

    fn set(director: &Director, value: u32) -> Result {
        director.change_stand(|stand| *S::of(stand) = value != 0)
    }
}

macro_rules! sights {
    ($($(#[$doc:meta])* $name:ident: $file:literal => $field:ident,)*) => { $(
        $(#[$doc])*
        struct $name;

        impl Sight for $name {
            const NAME: &'static CStr = $file;

            fn of(stand: &mut Stand) -> &mut bool {
                &mut stand.$field
            }
        }
    )* };
}

sights! {
    /// Whether what comes out of a tunnel that ends here is left alone.
    IgnoreTunneled: c"ignore_tunneled" => ignores_tunneled,
    /// Whether real servers by NAT are told when what they send is of no connection.
    NatIcmpSend: c"nat_icmp_send" => tells_servers,
    /// Whether packets of known connections are caught before routing, or take the way that firewalls
    /// expect.
    ShortCut: c"short_cut" => short_cut,
}

/// A setting that is on or off.
trait Switch: Send + Sync + 'static {
    const NAME: &'static CStr;

    fn of(settings: &Settings) -> &AtomicBool;
}

/// A [`Switch`] as a setting.
struct OnOff<S>(PhantomData<S>);

impl<S: Switch> Setting for OnOff<S> {
    type Of = Director;
    const NAME: &'static CStr = S::NAME;
    const RANGE: RangeInclusive<u32> = 0..=1;

    fn get(director: &Director) -> u32 {
        S::of(&director.settings).load(Ordering::Relaxed).into()
    }

    fn set(director: &Director, value: u32) -> Result {
        S::of(&director.settings).store(value != 0, Ordering::Relaxed);
        Ok(())
    }
}

macro_rules! settings {
    ($($(#[$doc:meta])* $name:ident: $file:literal => $field:ident,)*) => { $(
        $(#[$doc])*
        struct $name;

        impl Switch for $name {
            const NAME: &'static CStr = $file;

            fn of(settings: &Settings) -> &AtomicBool {
                &settings.$field
            }
        }
    )* };
}

settings! {
    /// Whether connections are tracked by conntrack.
    Conntrack: c"conntrack" => conntrack,
    /// Whether connections to a server that was deleted end with their next packet.
    ExpireNodestConn: c"expire_nodest_conn" => expire_nodest_conn,
    /// Whether a client of a persistent service gets another server when its own is quiesced.
    ExpireQuiescentTemplate: c"expire_quiescent_template" => expire_quiescent_template,
    /// Whether senders of packets that are too large for a tunnel are told so where they forbid fragments.
    PmtuDisc: c"pmtu_disc" => pmtu_disc,
    /// Whether rates are estimated.
    RunEstimation: c"run_estimation" => run_estimation,
    /// Whether errors about packets of no connection are balanced as if they were of one.
    ScheduleIcmp: c"schedule_icmp" => schedule_icmp,
    /// Whether connections are taken over in their midst.
    SloppyTcp: c"sloppy_tcp" => sloppy_tcp,
}

/// A setting that is a number.
trait Quantity: Send + Sync + 'static {
    const NAME: &'static CStr;
    const RANGE: RangeInclusive<u32>;

    fn of(settings: &Settings) -> &AtomicU32;
}

/// A [`Quantity`] as a setting.
struct Number<Q>(PhantomData<Q>);

impl<Q: Quantity> Setting for Number<Q> {
    type Of = Director;
    const NAME: &'static CStr = Q::NAME;
    const RANGE: RangeInclusive<u32> = Q::RANGE;

    fn get(director: &Director) -> u32 {
        Q::of(&director.settings).load(Ordering::Relaxed)
    }

    fn set(director: &Director, value: u32) -> Result {
        Q::of(&director.settings).store(value, Ordering::Relaxed);
        // In force at once, not with the next tick.
        director.settings.defence.update();
        Ok(())
    }
}

/// The most that the C director takes.
const MOST: u32 = i32::MAX as u32;
/// The numbers of [`lvs_core::defence::Mode`].
const MODES: RangeInclusive<u32> = 0..=3;

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident: $file:literal, $range:expr => $($field:ident).+,)*) => { $(
        $(#[$doc])*
        struct $name;

        impl Quantity for $name {
            const NAME: &'static CStr = $file;
            const RANGE: RangeInclusive<u32> = $range;

            fn of(settings: &Settings) -> &AtomicU32 {
                &settings.$($field).+
            }
        }
    )* };
}

numbers! {
    /// Of how many new connections one is dropped always, under `drop_packet` 3.
    AmDroprate: c"am_droprate", 0..=MOST => defence.drop_rate,
    /// Below how many free pages the automatic modes act.
    Amemthresh: c"amemthresh", 0..=MOST => defence.threshold,
    /// Which connections a client that uses a port again leaves behind.
    ConnReuseMode: c"conn_reuse_mode", 0..=3 => conn_reuse_mode,
    /// When entries are dropped that never came to be, or that nobody uses.
    DropEntry: c"drop_entry", MODES => defence.drop_entry,
    /// When some new connections are dropped.
    DropPacket: c"drop_packet", MODES => defence.drop_packet,
    /// When handshakes are guarded.
    SecureTcp: c"secure_tcp", MODES => defence.secure_tcp,
}
