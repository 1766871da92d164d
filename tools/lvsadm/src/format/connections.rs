// SPDX-License-Identifier: GPL-2.0-only

//! Connections as text, as ipvsadm 1.31 prints them.

use super::Labels;
use crate::connections::Connection;

/// The whole listing, with persistence engine data when `engine_data` asks for it.
#[must_use]
pub fn connections(connections: &[Connection], engine_data: bool, labels: &Labels<'_>) -> String {
    let mut text = "IPVS connection entries\n".to_owned();
    text += &if engine_data {
        format!(
            "pro expire {:<11} {:<18} {:<18} {:<18} {:<16} {}\n",
            "state", "source", "virtual", "destination", "pe name", "pe_data"
        )
    } else {
        format!(
            "pro expire {:<11} {:<18} {:<18} {}\n",
            "state", "source", "virtual", "destination"
        )
    };
    for connection in connections {
        let protocol = connection.known_protocol();
        let endpoint = |(address, port): &_| labels.endpoint(address, *port, protocol);
        let expires = format!(
            "{:02}:{:02}",
            connection.expires / 60,
            connection.expires % 60
        );
        let start = format!(
            "{:<3} {expires:<6} {:<11} {:<18} {:<18}",
            connection.protocol,
            connection.state,
            endpoint(&connection.source),
            endpoint(&connection.service),
        );
        let destination = endpoint(&connection.destination);
        text += &match &connection.engine {
            Some((name, data)) if engine_data => {
                format!("{start} {destination:<16} {name:<18} {data}\n")
            }
            _ => format!("{start} {destination}\n"),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_ipvsadms() {
        let list = crate::connections::parse(
            "heading\n\
             TCP 0A010001 ACB0 0A010001 0050 2001:0db8:0000:0000:0000:0000:0000:0099 0050 SYN_RECV         56\n\
             UDP C0000201 13C4 0A010002 13C4 0A000009 13C4 UDP             118 sip call-1\n",
        )
        .unwrap();
        assert_eq!(
            connections(&list, false, &Labels::numeric()),
            "IPVS connection entries\n\
             pro expire state       source             virtual            destination\n\
             TCP 00:56  SYN_RECV    10.1.0.1:44208     10.1.0.1:80        [2001:db8::99]:80\n\
             UDP 01:58  UDP         192.0.2.1:5060     10.1.0.2:5060      10.0.0.9:5060\n"
        );
        assert_eq!(
            connections(&list, true, &Labels::numeric()),
            "IPVS connection entries\n\
             pro expire state       source             virtual            destination        pe name          pe_data\n\
             TCP 00:56  SYN_RECV    10.1.0.1:44208     10.1.0.1:80        [2001:db8::99]:80\n\
             UDP 01:58  UDP         192.0.2.1:5060     10.1.0.2:5060      10.0.0.9:5060    sip                call-1\n"
        );
    }
}
