// SPDX-License-Identifier: GPL-2.0-only

//! Host and port names, both ways, by the system's resolver.
//!
//! Belongs here: asking the resolver (which reads /etc/hosts and /etc/services and asks DNS), and
//! the time that it may take. Never: the syntax of endpoints.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use dns_lookup::AddrInfoHints;

/// Time for all host names of a listing together.
const PATIENCE: Duration = Duration::from_secs(3);
/// Most look-ups at the same time.
const WORKERS: usize = 32;

/// Names to numbers and back.
pub trait Names {
    /// The address of a host. IPv4 is preferred, as in ipvsadm.
    fn address_of(&self, host: &str) -> Option<IpAddr>;
    /// The IPv6 address of a host.
    fn ipv6_address_of(&self, host: &str) -> Option<Ipv6Addr> {
        match self.address_of(host)? {
            IpAddr::V6(address) => Some(address),
            IpAddr::V4(_) => None,
        }
    }
    /// The port of a service name or alias.
    fn port_of(&self, service: &str, protocol: &str) -> Option<u16>;
    /// Starts to look up the names of these hosts, to be asked for later.
    fn prepare(&self, _addresses: &mut dyn Iterator<Item = IpAddr>) {}
    /// The name of a host.
    fn host_of(&self, address: &IpAddr) -> Option<String>;
    /// The service name of a port.
    fn service_of(&self, port: u16, protocol: &str) -> Option<String>;
}

type LookUp = dyn Fn(&IpAddr) -> Option<String> + Send + Sync;

/// The system's names. Hosts are looked up in the background, many at a time, and all of them have
/// the same deadline: a dead name server delays a listing once, not once for each host.
pub struct System {
    hosts: Arc<Hosts>,
    ports: Mutex<HashMap<(u16, String), Option<String>>>,
}

impl Default for System {
    fn default() -> Self {
        Self::new(|address| dns_lookup::lookup_addr(address).ok(), PATIENCE)
    }
}

impl System {
    fn new(
        look_up: impl Fn(&IpAddr) -> Option<String> + Send + Sync + 'static,
        patience: Duration,
    ) -> Self {
        Self {
            hosts: Arc::new(Hosts {
                look_up: Box::new(look_up),
                patience,
                state: Mutex::default(),
                changed: Condvar::new(),
            }),
            ports: Mutex::default(),
        }
    }

    /// How many hosts have no name in the listing because the resolver took too long.
    #[must_use]
    pub fn late(&self) -> usize {
        locked(&self.hosts.state).late.len()
    }
}

struct Hosts {
    look_up: Box<LookUp>,
    patience: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    asked: HashSet<IpAddr>,
    queue: VecDeque<IpAddr>,
    found: HashMap<IpAddr, Option<String>>,
    late: HashSet<IpAddr>,
    workers: usize,
    deadline: Option<Instant>,
}

/// A panic cannot leave these maps half changed, so a poisoned lock is as good as another.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hosts {
    /// Starts to look a host up, unless that has been done already.
    fn ask(self: &Arc<Self>, address: IpAddr) {
        let mut state = locked(&self.state);
        if !state.asked.insert(address) {
            return;
        }
        if state.deadline.is_none() {
            state.deadline = Instant::now().checked_add(self.patience);
        }
        state.queue.push_back(address);
        if state.workers < WORKERS {
            let hosts = Arc::clone(self);
            // Without a thread the name stays unknown, and the deadline passes.
            if thread::Builder::new().spawn(move || hosts.work()).is_ok() {
                state.workers = state.workers.saturating_add(1);
            }
        }
    }

    fn work(&self) {
        loop {
            let mut state = locked(&self.state);
            let Some(address) = state.queue.pop_front() else {
                state.workers = state.workers.saturating_sub(1);
                return;
            };
            drop(state);
            let name = (self.look_up)(&address);
            locked(&self.state).found.insert(address, name);
            self.changed.notify_all();
        }
    }

    /// Waits for a name until the deadline of all.
    fn name(&self, address: &IpAddr) -> Option<String> {
        let mut state = locked(&self.state);
        loop {
            if let Some(name) = state.found.get(address) {
                return name.clone();
            }
            let left = state
                .deadline
                .map(|deadline| deadline.saturating_duration_since(Instant::now()))
                .filter(|left| !left.is_zero());
            let Some(left) = left else {
                state.late.insert(*address);
                return None;
            };
            state = self
                .changed
                .wait_timeout(state, left)
                .map_or_else(|poisoned| poisoned.into_inner().0, |(state, _)| state);
        }
    }
}

/// All addresses of a host.
fn addresses(host: &str) -> Vec<IpAddr> {
    (host, 0).to_socket_addrs().map_or_else(
        |_| Vec::new(),
        |addresses| addresses.map(|address| address.ip()).collect(),
    )
}

/// The socket type and number of a protocol, as the resolver wants them.
fn hints(protocol: &str) -> Option<AddrInfoHints> {
    let (socktype, protocol) = match protocol {
        "tcp" => (libc::SOCK_STREAM, libc::IPPROTO_TCP),
        "udp" => (libc::SOCK_DGRAM, libc::IPPROTO_UDP),
        "sctp" => (libc::SOCK_STREAM, libc::IPPROTO_SCTP),
        _ => return None,
    };
    Some(AddrInfoHints {
        socktype,
        protocol,
        ..AddrInfoHints::default()
    })
}

