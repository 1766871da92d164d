// SPDX-License-Identifier: GPL-2.0-only

//! Edits that keep what they do not name: `set`.
//!
//! Belongs here: old options and given options → new options. Never: asking the director.

use crate::cli::{ServerMerge, ServiceMerge};
use crate::error::Error;
use crate::model::{Destination, Forwarding, Service, ServiceFlags, Tunnel, TunnelKind};
use crate::parse;

/// The service with the given options.
///
/// # Errors
///
/// When options do not fit each other.
pub fn service(old: &Service, merge: &ServiceMerge) -> Result<Service, Error> {
    let mut new = old.clone();
    if let Some(scheduler) = &merge.scheduler {
        // Flags mean something else to another scheduler.
        if *scheduler != new.scheduler {
            new.flags = without(new.flags, scheduler_flags());
        }
        new.scheduler.clone_from(scheduler);
    }
    if let Some(text) = &merge.flags {
        let flags = parse::scheduler_flags(text, &new.scheduler)
            .map_err(|why| Error::Usage(format!("--sched-flags {text:?}: {why}")))?;
        new.flags = without(new.flags, scheduler_flags()).with(flags);
    }
    match merge.persistence {
        Some(Some(timeout)) => {
            new.flags = new.flags.with(ServiceFlags::PERSISTENT);
            new.timeout = timeout;
        }
        Some(None) => {
            new.flags = without(new.flags, ServiceFlags::PERSISTENT);
            new.timeout = 0;
            new.netmask = crate::model::Netmask::host(new.id.family());
            new.engine = None;
        }
        None => (),
    }
    let persistent = new.flags.contains(ServiceFlags::PERSISTENT);
    if !persistent && (merge.netmask.is_some() || merge.engine.is_some()) {
        return Err(Error::Usage(
            "--netmask and --pe need a persistent service: add --persistent".to_owned(),
        ));
    }
    if let Some(netmask) = merge.netmask {
        new.netmask = netmask;
    }
    if let Some(engine) = &merge.engine {
        new.engine = Some(engine.clone());
    }
    match merge.one_packet {
        Some(true) => new.flags = new.flags.with(ServiceFlags::ONE_PACKET),
        Some(false) => new.flags = without(new.flags, ServiceFlags::ONE_PACKET),
        None => (),
    }
    match merge.redispatch {
        Some(true) => new.flags = new.flags.with(ServiceFlags::REDISPATCH),
        Some(false) => new.flags = without(new.flags, ServiceFlags::REDISPATCH),
        None => (),
    }
    if let Some(seed) = merge.hash_seed {
        new.flags = new.flags.with_hash_seed(seed);
    }
    Ok(new)
}

/// The server with the given options.
///
/// # Errors
///
/// When options do not fit each other.
pub fn server(old: &Destination, merge: &ServerMerge) -> Result<Destination, Error> {
    let mut new = old.clone();
    if let Some(forwarding) = merge.forwarding {
        new.forwarding = forwarding;
        if forwarding != Forwarding::Tunnel {
            new.tunnel = Tunnel::default();
        }
    }
    let tunnel = merge.tunnel_kind.is_some()
        || merge.tunnel_port.is_some()
        || merge.tunnel_checksum.is_some();
    if tunnel && new.forwarding != Forwarding::Tunnel {
        return Err(Error::Usage(
            "tunnel options need a server with a tunnel: add --ipip".to_owned(),
        ));
    }
    if let Some(kind) = merge.tunnel_kind {
        new.tunnel.kind = kind;
        if kind != TunnelKind::Gue {
            new.tunnel.port = 0;
        }
    }
    if let Some(port) = merge.tunnel_port {
        new.tunnel.port = port;
    }
    if let Some(checksum) = merge.tunnel_checksum {
        new.tunnel.checksum = checksum;
    }
    if new.tunnel.kind == TunnelKind::Gue && new.tunnel.port == 0 {
        return Err(Error::Usage(
            "--tun-type gue needs the UDP port of the tunnel: add --tun-port PORT".to_owned(),
        ));
    }
    new.weight = merge.weight.unwrap_or(new.weight);
    new.upper_threshold = merge.upper_threshold.unwrap_or(new.upper_threshold);
    new.lower_threshold = merge.lower_threshold.unwrap_or(new.lower_threshold);
    Ok(new)
}

