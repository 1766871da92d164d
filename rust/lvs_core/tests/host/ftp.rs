// SPDX-License-Identifier: GPL-2.0-only

//! Control connections of FTP: lines of the RFCs, of servers in the wild, and of attackers.

use lvs_core::ftp::{command, reply, Command, Ftp, Reply};
use lvs_core::helper::{Announcement, Control, Form, Helper, LONGEST};
use lvs_core::{Address, Endpoint};
use proptest::prelude::*;

fn v4(text: &str) -> Address {
    Address::from_v4(text.parse::<std::net::Ipv4Addr>().unwrap().octets())
}

fn v6(text: &str) -> Address {
    Address::from_v6(text.parse::<std::net::Ipv6Addr>().unwrap().octets())
}

fn control() -> Control {
    Control {
        client: Endpoint::new(v4("132.235.1.2"), 40000),
        service: Endpoint::new(v4("192.0.2.100"), 21),
        server: Endpoint::new(v4("10.2.0.11"), 21),
    }
}

#[test]
fn commands_are_read_as_the_rfcs_write_them() {
    let at = |address, port| Command::Waits(Endpoint::new(address, port));
    for (line, expected) in [
        // RFC 959, section 5.3.2, and RFC 2428, section 2.
        ("PORT 132,235,1,2,24,131", at(v4("132.235.1.2"), 6275)),
        ("EPRT |1|132.235.1.2|6275|", at(v4("132.235.1.2"), 6275)),
        (
            "EPRT |2|1080::8:800:200C:417A|5282|",
            at(v6("1080::8:800:200C:417A"), 5282),
        ),
        ("port 1,2,3,4,5,6", at(v4("1.2.3.4"), 1286)),
        ("PORT   1,2,3,4,5,6  ", at(v4("1.2.3.4"), 1286)),
        ("EPRT !1!1.2.3.4!65535!", at(v4("1.2.3.4"), 65535)),
        ("\u{0}EPSV", Command::Other),
        ("PASV", Command::Passive),
        ("pasv ", Command::Passive),
        ("EPSV", Command::Extended),
        ("epsv 2", Command::Extended),
        ("EPSV ALL", Command::Other),
        ("AUTH TLS", Command::Secure),
        ("auth ssl", Command::Secure),
        ("PORTER 1,2,3,4,5,6", Command::Other),
        ("STOR PORT 1,2,3,4,5,6", Command::Other),
        (" PORT 1,2,3,4,5,6", Command::Other),
        ("PORT 1,2,3,4,5", Command::Other),
        ("PORT 1,2,3,4,5,256", Command::Other),
        ("PORT 1,2,3,4,5,6,7", Command::Other),
        ("PORT 1,2,3,4,0,0", Command::Other),
        ("PORT 1,2,3,4,5,-6", Command::Other),
        ("PORT 1,2,3,4,,6", Command::Other),
        ("PORT 1,2,3,4,5,99999999999999999999", Command::Other),
        ("EPRT |1|1.2.3.4|65536|", Command::Other),
        ("EPRT |1|1.2.3.4|0|", Command::Other),
        ("EPRT |1|1.2.3.4|4000", Command::Other),
        ("EPRT |1|1.2.3.4|4000||", Command::Other),
        ("EPRT |2|1.2.3.4|4000|", Command::Other),
        ("EPRT |1|::1|4000|", Command::Other),
        ("EPRT |3|1.2.3.4|4000|", Command::Other),
        ("EPRT 1111.2.3.4140001", Command::Other),
        ("EPRT", Command::Other),
        ("", Command::Other),
    ] {
        assert_eq!(command(line.as_bytes()), expected, "{line}");
    }
    // Interrupt and mark of telnet, before a command.
    assert_eq!(command(b"\xff\xf4\xff\xf2PASV"), Command::Passive);
}