impl Names for System {
    fn address_of(&self, host: &str) -> Option<IpAddr> {
        let addresses = addresses(host);
        addresses
            .iter()
            .find(|address| address.is_ipv4())
            .or_else(|| addresses.first())
            .copied()
    }

    fn ipv6_address_of(&self, host: &str) -> Option<Ipv6Addr> {
        addresses(host)
            .into_iter()
            .find_map(|address| match address {
                IpAddr::V6(address) => Some(address),
                IpAddr::V4(_) => None,
            })
    }

    fn port_of(&self, service: &str, protocol: &str) -> Option<u16> {
        dns_lookup::getaddrinfo(None, Some(service), Some(hints(protocol)?))
            .ok()?
            .find_map(Result::ok)
            .map(|found| found.sockaddr.port())
    }

    fn prepare(&self, addresses: &mut dyn Iterator<Item = IpAddr>) {
        for address in addresses {
            self.hosts.ask(address);
        }
    }

    fn host_of(&self, address: &IpAddr) -> Option<String> {
        self.hosts.ask(*address);
        self.hosts.name(address)
    }

    fn service_of(&self, port: u16, protocol: &str) -> Option<String> {
        let key = (port, protocol.to_owned());
        if let Some(known) = locked(&self.ports).get(&key) {
            return known.clone();
        }
        let flags = match protocol {
            "tcp" => libc::NI_NUMERICHOST,
            "udp" => libc::NI_NUMERICHOST | libc::NI_DGRAM,
            // The resolver has no question for other protocols.
            _ => return None,
        };
        let name = dns_lookup::getnameinfo(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), flags)
            .ok()
            .map(|(_, service)| service)
            .filter(|service| service.parse::<u16>().is_err());
        locked(&self.ports).insert(key, name.clone());
        name
    }
}

/// A few fixed names, for tests.
#[cfg(test)]
pub struct Fixed;

#[cfg(test)]
impl Names for Fixed {
    fn address_of(&self, host: &str) -> Option<IpAddr> {
        (host == "www.example.net").then(|| [192, 0, 2, 1].into())
    }

    fn ipv6_address_of(&self, host: &str) -> Option<Ipv6Addr> {
        (host == "six.example.net").then(|| [0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x80].into())
    }

    fn port_of(&self, service: &str, protocol: &str) -> Option<u16> {
        match (service, protocol) {
            ("http", "tcp") => Some(80),
            ("domain", "udp") => Some(53),
            _ => None,
        }
    }

    fn host_of(&self, address: &IpAddr) -> Option<String> {
        (*address == IpAddr::from([192, 0, 2, 1])).then(|| "www.example.net".to_owned())
    }

    fn service_of(&self, port: u16, protocol: &str) -> Option<String> {
        match (port, protocol) {
            (80, "tcp") => Some("http".to_owned()),
            (53, "udp") => Some("domain".to_owned()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_have_names_and_names_have_ports() {
        let names = System::default();
        // Machines without /etc/services have no names, and then none is made up.
        if std::path::Path::new("/etc/services").exists() {
            assert_eq!(names.port_of("http", "tcp"), Some(80));
            assert_eq!(names.service_of(80, "tcp").as_deref(), Some("http"));
            assert_eq!(names.service_of(53, "udp").as_deref(), Some("domain"));
        }
        assert_eq!(names.port_of("no-such-service", "tcp"), None);
        assert_eq!(names.port_of("http", "ospf"), None);
        assert_eq!(names.service_of(65_431, "tcp"), None);
    }

    #[test]
    fn all_hosts_share_one_deadline() {
        // A name server that never answers.
        let names = System::new(
            |_| loop {
                thread::park();
            },
            Duration::from_millis(200),
        );
        let hosts: Vec<IpAddr> = (0..100_u8).map(|n| [10, 0, 0, n].into()).collect();
        names.prepare(&mut hosts.iter().copied());
        let begin = Instant::now();
        for host in &hosts {
            assert_eq!(names.host_of(host), None);
        }
        assert!(begin.elapsed() >= Duration::from_millis(150));
        // A deadline for each of them would take 20 s.
        assert!(begin.elapsed() < Duration::from_secs(10));
        assert_eq!(names.late(), 100);
    }

    #[test]
    fn hosts_are_looked_up_at_the_same_time() {
        // No look-up ends before eight have begun.
        let begun = Arc::new((Mutex::new(0), Condvar::new()));
        let names = System::new(
            move |address| {
                let (count, changed) = &*begun;
                let mut count = count.lock().unwrap();
                *count += 1;
                changed.notify_all();
                while *count < 8 {
                    count = changed.wait(count).unwrap();
                }
                Some(format!("host-{address}"))
            },
            Duration::from_secs(60),
        );
        let hosts: Vec<IpAddr> = (0..8_u8).map(|n| [10, 0, 0, n].into()).collect();
        names.prepare(&mut hosts.iter().copied());
        for host in &hosts {
            assert_eq!(names.host_of(host), Some(format!("host-{host}")));
        }
        assert_eq!(names.late(), 0);
    }
}
