// SPDX-License-Identifier: GPL-2.0-only

//! Asks servers that never answered a client whether they answer this host. Their answer tells a
//! server that does not run from one whose replies to clients take another way.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use crate::model::{DestinationId, Protocol, ServiceId};

/// The time in which a server has to answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// Servers that are probed at most.
const MOST: usize = 64;

/// A server and the protocol in which it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    udp: bool,
    address: SocketAddr,
}

impl Target {
    /// A server of a service; `None` if no port or protocol could be asked.
    #[must_use]
    pub fn new(service: &ServiceId, server: DestinationId) -> Option<Self> {
        let udp = match service.protocol()? {
            Protocol::Tcp => false,
            Protocol::Udp => true,
            _ => return None,
        };
        let address = SocketAddr::new(server.address, server.port);
        (server.port != 0).then_some(Self { udp, address })
    }
}

/// The answer to a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The server accepts a connection, or answers a datagram.
    Yes,
    /// The host is there, and nothing listens on the port.
    Refused,
    /// There is no answer in time.
    None,
}

/// Asks all servers at the same time.
#[must_use]
pub(super) fn all(mut targets: Vec<Target>) -> Vec<(Target, Answer)> {
    targets.sort_unstable_by_key(|target| (target.udp, target.address));
    targets.dedup();
    targets.truncate(MOST);
    thread::scope(|scope| {
        let probes: Vec<_> = targets
            .into_iter()
            .map(|target| scope.spawn(move || (target, ask(target))))
            .collect();
        probes
            .into_iter()
            .filter_map(|probe| probe.join().ok())
            .collect()
    })
}

fn ask(target: Target) -> Answer {
    let outcome = if target.udp {
        exchange(target.address)
    } else {
        TcpStream::connect_timeout(&target.address, PATIENCE).map(|_| ())
    };
    match outcome {
        Ok(()) => Answer::Yes,
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Answer::Refused,
        Err(_) => Answer::None,
    }
}

/// Sends a datagram and waits for any answer. A port without a listener answers by an ICMP error,
/// which the socket reports as a refused connection.
fn exchange(server: SocketAddr) -> io::Result<()> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => [0; 4].into(),
        SocketAddr::V6(_) => [0_u16; 8].into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send(&question(server.port()))?;
    // The rest of a longer answer is discarded.
    socket.recv(&mut [0; 16]).map(|_| ())
}

/// A datagram that servers of the port's protocol answer and that changes nothing. Without a known
/// protocol it is empty.
fn question(port: u16) -> Vec<u8> {
    match port {
        // DNS (RFC 1035, section 4.1): the name servers of the root.
        53 => vec![
            0x4c, 0x56, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, // header with one question
            0, 0, 2, 0, 1, // the root, NS, IN
        ],
        // NTP (RFC 5905, section 7.3): version 4, a client.
        123 => {
            let mut packet = vec![0x23];
            packet.resize(48, 0);
            packet
        }
        // QUIC (RFC 9000, sections 5.2.2 and 15): a reserved version, which every server answers
        // by the versions that it has.
        443 => {
            let mut packet = vec![0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8];
            packet.extend(*b"lvsadm-d");
            packet.resize(1200, 0);
            packet
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn target(udp: bool, address: SocketAddr) -> Target {
        Target { udp, address }
    }

    fn answers(targets: &[Target]) -> Vec<Answer> {
        let answers = all(targets.to_vec());
        let of = |target: &Target| answers.iter().find(|(known, _)| known == target);
        targets.iter().map(|target| of(target).unwrap().1).collect()
    }

    #[test]
    fn a_server_that_answers_one_that_refuses_and_one_that_is_silent_differ() {
        let here = SocketAddr::from(([127, 0, 0, 1], 0));
        let (tcp, udp) = (
            TcpListener::bind(here).unwrap(),
            UdpSocket::bind(here).unwrap(),
        );
        let silent = UdpSocket::bind(here).unwrap();
        let closed = UdpSocket::bind(here).unwrap().local_addr().unwrap();
        let targets = [
            target(false, tcp.local_addr().unwrap()),
            target(true, udp.local_addr().unwrap()),
            target(true, closed),
            target(false, closed),
            target(true, silent.local_addr().unwrap()),
        ];
        thread::spawn(move || {
            let (_, client) = udp.recv_from(&mut [0; 1]).unwrap();
            udp.send_to(b"long answer of the server", client).unwrap();
        });
        assert_eq!(
            answers(&targets),
            [
                Answer::Yes,
                Answer::Yes,
                Answer::Refused,
                Answer::Refused,
                Answer::None
            ]
        );
    }

    #[test]
    fn each_server_is_asked_once_and_not_too_many_are() {
        let closed = SocketAddr::from(([127, 0, 0, 1], 9));
        assert_eq!(all(vec![target(true, closed); 3]).len(), 1);
        let many =
            (1..=100_u16).map(|port| target(false, SocketAddr::from(([127, 0, 0, 1], port))));
        assert_eq!(all(many.collect()).len(), MOST);
    }

    #[test]
    fn a_server_needs_a_port_and_a_protocol_to_be_asked() {
        let server = |port| DestinationId {
            address: [10, 0, 0, 1].into(),
            port,
        };
        let service = |protocol| ServiceId::Address {
            protocol,
            address: [192, 0, 2, 1].into(),
            port: 53,
        };
        assert!(
            Target::new(&service(Protocol::Udp), server(53))
                .unwrap()
                .udp
        );
        assert!(
            !Target::new(&service(Protocol::Tcp), server(53))
                .unwrap()
                .udp
        );
        assert_eq!(Target::new(&service(Protocol::Tcp), server(0)), None);
        assert_eq!(Target::new(&service(Protocol::Sctp), server(53)), None);
        let mark = ServiceId::Mark {
            mark: 1,
            family: crate::model::Family::Inet,
        };
        assert_eq!(Target::new(&mark, server(53)), None);
    }

    #[test]
    fn questions_have_the_length_that_their_protocol_wants() {
        let lengths = [53, 123, 443, 5000].map(|port| question(port).len());
        assert_eq!(lengths, [17, 48, 1200, 0]);
    }
}