#[test]
fn replies_of_wild_servers_are_read() {
    let passive = |text: &str, port, tuple: &str| {
        let begin = text.find(tuple).unwrap();
        let endpoint = Endpoint::new(v4("10.2.0.11"), port);
        (
            text.to_owned(),
            Reply::Passive(endpoint, begin..begin + tuple.len()),
        )
    };
    let tuple = "10,2,0,11,19,137";
    for (line, expected) in [
        passive("227 Entering Passive Mode (10,2,0,11,19,137)", 5001, tuple),
        passive("227 Entering Passive Mode (10,2,0,11,19,137).", 5001, tuple),
        passive("227 Entering Passive Mode 10,2,0,11,19,137", 5001, tuple),
        passive("227 =10,2,0,11,19,137", 5001, tuple),
    ] {
        assert_eq!(reply(line.as_bytes()), expected, "{line}");
    }
    let line = "229 Entering Extended Passive Mode (|||5001|)";
    assert_eq!(reply(line.as_bytes()), Reply::Extended(5001, 39..43));
    assert_eq!(&line[39..43], "5001");
    assert_eq!(reply(b"234 Proceed with negotiation."), Reply::Secure);
    for line in [
        "227-Entering Passive Mode (10,2,0,11,19,137)",
        "227 Entering Passive Mode",
        "227 (10,2,0,11,19)",
        "227 (10,2,0,11,0,0)",
        "229 Entering (|||0|)",
        "229 Entering (|||65536|)",
        "229 Entering (||5001|)",
        "229 Entering (|!|5001|)",
        "229 Entering (|||5001)",
        "229 Entering |||5001|",
        " 227 (10,2,0,11,19,137)",
        "1227 (10,2,0,11,19,137)",
        "22",
        "",
    ] {
        assert_eq!(reply(line.as_bytes()), Reply::Other, "{line}");
    }
}

#[test]
fn a_client_waits_at_its_own_address_only() {
    let hear = |text: &str| Ftp.hear_client(&control(), 0, text.as_bytes());
    let own = Endpoint::new(v4("132.235.1.2"), 6275);
    let heard = hear("PORT 132,235,1,2,24,131\r\n");
    assert_eq!((heard.waits, heard.refused), (Some(own), false));
    for text in [
        // Bounces: other hosts, a service of the client.
        "PORT 10,2,0,12,24,131\r\n",
        "EPRT |1|10.2.0.12|6275|\r\n",
        "EPRT |2|::1|6275|\r\n",
        "PORT 132,235,1,2,0,22\r\n",
        "PORT 132,235,1,2,3,255\r\n",
    ] {
        let heard = hear(text);
        assert_eq!((heard.waits, heard.refused), (None, true), "{text}");
    }
    // The last of several lines counts, as for the server.
    let two = hear("NOOP\r\nPORT 132,235,1,2,24,131\r\nPORT 132,235,1,2,24,132\r\n");
    assert_eq!(two.waits.unwrap().port, 6276);
    let then_bad = hear("PORT 132,235,1,2,24,131\r\nPORT 1,1,1,1,24,132\r\n");
    assert_eq!((then_bad.waits, then_bad.refused), (None, true));
    // LF alone ends a line. A line without an end is left alone, and so is its rest.
    assert_eq!(hear("PORT 132,235,1,2,24,131\n").waits, Some(own));
    assert_eq!(hear("PORT 132,235,1,2,24,131").waits, None);
    assert_eq!(hear("RT 132,235,1,2,24,131\r\n").waits, None);
    // An overlong line.
    let long = format!("PORT 132,235,1,2,24,131{}\r\n", " ".repeat(600));
    assert_eq!(hear(&long).waits, None);
    let after_long = format!("STOR {}\r\nPORT 132,235,1,2,24,131\r\n", "x".repeat(600));
    assert_eq!(hear(&after_long).waits, Some(own));
    assert_eq!(hear("").waits, None);
}

const PASSIVE: &[u8] = b"227 Entering Passive Mode (10,2,0,11,19,137)\r\n";
const EXTENDED: &[u8] = b"229 Entering Extended Passive Mode (|||5001|)\r\n";