fn scheduler_flags() -> ServiceFlags {
    ServiceFlags::SCHEDULER_1
        .with(ServiceFlags::SCHEDULER_2)
        .with(ServiceFlags::SCHEDULER_3)
}

fn without(flags: ServiceFlags, removed: ServiceFlags) -> ServiceFlags {
    ServiceFlags(flags.0 & !removed.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{group, server as entry};

    #[test]
    fn what_is_not_given_stays() {
        let mut old = group(vec![]).service.service;
        old.scheduler = "mh".to_owned();
        old.flags = ServiceFlags::PERSISTENT.with(ServiceFlags::SCHEDULER_2);
        old.timeout = 300;
        let merge = ServiceMerge {
            persistence: Some(Some(60)),
            ..ServiceMerge::default()
        };
        let new = service(&old, &merge).unwrap();
        assert_eq!((new.timeout, new.flags), (60, old.flags));
        let merge = ServiceMerge {
            scheduler: Some("rr".to_owned()),
            persistence: Some(None),
            one_packet: Some(true),
            ..ServiceMerge::default()
        };
        let new = service(&old, &merge).unwrap();
        assert_eq!(new.flags, ServiceFlags::ONE_PACKET);
        assert_eq!(new.scheduler, "rr");

        let mut old = entry(2, 5, 0).destination;
        old.upper_threshold = 9;
        let merge = ServerMerge {
            weight: Some(7),
            ..ServerMerge::default()
        };
        let new = server(&old, &merge).unwrap();
        assert_eq!((new.weight, new.upper_threshold), (7, 9));
        assert_eq!(new.forwarding, Forwarding::Masquerade);
    }

    #[test]
    fn redispatch_is_set_and_reset() {
        let old = group(vec![]).service.service;
        let set = |old: &Service, redispatch| {
            let merge = ServiceMerge {
                redispatch: Some(redispatch),
                ..ServiceMerge::default()
            };
            service(old, &merge).unwrap()
        };
        let with = set(&old, true);
        assert_eq!(with.flags, old.flags.with(ServiceFlags::REDISPATCH));
        assert_eq!(set(&with, false), old);
    }

    #[test]
    fn a_hash_seed_is_set_and_replaced() {
        let mut new = group(vec![]).service.service;
        for seed in [7, 200, 0] {
            let merge = ServiceMerge {
                hash_seed: Some(seed),
                ..ServiceMerge::default()
            };
            let old = new.clone();
            new = service(&new, &merge).unwrap();
            assert_eq!(new.flags.hash_seed(), seed);
            assert_eq!(new.flags.with_hash_seed(0), old.flags.with_hash_seed(0));
        }
    }

    #[test]
    fn options_that_do_not_fit_are_refused() {
        let old = group(vec![]).service.service;
        let merge = ServiceMerge {
            engine: Some("sip".to_owned()),
            ..ServiceMerge::default()
        };
        let error = service(&old, &merge).unwrap_err().to_string();
        assert!(error.contains("need a persistent service"), "{error}");
        let merge = ServiceMerge {
            flags: Some("sh-port".to_owned()),
            ..ServiceMerge::default()
        };
        let error = service(&old, &merge).unwrap_err().to_string();
        assert!(error.contains("of the scheduler sh, not of wlc"), "{error}");
        let old = entry(2, 5, 0).destination;
        let merge = ServerMerge {
            tunnel_port: Some(7),
            ..ServerMerge::default()
        };
        let error = server(&old, &merge).unwrap_err().to_string();
        assert!(error.contains("need a server with a tunnel"), "{error}");
        let merge = ServerMerge {
            forwarding: Some(Forwarding::Tunnel),
            tunnel_kind: Some(TunnelKind::Gue),
            ..ServerMerge::default()
        };
        let error = server(&old, &merge).unwrap_err().to_string();
        assert!(error.contains("add --tun-port PORT"), "{error}");
    }
}
