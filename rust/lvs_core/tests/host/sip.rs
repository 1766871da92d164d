// SPDX-License-Identifier: GPL-2.0-only

//! The Call-ID of SIP messages: those of RFC 3261 and RFC 4475, and others that are no messages.

use lvs_core::engine::{Engine, EngineName, LONGEST};
use lvs_core::sip::{call_id, CallId};
use proptest::prelude::*;

fn found(message: &str) -> Option<&str> {
    let found = call_id(message.as_bytes());
    assert_eq!(CallId.find(message.as_bytes()), found);
    found.map(|text| std::str::from_utf8(text).unwrap())
}

fn with(headers: &str) -> String {
    format!("OPTIONS sip:user@example.com SIP/2.0\r\nTo: sip:user@example.com\r\n{headers}")
}

#[test]
fn messages_of_the_standards_have_their_call_id() {
    // RFC 3261, section 24.2.
    let invite = "INVITE sip:bob@biloxi.com SIP/2.0\r\n\
        Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKnashds8\r\nMax-Forwards: 70\r\n\
        To: Bob <sip:bob@biloxi.com>\r\nFrom: Alice <sip:alice@atlanta.com>;tag=1928301774\r\n\
        Call-ID: a84b4c76e66710\r\nCSeq: 314159 INVITE\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(found(invite), Some("a84b4c76e66710"));
    let ok = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP server10.biloxi.com\r\n\
        Call-ID: a84b4c76e66710@pc33.atlanta.com\r\n\r\n";
    assert_eq!(found(ok), Some("a84b4c76e66710@pc33.atlanta.com"));
    // RFC 4475, section 3.1.1.1 (wsinv): white space, folding, short and mixed names.
    let torture = "INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0\r\n\
        TO :\r\n sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n\r\n\
        from   : \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>\r\n  ;\r\n  tag = 98asjd8\r\n\
        MaX-fOrWaRdS: 0068\r\nCall-ID: wsinv.ndaksdj@192.0.2.1\r\nContent-Length   : 150\r\n\
        cseq: 0009\r\n  INVITE\r\nVia  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=390skdjuw\r\n\
        s :\r\n\r\n";
    assert_eq!(found(torture), Some("wsinv.ndaksdj@192.0.2.1"));
    // Section 3.1.1.2 (intmeth): all octets of words.
    let strange = "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{";
    let message = format!(
        "!interesting-Method0123456789_*+`.%indeed'~ sip:1 SIP/2.0\r\nCall-ID: {strange}\r\n"
    );
    assert_eq!(found(&message), Some(strange));
}

#[test]
fn names_and_white_space_vary() {
    for header in [
        "Call-ID: x@y",
        "CALL-ID:x@y",
        "call-id \t: \t x@y",
        "i: x@y",
        "I:x@y",
        "i : x@y  ",
        "Call-ID:\r\n x@y",
        "i:  \r\n\t \r\n x@y",
    ] {
        for end in ["\r\n", "\n", "\r"] {
            let message = with(&format!("{header}{end}CSeq: 1 OPTIONS{end}{end}"));
            assert_eq!(found(&message), Some("x@y"), "{header:?} {end:?}");
        }
    }
    // The first one counts.
    assert_eq!(found(&with("Call-ID: a\r\ni: b\r\n")), Some("a"));
}

#[test]
fn what_is_no_call_id_is_not_found() {
    let longest = "x".repeat(LONGEST);
    assert_eq!(found(&with(&format!("i: {longest}\r\n"))), Some(&*longest));
    for headers in [
        // Its end is not in the datagram.
        "Call-ID: x@y",
        "Call-ID:\r\n x@y",
        // Empty, too long, with octets that no Call-ID has.
        "Call-ID:\r\n",
        "Call-ID: \r\nCSeq: 1\r\n",
        &format!("i: {longest}y\r\n"),
        "Call-ID: a b\r\n",
        "Call-ID: a@b@c\r\n",
        "Call-ID: @b\r\n",
        "Call-ID: a@\r\n",
        "Call-ID: a;b\r\n",
        "Call-ID: \u{e9}\r\n",
        "Call-ID: a\0\r\n",
        // Other names; a line that continues another header; the body.
        "Call-IDs: x\r\n",
        "Call: x\r\n",
        "ii: x\r\n",
        "Subject: a\r\n i: x\r\n",
        "\r\nCall-ID: x\r\n",
        "CSeq: 1 A\r\n\r\nCall-ID: x\r\n",
        "Call-ID x\r\n",
        "",
    ] {
        assert_eq!(found(&with(headers)), None, "{headers:?}");
    }
    for start in [
        "",
        "SIP/2.0",
        "SIP/2.01 x",
        "GET / HTTP/1.1",
        "XSIP/2.0",
        "INVITE sip:x SIP/2.0x",
        "INVITE sip:x SIP/3.0",
        "0123456789",
    ] {
        assert_eq!(
            found(&format!("{start}\r\nCall-ID: x\r\n")),
            None,
            "{start:?}"
        );
    }
    for start in [
        "sip/2.0 100 Trying",
        "ACK sip:x sip/2.0",
        "ACK sip:x SIP/2.0 ",
    ] {
        assert_eq!(
            found(&format!("{start}\r\nCall-ID: x\r\n")),
            Some("x"),
            "{start:?}"
        );
    }
}

proptest! {
    #[test]
    fn any_octets_give_a_part_of_them_or_nothing(message in prop::collection::vec(any::<u8>(), 0..300)) {
        let whole = [b"A sip:b SIP/2.0\r\ni:", &message[..]].concat();
        for text in [&message, &whole] {
            if let Some(found) = call_id(text) {
                prop_assert!((1..=LONGEST).contains(&found.len()));
                prop_assert!(text.windows(found.len()).any(|part| part == found));
            }
        }
    }
}

#[test]
fn names_of_engines_can_be_names_of_modules() {
    assert_eq!(EngineName::new(b"sip").unwrap().as_c_str(), c"sip");
    assert!(EngineName::new(b"sixteen_letters_").is_some());
    for name in [&b""[..], b"seventeen_letters", b"a/b", b"a b", b"sip\0"] {
        assert_eq!(EngineName::new(name), None);
    }
}