#[test]
fn a_reply_counts_if_the_client_has_asked() {
    let control = control();
    assert_eq!(Ftp.hear_server(&control, 0, 7, PASSIVE).waits, None);
    let asked = Ftp.hear_client(&control, 0, b"PASV\r\n").memory;
    assert_eq!(Ftp.hear_server(&control, asked, 7, EXTENDED).waits, None);
    let heard = Ftp.hear_server(&control, asked, 7, PASSIVE);
    let expected = Announcement {
        port: 5001,
        at: 27..43,
        form: Form::Numbers,
    };
    assert_eq!(heard.waits, Some(expected.clone()));
    assert!(!heard.refused);
    // The same segment again means the same. Another one was not asked for.
    let again = Ftp.hear_server(&control, heard.memory, 7, PASSIVE);
    assert_eq!(again.waits, Some(expected));
    assert_eq!(
        Ftp.hear_server(&control, heard.memory, 8, PASSIVE).waits,
        None
    );
    // Also if the segment has another reply, which was not asked for.
    let asked_extended = Ftp.hear_client(&control, 0, b"EPSV\r\n").memory;
    let both = [PASSIVE, EXTENDED].concat();
    let heard = Ftp.hear_server(&control, asked_extended, 7, &both);
    assert_eq!(heard.waits.as_ref().unwrap().form, Form::Port);
    let again = Ftp.hear_server(&control, heard.memory, 7, &both);
    assert_eq!(again.waits, heard.waits);
    // Other replies come first.
    let text = [b"200 Fine.\r\n227-no\r\n", PASSIVE].concat();
    assert_eq!(
        Ftp.hear_server(&control, asked, 7, &text).waits.unwrap().at,
        46..62
    );
    let asked = Ftp.hear_client(&control, 0, b"TYPE I\r\nEPSV\r\n").memory;
    let heard = Ftp.hear_server(&control, asked, 9, EXTENDED).waits.unwrap();
    assert_eq!(
        (heard.port, heard.at, heard.form),
        (5001, 39..43, Form::Port)
    );
}

#[test]
fn a_server_waits_at_its_own_address_only() {
    let control = control();
    let asked = Ftp.hear_client(&control, 0, b"PASV\r\n").memory;
    let hear = |text: &str| Ftp.hear_server(&control, asked, 7, text.as_bytes());
    for own in ["10,2,0,11", "192,0,2,100", "0,0,0,0"] {
        assert!(
            hear(&format!("227 ({own},19,137)\r\n")).waits.is_some(),
            "{own}"
        );
    }
    for text in ["227 (10,2,0,12,19,137)\r\n", "227 (10,2,0,11,0,22)\r\n"] {
        let heard = hear(text);
        assert_eq!((heard.waits, heard.refused), (None, true), "{text}");
    }
}

#[test]
fn an_encrypted_connection_is_left_alone() {
    let control = control();
    let asked = Ftp.hear_client(&control, 0, b"AUTH TLS\r\n").memory;
    let refused = Ftp.hear_server(&control, asked, 7, b"502 No.\r\n").memory;
    let passive = Ftp.hear_client(&control, refused, b"PASV\r\n").memory;
    assert!(Ftp
        .hear_server(&control, passive, 8, PASSIVE)
        .waits
        .is_some());
    let begun = Ftp
        .hear_server(&control, asked, 7, b"234 Go on.\r\n")
        .memory;
    let passive = Ftp.hear_client(&control, begun, b"PASV\r\n").memory;
    assert_eq!(Ftp.hear_server(&control, passive, 8, PASSIVE).waits, None);
    // Without a request, 234 means nothing.
    let memory = Ftp.hear_server(&control, 0, 7, b"234 Go on.\r\n").memory;
    let passive = Ftp.hear_client(&control, memory, b"PASV\r\n").memory;
    assert!(Ftp
        .hear_server(&control, passive, 8, PASSIVE)
        .waits
        .is_some());
}

proptest! {
    #[test]
    fn what_is_written_is_read(octets: [u8; 4], port in 1u16..) {
        let mut buffer = [0; LONGEST];
        let address = Address::from_v4(octets);
        let len = Form::Numbers.write(address, port, &mut buffer).unwrap();
        let text = String::from_utf8(buffer[..len].to_vec()).unwrap();
        let line = format!("227 ({text})");
        prop_assert_eq!(reply(line.as_bytes()), Reply::Passive(Endpoint::new(address, port), 5..5 + len));
        let len = Form::Port.write(address, port, &mut buffer).unwrap();
        let text = String::from_utf8(buffer[..len].to_vec()).unwrap();
        prop_assert_eq!(&text, &port.to_string());
        let line = format!("229 (|||{text}|)");
        prop_assert_eq!(reply(line.as_bytes()), Reply::Extended(port, 8..8 + len));
    }

    #[test]
    fn ranges_are_within_the_segment(text in "(227 |229 )?[(|0-9,.\r\n]{0,60}", memory: u64, sequence: u32) {
        let heard = Ftp.hear_server(&control(), memory, sequence, text.as_bytes());
        if let Some(announcement) = heard.waits {
            prop_assert!(text.get(announcement.at).is_some());
        }
        let _ = Ftp.hear_client(&control(), memory, text.as_bytes());
    }
}

#[test]
fn an_ipv6_address_has_no_numbers() {
    assert_eq!(Form::Numbers.write(v6("::1"), 1, &mut [0; LONGEST]), None);
}
